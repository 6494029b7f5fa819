"""What capabilities say, worked out once, so that a start need not read all texts again."""

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Makes the tables; the engine fills them."""
    op.create_table(
        "word",
        sa.Column("number", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_word")),
    )
    op.create_index("word_known", "word", ["kind", "word"], unique=True)
    op.create_table(
        "reading",
        sa.Column("capability_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Text(), nullable=False),
        sa.Column("edition", sa.Text(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("facets", sa.LargeBinary(), nullable=False),
        sa.Column("terms", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("capability_id", name=op.f("pk_reading")),
    )


def downgrade() -> None:
    """Forgets them."""
    op.drop_table("reading")
    op.drop_table("word")
