"""P5 and P11: one need over many capabilities, all criteria, against tantivy, brute force and PostgreSQL in one run."""

from __future__ import annotations

import argparse
import gc
import time
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

import numpy as np

from tests.bench.brute import BruteForce
from tests.bench.results import keep
from tests.bench.synthetic import CODES, ON, market, needs
from tests.bench.tantivy_side import TantivySide

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.matching.engine.model import NeedFacts

K = 20
WARM = 100


def resident_mb() -> float:
    """Memory of this process that is in RAM."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1000
    return float("nan")


def timed(sought: Sequence[NeedFacts], *sides: Callable[[NeedFacts], object]) -> list[list[float]]:
    """Milliseconds of each side for each need, the sides taking turns."""
    found: list[list[float]] = [[] for _ in sides]
    for need in sought:
        for side, times in zip(sides, found, strict=True):
            start = time.perf_counter()
            side(need)
            times.append((time.perf_counter() - start) * 1000)
    return found


def line(name: str, times: Sequence[float], against: float | None = None) -> None:
    p50, p99 = np.percentile(times, [50, 99])
    print(f"{name:44}{p50:10.2f}{p99:10.2f}{'' if against is None else f'{p50 / against:10.1f}x'}")


def of_every_country(need: NeedFacts) -> list[NeedFacts]:
    """A need of each country: what depends on two countries is worked out once a day."""
    return [replace(need, country=country, resource_kinds=("trade", "training")) for country in CODES.south]


def agreement(mine: Sequence[str], exact: Sequence[str]) -> float:
    """Share of the exact first K that is among mine."""
    return len(set(mine) & set(exact)) / len(exact) if exact else 1.0


def main() -> None:
    """Prints the table of one size."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--capabilities", type=int, default=1_000_000)
    arguments.add_argument("--needs", type=int, default=300)
    arguments.add_argument("--exact", type=int, default=40, help="needs compared with brute force")
    arguments.add_argument("--seed", type=int, default=3)
    arguments.add_argument("--alone", action="store_true", help="without tantivy")
    given = arguments.parse_args()
    before = resident_mb()
    start = time.perf_counter()
    index = market(given.capabilities)
    made = time.perf_counter() - start
    gc.collect()
    sought = needs(given.needs + WARM, given.seed)
    print(f"{given.capabilities} capabilities made and settled in {made:.1f} s")
    print(f"columns {index.store.nbytes / 1e6:.0f} MB, process grew by {resident_mb() - before:.0f} MB")
    brute = BruteForce(index)
    exact = [[c for c, _ in brute.top(need, K)] for need in sought[: given.exact]]
    equal = [index.top(need, ON, K) == brute.top(need, K) for need in sought[: given.exact]]
    print(f"first {K} and their scores equal to brute force: {sum(equal)} of {len(equal)} needs")
    figures = {"capabilities": given.capabilities, "equal": sum(equal), "compared": len(equal)}

    def engine(need: NeedFacts) -> object:
        return index.top(need, ON, K)

    other = None if given.alone else TantivySide(index)
    sides = [engine] if other is None else [engine, lambda need: other.top(need, K)]
    timed(of_every_country(sought[0]) + sought[:WARM], sides[0])
    timed(sought[:20], *sides)
    times = timed(sought[WARM:], *sides)
    (slow,) = timed(sought[:5], lambda need: brute.top(need, K))
    base = float(np.median(times[0]))
    print(f"{'milliseconds for one need':44}{'p50':>10}{'p99':>10}{'p50 ratio':>11}")
    line("engine", times[0])
    if other is not None:
        line("tantivy, the same rules", times[1], base)
        shared = mean(agreement(other.top(n, K), e) for n, e in zip(sought, exact, strict=False))
        print(f"agreement@{K} of tantivy with brute force: {shared:.3f}")
        figures |= {"tantivy_p50_ms": float(np.median(times[1])), "tantivy_agreement": shared}
    line("brute force, numpy", slow, base)
    figures |= {"p50_ms": base, "p99_ms": float(np.percentile(times[0], 99)), "columns_mb": index.store.nbytes / 1e6}
    keep("rank one need", figures | {"brute_p50_ms": float(np.median(slow))})


if __name__ == "__main__":
    main()
