"""Questions on needs; when each side answered; why two sides were named directly."""

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | None = None
depends_on: str | None = None

MOMENTS = ("beneficiary_answered_at", "provider_answered_at")
TEXTS = ("named_by", "justification_code", "justification_text")
INDEXES = {
    "question_beneficiary": ["beneficiary_id"],
    "question_asker": ["asker_id"],
    "question_asked": ["asked_at", "id"],
}


def upgrade() -> None:
    """Makes the table and the columns; of earlier answers it is not known when they came."""
    op.create_table(
        "question",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("need_id", sa.Uuid(), nullable=False),
        sa.Column("match_id", sa.Uuid(), nullable=False),
        sa.Column("asker_id", sa.Uuid(), nullable=False),
        sa.Column("beneficiary_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_question")),
    )
    op.create_index(op.f("ix_question_need_id"), "question", ["need_id"], unique=False)
    for name, names in INDEXES.items():
        op.create_index(name, "question", names)
    op.create_index("match_proposed", "match", ["proposed_at"])
    for name in MOMENTS:
        op.add_column("match", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    for name in TEXTS:
        op.add_column("match", sa.Column(name, sa.Text(), nullable=True))


def downgrade() -> None:
    """Drops them, and with them what people wrote there: questions, answers, justifications."""
    op.drop_index("match_proposed", "match")
    for name in (*MOMENTS, *TEXTS):
        op.drop_column("match", name)
    op.drop_table("question")
