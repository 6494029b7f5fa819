"""Trade flows by HS chapter, and what each country trades."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "trade_flow",
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reporter", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("hs", sa.Text(), nullable=False),
        sa.Column("value", sa.Numeric(), nullable=False),
        sa.PrimaryKeyConstraint("year", "reporter", "partner", "hs", name=op.f("trade_flow_pkey")),
    )
    op.create_index("trade_flow_partner_year", "trade_flow", ["partner", "year"], unique=False)
    op.create_index("trade_flow_reporter_year", "trade_flow", ["reporter", "year"], unique=False)
    op.create_table(
        "trade_profile",
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("exports_year", sa.Integer(), nullable=True),
        sa.Column("exports", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("imports_year", sa.Integer(), nullable=True),
        sa.Column("imports", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("country", name=op.f("trade_profile_pkey")),
    )


def downgrade() -> None:
    """Forgets them."""
    op.drop_table("trade_profile")
    op.drop_table("trade_flow")
