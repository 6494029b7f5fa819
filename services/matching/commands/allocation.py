"""Working a round out, and carrying it out need by need once it is approved."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from services.matching import facts
from services.matching.commands.proposing import Basis, propose
from services.matching.commands.rounds import move
from services.matching.domain import rounds as rules
from services.matching.domain import seeking
from services.matching.engine import eligibility
from services.matching.engine.rounds import Allocation, Edge, allocate, first_come
from services.matching.engine.simulation import Proposed, equity
from services.matching.store import capabilities, institutions, matches, needs, rounds
from services.matching.tables import RoundPairRow, RoundRow
from shared.events.matching import RoundCompleted, RoundState
from shared.messaging.envelope import SYSTEM_BY
from shared.ops.failpoints import reach

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.matching.commands.market import Found
    from services.matching.engine.model import NeedFacts
    from services.matching.engine.rounds import Market
    from services.matching.ranking import Ranker
    from services.matching.tables import CapabilityRow, InstitutionRow, NeedRow
    from shared.messaging.transaction import Tx


async def work_out(found: Found) -> Allocation:
    """The best allocation, in a thread: seconds for ten thousand needs."""
    return await asyncio.to_thread(_solve, found.market)


def _solve(market: Market) -> Allocation:
    reach("round.solving")
    return allocate(market)


async def keep(tx: Tx, ranker: Ranker, round_id: UUID, found: Found, best: Allocation) -> None:
    """Stores the allocation with its figures; nothing when the round was discarded meanwhile."""
    row = await rounds.lock(tx, round_id)
    if row.status != rules.COMPUTING:
        return
    ranks = {(e.need, e.capability): rank for rank, e in found.ranks()}
    for edge in best.chosen:
        rank = ranks[edge.need, edge.capability]
        tx.session.add(await _pair(tx, ranker, row.id, found.needs[edge.need], (edge, rank)))
    row.figures = await _figures(ranker, found, best, tx)
    row.policy_version, row.as_of = ranker.policy.version, tx.clock.today()
    move(row, rules.PROPOSED, tx)


async def _pair(tx: Tx, ranker: Ranker, round_id: UUID, need: NeedFacts, ranked: tuple[Edge, int]) -> RoundPairRow:
    edge, rank = ranked
    scored = await ranker.score(need, edge.capability, tx.clock.today())
    return RoundPairRow(
        round_id=round_id,
        need_id=UUID(edge.need),
        capability_id=UUID(edge.capability),
        rank=rank,
        score=scored.score,
        priority=edge.priority,
        explanation=scored.explanation(),
    )


async def _figures(ranker: Ranker, found: Found, best: Allocation, tx: Tx) -> dict[str, Any]:
    """The round beside first come, first served: totals, who gains and who loses, equity of both."""
    plain = first_come(found.market)
    before, after = ({(e.need, e.capability) for e in edges} for edges in (plain, best.chosen))
    served_before, served_after = ({need for need, _ in pairs} for pairs in (before, after))
    return {
        "needs": len(found.market.seekers),
        "free_places": sum(found.market.free.values()),
        "pairs": len(best.chosen),
        "total": best.total,
        "bound": best.bound,
        "first_come": {"pairs": len(plain), "total": sum(edge.weight for edge in plain)},
        "gaining_needs": sorted(served_after - served_before),
        "losing_needs": sorted(served_before - served_after),
        "equity": asdict(await _equity(ranker, found, best.chosen, tx)),
        "first_come_equity": asdict(await _equity(ranker, found, plain, tx)),
    }


async def _equity(ranker: Ranker, found: Found, edges: Sequence[Edge], tx: Tx) -> Any:  # noqa: ANN401
    providers: dict[str, list[tuple[str, str | None]]] = {need: [] for need in found.needs}
    owners = await ranker.owners({edge.capability for edge in edges})
    for edge in edges:
        if edge.capability in owners:
            providers[edge.need].append(owners[edge.capability])
    given = [Proposed(need, tuple(providers[need.id])) for need in found.needs.values()]
    return equity(given, ranker.world, tx.clock.today())


async def carry_out(tx: Tx, ranker: Ranker, round_id: UUID, need_id: UUID) -> None:
    """Makes the matches that an approved round gives to one need, as far as the rows still allow them."""
    need = await needs.lock(tx, need_id)
    held = {match.row.capability_id: match.row.id for match in await matches.lock_open(tx, need_id)}
    for pair in await rounds.pairs_of_need(tx, round_id, need_id):
        if pair.capability_id in held:
            pair.outcome, pair.match_id = rules.KEPT, held[pair.capability_id]
        elif need is not None and (good := await _still_good(tx, ranker, need, pair)):
            basis = Basis("round", pair.rank, pair.explanation)
            pair.outcome, pair.match_id = rules.MATCHED, propose(tx, need, good[0], (good[1], good[2]), basis).id
        else:
            pair.outcome = rules.NOT_ELIGIBLE


async def _still_good(
    tx: Tx, ranker: Ranker, need: NeedRow, pair: RoundPairRow
) -> tuple[CapabilityRow, InstitutionRow | None, InstitutionRow] | None:
    """The capability with both sides, unless something that decides has changed since the round was worked out."""
    offered = (await capabilities.some(tx, [pair.capability_id])).get(pair.capability_id)
    if offered is None:
        return None
    known = await institutions.some(tx, {need.institution_id, offered.institution_id})
    owner, provider = known.get(need.institution_id), known.get(offered.institution_id)
    versions = (pair.explanation["need_version"], pair.explanation["capability_version"])
    if provider is None or (need.version, offered.version) != versions:
        return None
    found, standing = await needs.places(tx, need.id), owner.status if owner else None
    if seeking.why_not(need, found, standing, tx.clock.today()) is not None:
        return None
    return (offered, owner, provider) if await _eligible(tx, ranker, need, offered, provider) else None


async def _eligible(tx: Tx, ranker: Ranker, need: NeedRow, offered: CapabilityRow, provider: InstitutionRow) -> bool:
    """The hard rules on the rows as they are now, free places and quiet period included."""
    taken = (await capabilities.engaged(tx, [offered.id])).get(offered.id, 0)
    quiet = await needs.quiet(tx, need.id, tx.now - timedelta(days=ranker.policy.quiet_days))
    pair = eligibility.Pair(
        facts.need_facts(need),
        facts.capability_facts(offered, taken),
        facts.standing(provider),
        tx.clock.today(),
        ranker.world,
        frozenset(map(str, quiet)),
    )
    return eligibility.eligible(pair)


async def complete(tx: Tx, round_id: UUID) -> None:
    """Every pair has its outcome."""
    row = await rounds.lock(tx, round_id)
    if row.status != rules.APPROVED:
        return
    outcomes = await rounds.outcomes(tx, round_id)
    row.figures = {**(row.figures or {}), "outcomes": {name: outcomes.get(name, 0) for name in _OUTCOMES}}
    move(row, rules.COMPLETED, tx)
    tx.publish(RoundCompleted(round=state_of(row), by=SYSTEM_BY))


_OUTCOMES = (rules.MATCHED, rules.KEPT, rules.NOT_ELIGIBLE)


def state_of(row: RoundRow) -> RoundState:
    """The round as the world may see it: counts, no pairs."""
    figures = row.figures or {}
    return RoundState(
        id=row.id,
        version=row.version,
        status=row.status,
        policy_version=row.policy_version,
        as_of=row.as_of,
        needs=figures["needs"],
        pairs=figures["pairs"],
        outcomes=figures["outcomes"],
        updated_at=row.updated_at,
    )
