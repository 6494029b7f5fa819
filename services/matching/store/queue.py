"""The durable queue of the engine: what it must look at again, and because of which event."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import delete, func, insert, select

from services.matching.bell import BELL
from services.matching.tables import MatchRow, NeedRow, WorkRow

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from shared.messaging.transaction import Tx

NEED, CAPABILITY, INSTITUTION, RECORD, RELOAD = "need", "capability", "institution", "record", "reload"
POLICY, TRADE = "policy", "trade"
NOBODY = UUID(int=0)
_T = WorkRow.__table__  # type: ignore[attr-defined]  # SQLModel does not type it
_MATCH, _NEED = MatchRow.__table__.c, NeedRow.__table__.c  # type: ignore[attr-defined]


async def need_changed(tx: Tx, *need_ids: UUID) -> None:
    """These needs, their proposals, or what may be proposed to them changed: review and rank them."""
    await _push(tx, NEED, need_ids)


async def capabilities_changed(tx: Tx, ids: Iterable[UUID]) -> None:
    """These capabilities or their free places changed: review their matches, rank the needs they may serve."""
    await _push(tx, CAPABILITY, ids)


async def institution_changed(tx: Tx, institution_id: UUID) -> None:
    """Its standing, country or name changed: so did its capabilities, its needs and its open matches."""
    await _push(tx, INSTITUTION, [institution_id])


async def record_changed(tx: Tx, institution_ids: Iterable[UUID]) -> None:
    """Its track record or evidence changed: the next ranking uses it, none is made for it."""
    await _push(tx, RECORD, institution_ids)


async def trade_changed(tx: Tx, profile_id: UUID) -> None:
    """What this country exports or imports changed: rank needs that seek trade with it."""
    await _push(tx, TRADE, [profile_id])


async def reload(tx: Tx) -> None:
    """The index is to be built again from the rows."""
    await _push(tx, RELOAD, [NOBODY])


async def policy_changed(tx: Tx) -> None:
    """Another policy is in force: rank by it from now on, and look at all live needs again."""
    await _push(tx, POLICY, [NOBODY])


def ring(tx: Tx) -> None:
    """There is work that is not in the queue: a round to work out or to carry out."""
    tx.after_commit(BELL.ring)


async def _push(tx: Tx, kind: str, subjects: Iterable[UUID], causation: str | None = None) -> None:
    rows = [{"kind": kind, "subject": subject, "causation": causation or tx.causation} for subject in subjects]
    if rows:
        await tx.session.execute(insert(_T), rows)
        tx.after_commit(BELL.ring)


async def push_needs(tx: Tx, causes: dict[UUID, str | None]) -> None:
    """Needs with the event that made each of them worth a look."""
    rows = [{"kind": NEED, "subject": need_id, "causation": causation} for need_id, causation in causes.items()]
    if rows:
        await tx.session.execute(insert(_T), rows)


async def push_live_needs(tx: Tx, causation: str | None = None) -> None:
    """All needs that seek partners or have open matches: after a policy, a bulk change, and every night."""
    seeking = select(_NEED.id).where(_NEED.status == "open")
    matched = select(_MATCH.need_id).where(~_MATCH.closed)
    ids = (await tx.session.scalars(seeking.union(matched))).all()
    await push_needs(tx, dict.fromkeys(ids, causation))


async def take_supply(tx: Tx, limit: int) -> list[tuple[str, UUID, str | None]]:
    """Takes changes of what is offered (kind, subject, cause), oldest first, one per subject."""
    oldest = select(_T.c.id).where(_T.c.kind != NEED).order_by(_T.c.id).limit(limit)
    taken = delete(_T).where(_T.c.id.in_(oldest)).returning(_T.c.id, _T.c.kind, _T.c.subject, _T.c.causation)
    rows = sorted(await tx.session.execute(taken))
    return list({(row.kind, row.subject): (row.kind, row.subject, row.causation) for row in rows}.values())


async def next_needs(tx: Tx, limit: int, without: Collection[UUID] = ()) -> list[UUID]:
    """Needs that wait, oldest request first."""
    rows = (
        select(_T.c.subject).where(_T.c.kind == NEED, _T.c.subject.not_in(list(without))).order_by(_T.c.id).limit(limit)
    )
    return list(dict.fromkeys((await tx.session.scalars(rows)).all()))


async def take_need(tx: Tx, need_id: UUID) -> tuple[bool, str | None]:
    """Takes all requests of one need: whether there was any, and the cause of the first that has one.

    The first is what the need waited for longest: a need that was posted while offers arrived is proposed because
    it was posted.
    """
    taken = delete(_T).where(_T.c.kind == NEED, _T.c.subject == need_id).returning(_T.c.id, _T.c.causation)
    rows = sorted((await tx.session.execute(taken)).all(), key=lambda row: row.id)
    return bool(rows), next((row.causation for row in rows if row.causation), None)


async def waiting(tx: Tx) -> int:
    """How much work waits."""
    return int(await tx.session.scalar(select(func.count()).select_from(_T)) or 0)
