"""A round gives places to needs: never too many, the reserve kept, the best total there is, the same every time."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.matching.engine.rounds import Edge, Market, Seeker, allocate, first_come

NEEDS, OFFERS = ("n0", "n1", "n2", "n3"), ("c0", "c1", "c2")
EDGES = st.dictionaries(
    st.tuples(st.sampled_from(NEEDS), st.sampled_from(OFFERS)),
    st.tuples(st.floats(0.3, 1.0), st.sampled_from((0.75, 1.0, 1.5, 2.25))),
    max_size=8,
)
MARKETS = st.builds(
    lambda edges, wanted, ldc, free, reserve: Market(
        [Seeker(n, w, is_ldc) for n, w, is_ldc in zip(NEEDS, wanted, ldc, strict=True)],
        dict(zip(OFFERS, free, strict=True)),
        [Edge(n, c, score, priority) for (n, c), (score, priority) in edges.items()],
        reserve,
    ),
    EDGES,
    st.tuples(*[st.integers(1, 2)] * len(NEEDS)),
    st.tuples(*[st.booleans()] * len(NEEDS)),
    st.tuples(*[st.integers(0, 4)] * len(OFFERS)),
    st.sampled_from((0.0, 0.25, 0.5, 1.0)),
)
SLOW = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _allowed(market: Market, chosen: tuple[Edge, ...]) -> bool:
    seekers = {seeker.id: seeker for seeker in market.seekers}
    by_need, by_offer = Counter(e.need for e in chosen), Counter(e.capability for e in chosen)
    others = Counter(e.capability for e in chosen if not seekers[e.need].ldc)
    return (
        all(count <= seekers[need].wanted for need, count in by_need.items())
        and all(count <= market.free[offer] for offer, count in by_offer.items())
        and all(count <= market.free[offer] - market.reserved(offer) for offer, count in others.items())
    )


@SLOW
@given(MARKETS)
def test_the_total_is_that_of_the_best_of_all_allocations(market: Market) -> None:
    found = allocate(market)
    assert _allowed(market, found.chosen)
    every = itertools.chain.from_iterable(
        itertools.combinations(market.edges, size) for size in range(len(market.edges) + 1)
    )
    best = max(sum(e.weight for e in chosen) for chosen in every if _allowed(market, chosen))
    assert found.total == pytest.approx(best, abs=1e-6)
    assert found.bound == pytest.approx(found.total, rel=1e-3, abs=1e-6)


@SLOW
@given(MARKETS, st.randoms(use_true_random=False))
def test_neither_repetition_nor_order_changes_the_outcome(market: Market, shuffle: random.Random) -> None:
    edges, seekers = list(market.edges), list(market.seekers)
    shuffle.shuffle(edges)
    shuffle.shuffle(seekers)
    first = allocate(market)
    assert allocate(market) == first
    assert allocate(Market(seekers, market.free, edges, market.reserve)) == first


def test_reserved_places_wait_for_ldcs() -> None:
    seekers = [Seeker("rich", 1, ldc=False), Seeker("other", 1, ldc=False), Seeker("poor", 1, ldc=True)]
    edges = [Edge(seeker.id, "c", 0.9 - place / 10, 1.0) for place, seeker in enumerate(seekers)]
    assert {e.need for e in allocate(Market(seekers, {"c": 2}, edges)).chosen} == {"rich", "other"}
    assert {e.need for e in allocate(Market(seekers, {"c": 2}, edges, reserve=0.5)).chosen} == {"rich", "poor"}
    assert {e.need for e in first_come(Market(seekers, {"c": 2}, edges, reserve=0.5))} == {"rich", "other"}


def test_a_round_is_better_than_first_come_where_the_first_takes_the_only_partner_of_the_second() -> None:
    seekers = [Seeker("early", 1, ldc=False), Seeker("late", 1, ldc=False)]
    edges = [Edge("early", "a", 0.90, 1.0), Edge("early", "b", 0.89, 1.0), Edge("late", "a", 0.80, 1.0)]
    market = Market(seekers, {"a": 1, "b": 1}, edges)
    assert [(e.need, e.capability) for e in first_come(market)] == [("early", "a")]
    assert [(e.need, e.capability) for e in allocate(market).chosen] == [("early", "b"), ("late", "a")]


def test_nothing_to_give_gives_nothing() -> None:
    assert allocate(Market([], {}, [])).chosen == ()
    assert allocate(Market([Seeker("n", 1, ldc=True)], {"c": 0}, [Edge("n", "c", 0.5, 1.0)])).chosen == ()
