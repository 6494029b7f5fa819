"""What a round has to give: needs that seek partners, their best candidates, free places, and the reserve for LDCs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from services.matching import facts
from services.matching.engine.priority import priority
from services.matching.engine.rounds import LDC, Edge, Market, Seeker, unreserved
from services.matching.store import capabilities, needs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from services.matching.engine.model import NeedFacts
    from services.matching.ranking import Ranker
    from services.matching.tables import CapabilityRow
    from shared.messaging.transaction import Tx

CANDIDATES = 20
"""Capabilities looked at per need: places beyond these hardly ever make a round better."""


class Found:
    """The market of a round, and the facts of its needs."""

    def __init__(self, market: Market, sought: dict[str, NeedFacts]) -> None:
        self.market, self.needs = market, sought

    def ranks(self) -> list[tuple[int, Edge]]:
        """Every edge with its place among the candidates of its need."""
        places: dict[str, int] = {}
        ranked = []
        for edge in self.market.edges:
            places[edge.need] = places.get(edge.need, 0) + 1
            ranked.append((places[edge.need], edge))
        return ranked


async def look(tx: Tx, ranker: Ranker) -> Found:
    """All open needs that want partners, their best candidates, and the places that are free."""
    today, seekers, edges, sought = tx.clock.today(), [], [], {}
    last = UUID(int=0)
    while page := await needs.seeking(tx, last, today):
        last = page[-1][0].id
        quiet = await needs.quiet_of(tx, [row.id for row, _ in page], tx.now - timedelta(days=ranker.policy.quiet_days))
        for row, found in page:
            need = sought[str(row.id)] = facts.need_facts(row)
            seekers.append(Seeker(need.id, row.partners_wanted - found, _is_ldc(ranker, need.country, today)))
            silent = [str(capability_id) for capability_id in quiet.get(row.id, ())]
            best = await ranker.top(need, today, CANDIDATES, silent)
            weight = priority(need, today, ranker.policy, ranker.world)
            edges += [Edge(need.id, capability_id, score, weight) for capability_id, score in best]
    rows = await capabilities.some(tx, {UUID(edge.capability) for edge in edges})
    offered = [row for row in rows.values() if row.status == capabilities.PUBLISHED]
    free = await _free(tx, offered)
    possible = [edge for edge in edges if free.get(edge.capability, 0) > 0]
    return Found(Market(seekers, free, possible, *await _reserve(tx, ranker, offered)), sought)


async def _free(tx: Tx, offered: Sequence[CapabilityRow]) -> dict[str, int]:
    taken = await capabilities.engaged(tx, [row.id for row in offered])
    return {str(row.id): row.capacity - taken.get(row.id, 0) for row in offered}


async def _reserve(tx: Tx, ranker: Ranker, offered: Sequence[CapabilityRow]) -> tuple[dict[str, str], dict[str, int]]:
    """Owners of the offers, and how many of all its places each may still give to needs not of LDCs."""
    share = ranker.policy.ldc_reserve
    if not share:
        return {}, {}
    owners = {row.institution_id for row in offered}
    places, others, today = await capabilities.places(tx, owners), dict[UUID, int](), tx.clock.today()
    for owner, country, taken in await capabilities.taken_by_country(tx, owners):
        if not _is_ldc(ranker, country, today):
            others[owner] = others.get(owner, 0) + taken
    left = {str(owner): unreserved(places.get(owner, 0), share, others.get(owner, 0)) for owner in owners}
    return {str(row.id): str(row.institution_id) for row in offered}, left


def _is_ldc(ranker: Ranker, country: str | None, on: date) -> bool:
    """Whether needs of this country may take reserved places."""
    return country is not None and LDC in ranker.world.groups(country, on)
