"""P5 and P11: one need over many capabilities, all criteria, against tantivy, PostgreSQL and brute force in one run."""

from __future__ import annotations

import argparse
import gc
import time
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from tests.bench.brute import BruteForce
from tests.bench.postgres_side import PostgresSide
from tests.bench.results import keep
from tests.bench.synthetic import CODES, ON, market, needs
from tests.bench.tantivy_side import TantivySide

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.matching.engine.index import Index
    from services.matching.engine.model import NeedFacts

Asked = TypeVar("Asked")
K = 20
WARM = 100
FEW = 20
"""Needs asked of a side that takes seconds."""


def resident_mb() -> float:
    """Memory of this process that is in RAM."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1000
    return float("nan")


def timed(asked: Sequence[Asked], *sides: Callable[[Asked], object]) -> list[list[float]]:
    """Milliseconds of each side for each question, the sides taking turns."""
    found: list[list[float]] = [[] for _ in sides]
    for one in asked:
        for side, times in zip(sides, found, strict=True):
            start = time.perf_counter()
            side(one)
            times.append((time.perf_counter() - start) * 1000)
    return found


def line(name: str, times: Sequence[float], against: float | None = None) -> None:
    p50, p99 = np.percentile(times, [50, 99])
    print(f"{name:44}{p50:10.2f}{p99:10.2f}{'' if against is None else f'{p50 / against:10.1f}x'}")


def of_every_country(need: NeedFacts) -> list[NeedFacts]:
    """A need of each country: what depends on two countries is worked out once a day."""
    return [replace(need, country=country, resource_kinds=("trade", "training")) for country in CODES.south]


def growth(sought: Sequence[NeedFacts], whole: Index, part: Index) -> tuple[float, float]:
    """Milliseconds for one need over the whole market and over a part of it, in turn."""
    sides = [lambda need: whole.top(need, ON, K), lambda need: part.top(need, ON, K)]
    timed(of_every_country(sought[0]), sides[1])
    times = timed(sought, *sides)
    return float(np.median(times[0])), float(np.median(times[1]))


def agreement(mine: Sequence[str], exact: Sequence[str]) -> float:
    """Share of the exact first K that is among mine."""
    return len(set(mine) & set(exact)) / len(exact) if exact else 1.0


def against(
    other: TantivySide | PostgresSide,
    engine: Callable[[NeedFacts], object],
    sought: Sequence[NeedFacts],
    known: Sequence[tuple[NeedFacts, list[str]]],
) -> dict[str, float]:
    """Lines of the engine and another side in turn; `known` are needs with their exact first K."""
    sides = [engine, lambda need: other.top(need, K)]
    timed(sought[:3], *sides)
    mine, theirs = timed(sought, *sides)
    base = float(np.median(mine))
    line(f"engine, in turn with {other.name}", mine)
    line(f"{other.name}, the same rules", theirs, base)
    shared = mean(agreement(other.top(need, K), exact) for need, exact in known)
    print(f"agreement@{K} of {other.name} with brute force: {shared:.3f}")
    other.close()
    p50 = float(np.median(theirs))
    return {f"{other.name}_p50_ms": p50, f"{other.name}_ratio": p50 / base, f"{other.name}_agreement": shared}


def asked() -> argparse.Namespace:
    """What the command line says."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--capabilities", type=int, default=1_000_000)
    arguments.add_argument("--needs", type=int, default=300)
    arguments.add_argument("--exact", type=int, default=40, help="needs compared with brute force")
    arguments.add_argument("--seed", type=int, default=3)
    arguments.add_argument("--alone", action="store_true", help="without tantivy and PostgreSQL")
    return arguments.parse_args()


def main() -> None:
    """Prints the table of one size."""
    given = asked()
    before = resident_mb()
    start = time.perf_counter()
    index = market(given.capabilities)
    made = time.perf_counter() - start
    gc.collect()
    sought = needs(given.needs + WARM, given.seed)
    print(f"{given.capabilities} capabilities made and settled in {made:.1f} s")
    grown = resident_mb() - before
    print(f"columns {index.store.nbytes / 1e6:.0f} MB, process grew by {grown:.0f} MB")
    brute = BruteForce(index)
    tops = [brute.top(need, K) for need in sought[: given.exact]]
    exact = [[capability for capability, _ in top] for top in tops]
    equal = sum(index.top(need, ON, K) == top for need, top in zip(sought, tops, strict=False))
    print(f"first {K} and their scores equal to brute force: {equal} of {len(tops)} needs")
    figures = {"capabilities": given.capabilities, "equal": equal, "compared": len(tops), "grown_mb": grown}

    def engine(need: NeedFacts) -> object:
        return index.top(need, ON, K)

    timed(of_every_country(sought[0]) + sought[:WARM], engine)
    others: list[TantivySide | PostgresSide] = []
    if not given.alone:
        tantivy = TantivySide(index)
        others = [tantivy, PostgresSide(index, tantivy)]
    print(f"{'milliseconds for one need':44}{'p50':>10}{'p99':>10}{'p50 ratio':>11}")
    for other, number in zip(others, (given.needs, FEW), strict=False):
        figures |= against(other, engine, sought[WARM:][:number], list(zip(sought, exact, strict=False))[:FEW])
    (times,) = timed(sought[WARM:], engine)
    (slow,) = timed(sought[:5], lambda need: brute.top(need, K))
    base = float(np.median(times))
    line("engine", times)
    line("brute force, numpy", slow, base)
    whole, part = growth(sought[WARM:][:100], index, market(given.capabilities // 10))
    print(f"10x more capabilities cost {whole / part:.1f}x: {part:.2f} and {whole:.2f} ms")
    figures |= {"tenth_p50_ms": part, "growth": whole / part}
    figures |= {"p50_ms": base, "p99_ms": float(np.percentile(times, 99)), "columns_mb": index.store.nbytes / 1e6}
    keep("rank one need", figures | {"brute_p50_ms": float(np.median(slow))})


if __name__ == "__main__":
    main()
