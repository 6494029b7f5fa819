"""A round of many needs over many places: seconds, the longest pause of the event loop, distance from the bound."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import Counter

import numpy as np

from services.matching.engine.rounds import Allocation, Edge, Market, Seeker, allocate, first_come, unreserved
from tests.bench.results import keep

OFFERS_EACH = 3
RESERVE = 0.3
PRIORITIES = (0.75, 1.0, 1.25, 1.5, 1.875, 2.25)


def market(needs: int, places: int, candidates: int, seed: int = 5) -> Market:
    """Needs that compete: some capabilities are among the best of many."""
    draw = np.random.default_rng(seed)
    capabilities = max(1, places * 2 // 5)
    free = draw.multinomial(places, np.full(capabilities, 1 / capabilities))
    wanted_by = 1.0 / (np.arange(capabilities) + 200)
    chance = wanted_by / wanted_by.sum()
    edges = []
    for need in range(needs):
        chosen = np.unique(draw.choice(capabilities, candidates, p=chance))
        priority = PRIORITIES[int(draw.integers(0, len(PRIORITIES)))]
        edges += [
            Edge(f"n{need:06d}", f"c{c:06d}", round(float(score), 6), priority)
            for c, score in zip(chosen.tolist(), draw.uniform(0.3, 0.9, len(chosen)), strict=True)
        ]
    seekers = [Seeker(f"n{need:06d}", 1, ldc=bool(draw.random() < 0.4)) for need in range(needs)]
    owners = {f"c{c:06d}": f"p{c // OFFERS_EACH:06d}" for c in range(capabilities)}
    held: dict[str, int] = {}
    for offer, owner in owners.items():
        held[owner] = held.get(owner, 0) + int(free[int(offer[1:])])
    left = {owner: unreserved(count, RESERVE, 0) for owner, count in held.items()}
    return Market(seekers, {f"c{c:06d}": int(places) for c, places in enumerate(free)}, edges, owners, left)


async def solved(of: Market) -> tuple[Allocation, float, float]:
    """The allocation, its seconds in a thread, and the longest pause of the event loop meanwhile in milliseconds."""
    worst, going = 0.0, True

    async def beat() -> None:
        nonlocal worst
        while going:
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            worst = max(worst, time.perf_counter() - before - 0.005)

    beating = asyncio.create_task(beat())
    start = time.perf_counter()
    found = await asyncio.to_thread(allocate, of)
    seconds, going = time.perf_counter() - start, False
    await beating
    return found, seconds, worst * 1000


def over_capacity(of: Market, found: Allocation) -> int:
    """Places given that there are not, the reserve counted: always 0."""
    ldc = {seeker.id for seeker in of.seekers if seeker.ldc}
    used = Counter(edge.capability for edge in found.chosen)
    others = Counter(of.owners[edge.capability] for edge in found.chosen if edge.need not in ldc)
    return sum(max(0, count - of.free[c]) for c, count in used.items()) + sum(
        max(0, count - of.unreserved[owner]) for owner, count in others.items()
    )


def main() -> None:
    """Prints the figures of one size."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--needs", type=int, default=10_000)
    arguments.add_argument("--places", type=int, default=20_000)
    arguments.add_argument("--candidates", type=int, default=20)
    arguments.add_argument("--scarce", type=int, default=10_000, help="places of the second, harder round")
    given = arguments.parse_args()
    for name, places in (("round", given.places), ("scarce round", given.scarce)):
        measure(name, market(given.needs, places, given.candidates), places)


def measure(name: str, of: Market, places: int) -> None:
    """Solves it twice and prints its figures."""
    found, seconds, pause = asyncio.run(solved(of))
    again, _, _ = asyncio.run(solved(of))
    plain = sum(edge.weight for edge in first_come(of))
    print(f"{len(of.seekers)} needs, {places} places, {len(of.edges)} possible pairs: {len(found.chosen)} given")
    print(f"solved in {seconds:.1f} s, longest pause of the event loop {pause:.0f} ms")
    print(f"total {found.total:.3f}, {found.total / found.bound:.7f} of the bound, first come {plain:.3f}")
    print(f"places over capacity or out of the reserve: {over_capacity(of, found)}; the same twice: {again == found}")
    figures = {"needs": len(of.seekers), "places": places, "pairs": len(found.chosen), "seconds": seconds}
    figures |= {"pause_ms": pause, "of_bound": found.total / found.bound, "first_come": plain / found.total}
    keep(name, figures)


if __name__ == "__main__":
    main()
