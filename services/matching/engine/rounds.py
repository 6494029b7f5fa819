"""Allocation of free places to needs in one round: the assignment with the largest sum of score x priority.

At most one place of a capability for one need, at most as many partners as a need wants, at most the free
places of a capability, and at most those of a provider's places that are not reserved for needs of LDCs.
Without a reserve this is a network flow: the linear relaxation has whole vertices, and its optimum is the
best allocation that there is. The reserve goes across the capabilities of a provider, so that a vertex may be
broken in places; these are solved over whole numbers, at once with all others if they are few. What is whole
already stays as it is in a large market: exactness there would take hours for a millionth of the total.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from services.matching.engine.columns import Bools, Floats
from services.matching.engine.solver import Rules, best_shares, best_whole

LDC = "ldc"
WHOLE = 1e-6
"""Less than this from a whole number is the solver's rounding."""
FEW_EDGES = 2_000
"""A market of so many is solved to the last digit."""
MOST_SECONDS = 40.0
"""After this the best that was found counts; the bound tells how far it is from the best there is."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A capability that may serve a need, above the threshold."""

    need: str
    capability: str
    score: float
    priority: float

    @property
    def weight(self) -> float:
        """What choosing it is worth."""
        return self.score * self.priority


@dataclass(frozen=True, slots=True)
class Seeker:
    """How many partners a need still wants, and whether it may take reserved places."""

    id: str
    wanted: int
    ldc: bool


@dataclass(frozen=True, slots=True)
class Market:
    """What is to be allocated: needs, free places by capability, and possible pairs.

    `owners` are the providers of capabilities that keep places for LDCs; `unreserved` is how many of its places such
    a provider may still give to other needs.
    """

    seekers: Sequence[Seeker]
    free: Mapping[str, int]
    edges: Sequence[Edge]
    owners: Mapping[str, str] = field(default_factory=dict)
    unreserved: Mapping[str, int] = field(default_factory=dict)


def unreserved(capacity: int, share: float, taken_by_others: int) -> int:
    """Places of a provider that needs not of LDCs may take, when the whole ones of a share of all are reserved."""
    return max(0, capacity - math.floor(capacity * share + WHOLE) - taken_by_others)


@dataclass(frozen=True, slots=True)
class Allocation:
    """Chosen pairs in the order of need and capability, their total, and the bound that no allocation exceeds."""

    chosen: tuple[Edge, ...]
    total: float
    bound: float


def allocate(market: Market) -> Allocation:
    """The best allocation. The order of seekers and edges does not matter; RuntimeError when the solver fails."""
    edges = sorted(market.edges, key=lambda e: (e.need, e.capability))
    if not edges:
        return Allocation((), 0.0, 0.0)
    rules = _rules(market, edges)
    worth = np.array([edge.weight for edge in edges])
    shares, bound = best_shares(worth, rules)
    broken = (shares > WHOLE) & (shares < 1 - WHOLE)
    if broken.any():
        shares = _mended(edges, worth, rules, np.round(shares), broken)
    chosen = tuple(edge for edge, share in zip(edges, shares.tolist(), strict=True) if share > 1 - WHOLE)
    return Allocation(chosen, math.fsum(edge.weight for edge in chosen), bound)


def _mended(edges: Sequence[Edge], worth: Floats, rules: Rules, shares: Floats, broken: Bools) -> Floats:
    """The shares with whole numbers for all edges of the needs where one is broken; for all if they are few."""
    open_needs = {edge.need for edge, part in zip(edges, broken.tolist(), strict=True) if part}
    few = len(edges) <= FEW_EDGES
    again = np.array([few or edge.need in open_needs for edge in edges])
    mended = np.where(again, 0.0, shares)
    left = rules.without(mended, left=again)
    mended[again] = best_whole(worth[again], left, most_seconds=None if few else MOST_SECONDS)
    return mended


def _rules(market: Market, edges: Sequence[Edge]) -> Rules:
    """One for each need, each capability, and each provider's places that are not reserved."""
    seekers = {seeker.id: seeker for seeker in market.seekers}
    numbers: dict[tuple[str, str], int] = {}
    limits: list[int] = []
    entries: list[tuple[int, int]] = []

    def add(rule: str, subject: str, limit: int, column: int) -> None:
        row = numbers.setdefault((rule, subject), len(limits))
        if row == len(limits):
            limits.append(limit)
        entries.append((row, column))

    for column, edge in enumerate(edges):
        add("need", edge.need, seekers[edge.need].wanted, column)
        add("capability", edge.capability, market.free[edge.capability], column)
        owner = market.owners.get(edge.capability)
        if owner is not None and not seekers[edge.need].ldc:
            add("provider", owner, market.unreserved[owner], column)
    rows, columns = np.array(entries).T
    return Rules(rows, columns, np.array(limits, dtype=float))


def first_come(market: Market) -> tuple[Edge, ...]:
    """What happens without a round: needs in their given order take the best capability that has a place left.

    Reserved places are not kept back here; that is what the comparison shows.
    """
    left = dict(market.free)
    offers: dict[str, list[Edge]] = {}
    for edge in market.edges:
        offers.setdefault(edge.need, []).append(edge)
    taken: list[Edge] = []
    for seeker in market.seekers:
        best = sorted(offers.get(seeker.id, ()), key=lambda e: (-e.score, e.capability))
        for edge in [e for e in best if left[e.capability] > 0][: seeker.wanted]:
            left[edge.capability] -= 1
            taken.append(edge)
    return tuple(taken)
