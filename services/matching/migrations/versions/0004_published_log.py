"""To which log of Kafka each topic was published, so that a new one is filled again."""

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "published_log",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("log", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("topic", name=op.f("pk_published_log")),
    )


def downgrade() -> None:
    """Drops it."""
    op.drop_table("published_log")
