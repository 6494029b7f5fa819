"""The confirmation of both owners: the one place where places are given away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.matching.commands.answers import locked
from services.matching.commands.moves import move, tell, touch
from services.matching.commands.reconcile import withdraw
from services.matching.domain import formalising
from services.matching.domain.facilitators import INVITED, LAPSED
from services.matching.states import seed_of, state_of
from services.matching.store import capabilities, institutions, matches, needs, queue
from services.matching.tables import EngagementRow
from shared.events.matching import MatchConfirmed, MatchFormalised
from shared.ops.ids import new_id
from shared.reference.vocabulary import MatchWithdrawReason

if TYPE_CHECKING:
    from uuid import UUID

    from services.matching.store.matches import Match
    from services.matching.tables import CapabilityRow, NeedRow
    from shared.messaging.transaction import Tx
    from shared.web.auth import Caller
    from shared.web.versions import Precondition


async def formalise(tx: Tx, caller: Caller, match_id: UUID, if_match: Precondition) -> Match:
    """The first owner confirms, or the second one and with it the match; all rules are checked both times."""
    match = await locked(tx, caller, match_id, "formalise", if_match)
    need, capability = await _hold(tx, match)
    places = await _check(tx, match, need, capability)
    match.row.confirmations = [*match.row.confirmations, match.side(caller)]
    if len(match.row.confirmations) == 1:
        touch(match, tx.now)
        tell(tx, MatchConfirmed, match)
        return match
    await _engage(tx, match, need)
    if places + 1 >= need.partners_wanted:
        await _withdraw_others(tx, match)
    else:
        await queue.need_changed(tx, need.id)  # one of its best is taken, the next one moves up
    await queue.capabilities_changed(tx, [capability.id])
    return match


async def _hold(tx: Tx, match: Match) -> tuple[NeedRow, CapabilityRow]:
    """Need (held already) and capability, in the order of locks."""
    need = await needs.lock(tx, match.row.need_id)
    capability = await capabilities.lock(tx, match.row.capability_id)
    assert need is not None  # noqa: S101 (a match is made from rows that are never deleted)
    assert capability is not None  # noqa: S101
    return need, capability


async def _check(tx: Tx, match: Match, need: NeedRow, capability: CapabilityRow) -> int:
    """Raises the refusal that applies; returns how many partners the need has found so far."""
    row = match.row
    known = await institutions.some(tx, [row.beneficiary_id, row.provider_id])
    sides = ((row.beneficiary_id, row.beneficiary_name), (row.provider_id, row.provider_name))
    places = await needs.places(tx, need.id)
    engaged = await capabilities.engaged(tx, [capability.id])
    formalising.check(
        formalising.Situation(
            parties=[(name, known[i].status if i in known else None) for i, name in sides],
            need_status=need.status,
            partners_wanted=need.partners_wanted,
            partners_found=places,
            capacity=capability.capacity,
            engaged=engaged.get(capability.id, 0),
        )
    )
    return places


async def _engage(tx: Tx, match: Match, need: NeedRow) -> None:
    """Takes the place and mints the project's id, so that it is known before the project exists."""
    row = match.row
    row.project_id, row.expires_at = new_id(), None
    for facilitator in match.facilitators:
        if facilitator.status == INVITED:
            facilitator.status = LAPSED
    seed = seed_of(match, need, row.project_id)
    tx.session.add(
        EngagementRow(
            match_id=row.id,
            need_id=row.need_id,
            capability_id=row.capability_id,
            project_id=row.project_id,
            state="active",
            seed=seed.model_dump(mode="json"),
        )
    )
    move(match, "formalised", tx.now)
    tx.publish(MatchFormalised(match=state_of(match), project=seed, by=tx.by))


async def _withdraw_others(tx: Tx, match: Match) -> None:
    """The need has its partners: its other open matches are taken back, and their parties told."""
    await tx.session.flush()
    for other in await matches.lock_open(tx, match.row.need_id):
        withdraw(tx, other, MatchWithdrawReason.NEED_ENGAGED)
