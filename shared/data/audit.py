"""The audit trail: one append-only row per state change, in its transaction. Ids only, never names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, MetaData, Table, Text, Uuid, insert

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.web.auth import Caller


def audit_table(metadata: MetaData) -> Table:
    """The table of one service."""
    return Table(
        "audit",
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("at", DateTime(timezone=True), nullable=False),
        Column("sub", Text, nullable=False),
        Column("institution_id", Uuid),
        Column("via", Text, nullable=False),
        Column("request_id", Text),
        Column("action", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Index("audit_subject", "subject"),
    )


async def record(
    session: AsyncSession,
    table: Table,
    caller: Caller,
    *,
    at: datetime,
    action: str,
    subject: str,
    request_id: str | None,
) -> None:
    """Writes who did what to which resource, when, and by which request."""
    institution: UUID | None = caller.institution_id
    await session.execute(
        insert(table).values(
            at=at,
            sub=caller.sub,
            institution_id=institution,
            via=caller.via,
            request_id=request_id,
            action=action,
            subject=subject,
        )
    )
