"""What countries trade, for the criterion of trade."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Makes the table; registry's events fill it."""
    op.create_table(
        "trade_profile",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("exports", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("imports", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trade_profile")),
    )


def downgrade() -> None:
    """Forgets them."""
    op.drop_table("trade_profile")
