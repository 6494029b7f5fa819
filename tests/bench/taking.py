"""P6 and P11: a new capability against many open needs, all criteria, against brute force in numpy in one run.

The least score that each need asks for is that of its k-th best capability: worked out for some needs, drawn from
these for the others. Measured is what it takes to know which needs are to be ranked again.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from services.matching.engine.seekers import Seekers
from services.matching.engine.takers import Sector, Takers
from tests.bench.ranking import line, timed
from tests.bench.results import keep
from tests.bench.synthetic import CODES, KINDS, ON, market, needs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.matching.engine.index import Index
    from services.matching.engine.model import NeedFacts
    from services.matching.engine.prepared import Offer

RANKED = 300
"""Needs whose k-th best score is worked out."""
COMPARED = 100


class Everyone(Takers):
    """Brute force: all needs, all criteria, from each need's own lists, without postings and bounds."""

    def __init__(self, seekers: Seekers, cutoffs: np.ndarray) -> None:
        super().__init__(seekers)
        self._cutoffs = cutoffs

    def count(self, offer: Offer) -> int:
        """How many needs may take the capability."""
        self._read_groups()
        if self._excluded(offer):
            return 0
        sector = Sector.of(offer, self.seekers, self._scorer.frame.policy.implied_factor)
        near, bound = self._near(offer, self._most(offer), sector)
        self.seekers.columns["cutoff"].values[near] = self._cutoffs[near]
        found = self._with_what_is_sought(offer, near, bound, sector)
        self.seekers.columns["cutoff"].values[near] = -1.0
        return len(found)


def posted(number: int) -> Iterator[NeedFacts]:
    """Needs of a tenth as many texts, each posted in ten countries and seeking other kinds."""
    draw = random.Random(9)  # noqa: S311 (a reproducible market, no secret)
    for text in needs(-(-number // 10), seed=5):
        for again in range(10):
            country, kinds = draw.choice(CODES.south), tuple(sorted(draw.sample(KINDS, draw.randint(1, 4))))
            yield replace(text, id=f"{text.id}-{again}", country=country, resource_kinds=kinds)


class Market:
    """An index, needs of the same kind with their cutoffs, all of them and a tenth of them as rows."""

    def __init__(self, capabilities: int, number: int) -> None:
        self.index: Index = market(capabilities)
        listed = list(posted(number))
        ranked = (self.index.top(need, ON) for need in listed[:: -(-number // RANKED)])
        kth = [best[-1][1] if len(best) >= self.index.policy.k else self.index.policy.threshold for best in ranked]
        self.cutoffs = np.random.default_rng(6).choice(kth, number)
        self.all, self.tenth, self.plain = (Seekers(self.index.scorer, ON) for _ in range(3))
        for place, (need, cutoff) in enumerate(zip(listed, self.cutoffs.tolist(), strict=True)):
            prepared = self.index.scorer.prepare(need, ON)
            self.all.put(prepared, cutoff)
            self.plain.put(prepared, -1.0)
            if place % 10 == 0:
                self.tenth.put(prepared, cutoff)
        self.all.settle()
        self.tenth.settle()

    def offers(self, number: int) -> list[Offer]:
        """Some capabilities of the market, which stand for new ones."""
        slots = np.random.default_rng(8).choice(len(self.index), number, replace=False)
        return [self.index.store.offer(int(slot)) for slot in slots]


def main() -> None:
    """Prints the table of one size."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--capabilities", type=int, default=100_000)
    arguments.add_argument("--needs", type=int, default=100_000)
    arguments.add_argument("--offers", type=int, default=400)
    given = arguments.parse_args()
    made = Market(given.capabilities, given.needs)
    print(f"{given.needs} needs, {made.all.nbytes / 1e6:.0f} MB")
    takers, of_tenth, everyone = Takers(made.all), Takers(made.tenth), Everyone(made.plain, made.cutoffs)
    offers = made.offers(given.offers)
    found = [len(takers.of(offer)) for offer in offers]
    equal = sum(mine == everyone.count(offer) for mine, offer in zip(found, offers[:COMPARED], strict=False))
    print(f"as many takers as by brute force: {equal} of {min(COMPARED, len(offers))} capabilities")
    # what depends on two countries is worked out once a day
    abroad = list({offer.provider.country: offer for offer in made.offers(5000)}.values())
    timed(abroad, takers.of, everyone.count, of_tenth.of)
    times, plain, few = timed(offers, takers.of, everyone.count, of_tenth.of)
    base = float(np.median(times))
    print(f"{'milliseconds for one capability':44}{'p50':>10}{'p99':>10}{'p50 ratio':>11}")
    line("engine", times)
    line("brute force, numpy", plain, base)
    line("engine, a tenth of the needs", few)
    print(f"10x more needs cost {base / float(np.median(few)):.1f}x")
    print(f"takers of one capability: {np.mean(found):.1f} on average, {max(found)} at most")
    figures = {"capabilities": given.capabilities, "needs": given.needs, "takers": float(np.mean(found))}
    figures |= {"tenth_p50_ms": float(np.median(few))}
    figures |= {"p50_ms": base, "p99_ms": float(np.percentile(times, 99)), "brute_p50_ms": float(np.median(plain))}
    keep("a new capability", figures)


if __name__ == "__main__":
    main()
