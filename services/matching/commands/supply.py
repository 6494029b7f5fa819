"""What is offered changed: takes it into the index and finds the needs that this concerns."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from services.matching.store import institutions, needs, queue, trade

if TYPE_CHECKING:
    from services.matching.ranking import Ranker
    from shared.messaging.transaction import Tx

FEW_OFFERS = 50
"""So many changed capabilities are looked up among the open needs one by one, however few needs there are."""

Causes = dict[UUID, str | None]


async def absorb(tx: Tx, ranker: Ranker, limit: int) -> set[str]:
    """Takes a batch of changes from the queue; what they concern goes back into it as needs.

    Gives the kinds that were there. An index that is to be built again is the worker's: it takes more than one
    transaction.
    """
    taken = await queue.take_supply(tx, limit)
    if not taken:
        return set()
    of = {kind: {subject: cause for k, subject, cause in taken if k == kind} for kind in _KINDS}
    if of[queue.POLICY]:
        await ranker.adopt(tx)
        await queue.push_live_needs(tx)
    changed: Causes = of[queue.CAPABILITY]
    concerned = await _traders(tx, ranker, of[queue.TRADE])
    for institution_id, cause in of[queue.INSTITUTION].items():
        for capability_id in await institutions.capability_ids(tx, institution_id):
            changed.setdefault(capability_id, cause)
        concerned |= dict.fromkeys(await needs.of_institution(tx, institution_id), cause)
    await ranker.refresh(tx, changed, {*of[queue.INSTITUTION], *of[queue.RECORD]})
    matched = await needs.with_open_matches(tx, changed)
    concerned |= {need_id: changed[capability_id] for need_id, capability_id in matched.items()}
    await _find_takers(tx, ranker, changed, concerned)
    await queue.push_needs(tx, concerned)
    return {kind for kind, _, _ in taken}


_KINDS = (queue.CAPABILITY, queue.INSTITUTION, queue.RECORD, queue.POLICY, queue.TRADE)


async def _traders(tx: Tx, ranker: Ranker, profiles: Causes) -> Causes:
    """Needs that seek trade with countries of which other figures are known now; once, however many countries."""
    if not profiles:
        return {}
    await ranker.take_trade(tx)
    found = await needs.seeking_trade(tx, await trade.countries(tx, profiles))
    return dict.fromkeys(found, next(iter(profiles.values())))


async def _find_takers(tx: Tx, ranker: Ranker, changed: Causes, concerned: Causes) -> None:
    """Adds the open needs among whose best one of these capabilities may be; all when the offers are more."""
    offered = {str(i): cause for i, cause in changed.items() if ranker.index.capability(str(i)) is not None}
    if not offered:
        return
    if len(offered) > max(FEW_OFFERS, await needs.count_open(tx)):
        await queue.push_live_needs(tx, next(iter(offered.values())))
        return
    for need_id, capability_id in (await ranker.open_needs.takers(tx, list(offered), tx.clock.today())).items():
        concerned.setdefault(UUID(need_id), offered[capability_id])
