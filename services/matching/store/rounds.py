"""Rounds and the pairs that they give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import func, select
from sqlmodel import col

from services.matching.tables import RoundPairRow, RoundRow
from shared.data.keyset import page
from shared.web.problems import not_found

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.messaging.transaction import Tx
    from shared.web.paging import PageQuery


async def get(tx: Tx, round_id: UUID) -> RoundRow:
    """One; raises `not_found`."""
    row = await tx.session.get(RoundRow, round_id)
    if row is None:
        raise not_found("round")
    return row


async def lock(tx: Tx, round_id: UUID) -> RoundRow:
    """The same, held."""
    row = await tx.session.get(RoundRow, round_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise not_found("round")
    return row


async def page_of(tx: Tx, query: PageQuery) -> tuple[list[RoundRow], str | None]:
    """One page, newest first."""
    keys: list[Any] = [RoundRow.id]
    return await page(tx.session, select(RoundRow), keys, query, descending=True)


async def next_with(tx: Tx, status: str) -> UUID | None:
    """The oldest round of this status."""
    rows = select(col(RoundRow.id)).where(col(RoundRow.status) == status).order_by(col(RoundRow.id)).limit(1)
    return await tx.session.scalar(rows)


async def page_of_pairs(tx: Tx, round_id: UUID, query: PageQuery) -> tuple[list[RoundPairRow], str | None]:
    """One page of its pairs, in the order of needs."""
    keys: list[Any] = [RoundPairRow.need_id, RoundPairRow.capability_id]
    return await page(tx.session, select(RoundPairRow).where(col(RoundPairRow.round_id) == round_id), keys, query)


async def waiting_need(tx: Tx, round_id: UUID) -> UUID | None:
    """A need of which pairs of an approved round still wait."""
    rows = select(col(RoundPairRow.need_id)).where(
        col(RoundPairRow.round_id) == round_id, col(RoundPairRow.outcome).is_(None)
    )
    return await tx.session.scalar(rows.order_by(col(RoundPairRow.need_id)).limit(1))


async def pairs_of_need(tx: Tx, round_id: UUID, need_id: UUID) -> Sequence[RoundPairRow]:
    """Its pairs for one need that still wait."""
    rows = select(RoundPairRow).where(
        col(RoundPairRow.round_id) == round_id,
        col(RoundPairRow.need_id) == need_id,
        col(RoundPairRow.outcome).is_(None),
    )
    return (await tx.session.scalars(rows.order_by(col(RoundPairRow.capability_id)))).all()


async def outcomes(tx: Tx, round_id: UUID) -> dict[str, int]:
    """How many pairs had each outcome."""
    counted = select(col(RoundPairRow.outcome), func.count()).where(col(RoundPairRow.round_id) == round_id)
    rows = await tx.session.execute(counted.group_by(col(RoundPairRow.outcome)))
    return {outcome: count for outcome, count in rows if outcome is not None}
