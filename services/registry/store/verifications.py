"""Verifications: seen by operators, verifiers and the institution's own people."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from services.registry.store import common
from services.registry.tables import VerificationRow
from shared.messaging.transaction import Tx
from shared.web.auth import Caller
from shared.web.paging import PageQuery
from shared.web.problems import not_found


async def get_visible(tx: Tx, caller: Caller, verification_id: UUID, *, lock: bool = False) -> VerificationRow:
    """Raises `not_found` for strangers too."""
    row = await common.load(tx, VerificationRow, verification_id, lock=lock)
    if row is None or not (caller.is_staff or caller.institution_id == row.institution_id):
        raise not_found("verification")
    return row


async def has_open(tx: Tx, institution_id: UUID) -> bool:
    """Whether one waits for its decision."""
    waiting = select(col(VerificationRow.id)).where(
        col(VerificationRow.institution_id) == institution_id, col(VerificationRow.status) == "submitted"
    )
    return await tx.session.scalar(waiting) is not None


async def page(
    tx: Tx, caller: Caller, institution_id: UUID, query: PageQuery
) -> tuple[list[VerificationRow], str | None]:
    """Those of one institution, for those who may see them."""
    rows = select(VerificationRow).where(col(VerificationRow.institution_id) == institution_id)
    if not caller.is_staff:
        rows = rows.where(col(VerificationRow.institution_id) == caller.institution_id)
    return await common.page(tx, rows, VerificationRow, query)
