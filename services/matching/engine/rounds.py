"""Allocation of free places to needs in one round: the assignment with the largest sum of score x priority.

At most one place of a capability for one need, at most as many partners as a need wants, at most the free
places of a capability, and of these a reserved share for needs of LDCs only. The rules of one side are
nested, so this is a network flow: the vertices of its linear relaxation are whole numbers, and HiGHS's
optimum is the best allocation that there is, equal to the bound of the relaxation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LDC = "ldc"
WHOLE = 1e-6
"""Less than this from a whole number is the solver's rounding."""


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
    """What is to be allocated: needs, free places by capability, possible pairs, and the share kept for LDCs."""

    seekers: Sequence[Seeker]
    free: dict[str, int]
    edges: Sequence[Edge]
    reserve: float = 0.0

    def reserved(self, capability: str) -> int:
        """Places of a capability that only needs of LDCs may take: the whole ones of the reserved share."""
        return math.floor(self.free[capability] * self.reserve + WHOLE)


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
    # half a second to import, for the one process that ever runs a round
    from scipy.optimize import linprog  # noqa: PLC0415

    rows, limits = _rules(market, edges)
    worth = np.array([edge.weight for edge in edges])
    solved = linprog(-worth, A_ub=rows, b_ub=limits, bounds=(0, 1), method="highs-ipm")
    if solved.x is None or not solved.success:
        raise RuntimeError(f"the solver gave up: {solved.message}")
    chosen = tuple(edge for edge, share in zip(edges, solved.x.tolist(), strict=True) if share > 1 - WHOLE)
    return Allocation(chosen, math.fsum(edge.weight for edge in chosen), float(-solved.fun))


def _rules(market: Market, edges: Sequence[Edge]) -> tuple[object, list[int]]:
    """Matrix and limits: a row for each need, each capability, and each capability's places that are not reserved."""
    from scipy.sparse import csr_matrix  # noqa: PLC0415

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
        free, reserved = market.free[edge.capability], market.reserved(edge.capability)
        add("need", edge.need, seekers[edge.need].wanted, column)
        add("capability", edge.capability, free, column)
        if reserved and not seekers[edge.need].ldc:
            add("unreserved", edge.capability, free - reserved, column)
    places = np.array(entries).T
    return csr_matrix((np.ones(len(entries)), tuple(places)), shape=(len(limits), len(edges))), limits


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
