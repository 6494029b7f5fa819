"""A match that somebody names: both sides by hand, with a reason, where a ranking would not (or no more) propose it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID

from services.matching import facts
from services.matching.commands.answers import interest
from services.matching.commands.proposing import Basis, propose
from services.matching.domain import seeking
from services.matching.domain.matches import BENEFICIARY, LIFECYCLE, PROVIDER, check_reason
from services.matching.engine import eligibility
from services.matching.store import capabilities, institutions, matches, needs
from services.matching.store.matches import Match
from shared.lifecycle import Invalid, Refused
from shared.web.problems import refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.matching.engine.score import Scored
    from services.matching.ranking import Ranker
    from services.matching.tables import CapabilityRow, InstitutionRow, NeedRow
    from shared.messaging.transaction import Tx
    from shared.web.auth import Caller

MOST_NAMED = 10
"""Open matches that a provider has named with one capability: it picks needs, it does not write to all of them."""
Justification = tuple[str, str | None]


async def propose_directly(
    tx: Tx, ranker: Ranker, caller: Caller, pair: tuple[UUID, UUID], justification: Justification
) -> Match:
    """The pair of a need and a capability as a new match; a side that names the other is interested by that.

    All hard rules hold but the quiet time after a refusal, which a person may cut short. Raises `Invalid`,
    `wrong_institution`, `not_eligible` and what a need that seeks nobody is refused with.
    """
    check_reason(*justification)
    need, capability = await _named(tx, *pair)
    side = _side(caller, need, capability)
    owner, provider = await _parties(tx, need, capability)
    await _check_need(tx, need, owner)
    held = await matches.lock_open(tx, need.id)
    _check_new(held, capability, engaged=await needs.engaged_with(tx, need.id, capability.id))
    if side == PROVIDER and await matches.count_named(tx, capability.id) >= MOST_NAMED:
        raise _not_eligible(f"{MOST_NAMED} needs that it named have not answered yet.", ["too_many_named"])
    scored = await _scored(tx, ranker, need, capability, provider)
    rank = 1 + sum(match.row.score > scored.score for match in held)
    basis = Basis("direct", rank, scored.explanation(), justification)
    match = Match(propose(tx, need, capability, (owner, provider), basis))
    match.row.named_by = side
    if side is not None:
        interest(tx, match, side)
    return match


async def _named(tx: Tx, need_id: UUID, capability_id: UUID) -> tuple[NeedRow, CapabilityRow]:
    """The need, held, and the capability."""
    need = await needs.lock(tx, need_id)
    if need is None:
        raise Invalid("/need_id", "Matching knows no such need", "unknown")
    capability = (await capabilities.some(tx, [capability_id])).get(capability_id)
    if capability is None:
        raise Invalid("/capability_id", "Matching knows no such capability", "unknown")
    return need, capability


def _side(caller: Caller, need: NeedRow, capability: CapabilityRow) -> str | None:
    """On which side the caller speaks; None for an operator, who speaks for nobody."""
    if caller.is_operator:
        return None
    if caller.institution_id == need.institution_id:
        return BENEFICIARY
    if caller.institution_id == capability.institution_id:
        return PROVIDER
    raise refuse("wrong_institution", "Only one of the two institutions, or an operator, brings them together.")


async def _parties(tx: Tx, need: NeedRow, capability: CapabilityRow) -> tuple[InstitutionRow | None, InstitutionRow]:
    known = await institutions.some(tx, [need.institution_id, capability.institution_id])
    provider = known.get(capability.institution_id)
    if provider is None:
        raise Invalid("/capability_id", "Matching has not heard of the institution of this capability yet", "unknown")
    return known.get(need.institution_id), provider


async def _check_need(tx: Tx, need: NeedRow, owner: InstitutionRow | None) -> None:
    found, standing = await needs.places(tx, need.id), owner.status if owner else None
    if code := seeking.why_not(need, found, standing, tx.clock.today()):
        raise refuse(code, f"{seeking.WHY[code]} It is {need.status}, its deadline {need.deadline.isoformat()}.")


def _check_new(held: list[Match], capability: CapabilityRow, *, engaged: bool) -> None:
    same = next((match for match in held if match.row.capability_id == capability.id), None)
    if same is not None:
        raise LIFECYCLE.invalid("match", same.row.status, [], f"The two have an open match already: {same.row.id}.")
    if engaged:
        raise LIFECYCLE.invalid("match", "formalised", [], "The two work together already: their match is formalised.")


async def _scored(tx: Tx, ranker: Ranker, need: NeedRow, capability: CapabilityRow, provider: InstitutionRow) -> Scored:
    """The explained score by the rows as they are now; raises `not_eligible`."""
    [offer] = await facts.load_capabilities(tx, [capability])
    [owner] = await facts.load_institutions(tx, [provider])
    sought, today = facts.need_facts(need), tx.clock.today()
    if excluded := eligibility.reasons(eligibility.Pair(sought, offer, owner, today, ranker.world)):
        raise _not_eligible("Hard rules exclude this capability; `errors` names them.", excluded)
    return await asyncio.to_thread(ranker.beside(owner, offer).score, sought, offer.id, today)


def _not_eligible(detail: str, codes: Sequence[str]) -> Refused:
    errors = [{"pointer": "/capability_id", "code": code, "message": code.replace("_", " ")} for code in codes]
    return refuse("not_eligible", detail, errors=errors)
