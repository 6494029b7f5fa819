"""Policies have a status: drafts are compared with the active one before they take its place."""

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Replaces the flag by a status."""
    op.add_column("policy", sa.Column("revision", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("policy", sa.Column("status", sa.Text(), nullable=False, server_default="retired"))
    op.add_column("policy", sa.Column("note", sa.Text(), nullable=True))
    op.add_column("policy", sa.Column("made_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("update policy set made_at = activated_at, status = case when active then 'active' else 'retired' end")
    op.alter_column("policy", "made_at", nullable=False)
    op.alter_column("policy", "activated_at", nullable=True)
    op.alter_column("policy", "revision", server_default=None)
    op.alter_column("policy", "status", server_default=None)
    op.drop_column("policy", "active")
    op.create_index("policy_active", "policy", ["status"], unique=True, postgresql_where=sa.text("status = 'active'"))


def downgrade() -> None:
    """Forgets drafts and gives back the flag."""
    op.drop_index("policy_active", "policy")
    op.execute("delete from policy where activated_at is null")
    op.add_column("policy", sa.Column("active", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute("update policy set active = true where status = 'active'")
    op.alter_column("policy", "active", server_default=None)
    op.alter_column("policy", "activated_at", nullable=False)
    for name in ("made_at", "note", "status", "revision"):
        op.drop_column("policy", name)
