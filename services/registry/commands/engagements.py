"""How the fate of a formalised match moves its need: computed from one row per match, never from arrival order."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from services.registry.commands.needs import changed
from services.registry.domain import needs as rules
from services.registry.store import engagements
from services.registry.store.common import Owned
from services.registry.tables import InstitutionRow, NeedRow
from shared.events.registry import NeedEngaged, NeedEvent, NeedExpired, NeedFulfilled, NeedReopened, NeedWithdrawn
from shared.messaging.transaction import Tx
from shared.reference.vocabulary import SystemReason

EVENTS: Mapping[str, type[NeedEvent]] = {
    "open": NeedReopened,
    "engaged": NeedEngaged,
    "fulfilled": NeedFulfilled,
    "expired": NeedExpired,
    "withdrawn": NeedWithdrawn,
}


async def begin(tx: Tx, *, match_id: UUID, need_id: UUID, capability_id: UUID | None, project_id: UUID | None) -> None:
    """A match was formalised: it takes a place of its need and of its capability."""
    need = await _locked(tx, need_id)
    added = await engagements.add_running(
        tx, match_id=match_id, need_id=need_id, capability_id=capability_id, project_id=project_id
    )
    if added and need is not None:
        await _settle(tx, need, reopened=False)


async def end(
    tx: Tx, *, match_id: UUID, need_id: UUID, capability_id: UUID | None, project_id: UUID, state: str, reopens: bool
) -> None:
    """Its project was completed or cancelled: the capability's place is free, the need follows.

    An end implies its beginning. Whoever hears of the end first tells of both, so that no step of a need is skipped.
    """
    await begin(tx, match_id=match_id, need_id=need_id, capability_id=capability_id, project_id=project_id)
    need = await _locked(tx, need_id)
    news = await engagements.end(tx, match_id=match_id, project_id=project_id, state=state, reopens=reopens)
    if news and need is not None:
        await _settle(tx, need, reopened=reopens)


async def _locked(tx: Tx, need_id: UUID) -> Owned[NeedRow] | None:
    """The need before its engagements, always, so that two events of one need wait for each other."""
    rows = select(NeedRow, InstitutionRow).join(InstitutionRow, col(InstitutionRow.id) == NeedRow.institution_id)
    locked = rows.where(col(NeedRow.id) == need_id).with_for_update(of=NeedRow)
    found = (await tx.session.execute(locked.execution_options(populate_existing=True))).one_or_none()
    return None if found is None else Owned(found[0], found[1])


async def _settle(tx: Tx, need: Owned[NeedRow], *, reopened: bool) -> None:
    row = need.row
    over = rules.is_over(row.deadline, tx.clock.today())
    places = await engagements.places(tx, row.id)
    status = rules.status_after(row.status, places, row.partners_wanted, over=over, reopened=reopened)
    if status == row.status:
        return
    row.status, row.reason_code, row.reason_text = status, None, None
    if status == "withdrawn":
        row.reason_code, row.reason_text = SystemReason.PROJECT_CANCELLED, ""
    changed(tx, EVENTS[status], need)
