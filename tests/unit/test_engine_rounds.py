"""A round gives places to needs: never too many, the reserve kept, the best total there is, the same every time."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.matching.engine.rounds import Edge, Market, Seeker, allocate, first_come, unreserved
from services.matching.engine.solver import Rules, best_shares, best_whole

NEEDS, OFFERS = ("n0", "n1", "n2", "n3"), ("c0", "c1", "c2")
EDGES = st.dictionaries(
    st.tuples(st.sampled_from(NEEDS), st.sampled_from(OFFERS)),
    st.tuples(st.floats(0.3, 1.0), st.sampled_from((0.75, 1.0, 1.5, 2.25))),
    max_size=8,
)
OWNERS = {"c0": "p0", "c1": "p0", "c2": "p1"}
MARKETS = st.builds(
    lambda edges, wanted, ldc, free, left: Market(
        [Seeker(n, w, is_ldc) for n, w, is_ldc in zip(NEEDS, wanted, ldc, strict=True)],
        dict(zip(OFFERS, free, strict=True)),
        [Edge(n, c, score, priority) for (n, c), (score, priority) in edges.items()],
        OWNERS if left else {},
        dict(zip(("p0", "p1"), left, strict=True)) if left else {},
    ),
    EDGES,
    st.tuples(*[st.integers(1, 2)] * len(NEEDS)),
    st.tuples(*[st.booleans()] * len(NEEDS)),
    st.tuples(*[st.integers(0, 4)] * len(OFFERS)),
    st.none() | st.tuples(st.integers(0, 4), st.integers(0, 4)),
)
SLOW = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _allowed(market: Market, chosen: tuple[Edge, ...]) -> bool:
    seekers = {seeker.id: seeker for seeker in market.seekers}
    by_need, by_offer = Counter(e.need for e in chosen), Counter(e.capability for e in chosen)
    others = Counter(market.owners.get(e.capability) for e in chosen if not seekers[e.need].ldc)
    return (
        all(count <= seekers[need].wanted for need, count in by_need.items())
        and all(count <= market.free[offer] for offer, count in by_offer.items())
        and all(count <= market.unreserved[owner] for owner, count in others.items() if owner is not None)
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
    assert found.bound >= found.total - 1e-6
    if not market.owners:
        assert found.bound == pytest.approx(found.total, abs=1e-6)


@SLOW
@given(MARKETS, st.randoms(use_true_random=False))
def test_neither_repetition_nor_order_changes_the_outcome(market: Market, shuffle: random.Random) -> None:
    edges, seekers = list(market.edges), list(market.seekers)
    shuffle.shuffle(edges)
    shuffle.shuffle(seekers)
    first = allocate(market)
    assert allocate(market) == first
    assert allocate(Market(seekers, market.free, edges, market.owners, market.unreserved)) == first


def test_reserved_places_wait_for_ldcs() -> None:
    seekers = [Seeker("rich", 1, ldc=False), Seeker("other", 1, ldc=False), Seeker("poor", 1, ldc=True)]
    edges = [Edge(seeker.id, "c", 0.9 - place / 10, 1.0) for place, seeker in enumerate(seekers)]
    kept = Market(seekers, {"c": 2}, edges, {"c": "p"}, {"p": unreserved(2, 0.5, 0)})
    assert {e.need for e in allocate(Market(seekers, {"c": 2}, edges)).chosen} == {"rich", "other"}
    assert {e.need for e in allocate(kept).chosen} == {"rich", "poor"}
    assert {e.need for e in first_come(kept)} == {"rich", "other"}


def test_the_reserve_is_a_share_of_all_places_of_a_provider() -> None:
    assert [unreserved(capacity, 0.3, 0) for capacity in (1, 3, 4, 10)] == [1, 3, 3, 7]
    assert unreserved(10, 0.3, 5) == 2
    assert unreserved(10, 0.3, 9) == 0
    seekers = [Seeker(f"rich{n}", 1, ldc=False) for n in range(4)] + [Seeker("poor", 1, ldc=True)]
    edges = [Edge(f"rich{n}", f"c{n}", 0.9, 1.0) for n in range(4)] + [Edge("poor", "c0", 0.4, 1.0)]
    free = {f"c{n}": 1 for n in range(4)}
    kept = Market(seekers, free, edges, dict.fromkeys(free, "p"), {"p": unreserved(4, 0.3, 0)})
    assert {e.need for e in allocate(kept).chosen} == {"rich1", "rich2", "rich3", "poor"}


def test_an_allocation_is_whole_where_the_relaxed_one_is_broken() -> None:
    """Five pairs in a ring, each excluding the next: by need, by capability, and once by the reserve of `p`."""
    seekers = [Seeker("ldc", 1, ldc=True), Seeker("b", 1, ldc=False), Seeker("c", 1, ldc=False)]
    pairs = [("ldc", "x"), ("ldc", "y"), ("b", "y"), ("c", "z"), ("c", "x")]
    edges = [Edge(need, offer, 0.9, 1.0) for need, offer in pairs]
    market = Market(seekers, {"x": 1, "y": 1, "z": 1}, edges, {"x": "q", "y": "p", "z": "p"}, {"p": 1, "q": 1})
    found = allocate(market)
    assert _allowed(market, found.chosen)
    assert found.bound == pytest.approx(2.5 * 0.9)
    assert found.total == pytest.approx(2 * 0.9)


def test_a_round_is_better_than_first_come_where_the_first_takes_the_only_partner_of_the_second() -> None:
    seekers = [Seeker("early", 1, ldc=False), Seeker("late", 1, ldc=False)]
    edges = [Edge("early", "a", 0.90, 1.0), Edge("early", "b", 0.89, 1.0), Edge("late", "a", 0.80, 1.0)]
    market = Market(seekers, {"a": 1, "b": 1}, edges)
    assert [(e.need, e.capability) for e in first_come(market)] == [("early", "a")]
    assert [(e.need, e.capability) for e in allocate(market).chosen] == [("early", "b"), ("late", "a")]


def test_nothing_to_give_gives_nothing() -> None:
    assert allocate(Market([], {}, [])).chosen == ()
    assert allocate(Market([Seeker("n", 1, ldc=True)], {"c": 0}, [Edge("n", "c", 0.5, 1.0)])).chosen == ()


def test_a_solver_that_finds_nothing_says_so() -> None:
    impossible = Rules(np.array([0]), np.array([0]), np.array([-1.0]))
    for solve in (best_shares, best_whole):
        with pytest.raises(RuntimeError, match="Infeasible"):
            solve(np.array([1.0]), impossible)
