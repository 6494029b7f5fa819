"""How good a ranking is, against graded judgements."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from tests.bench.labelled import Judgement

FIRST = 10
Run = dict[str, list[str]]
"""Ids of capabilities by need, best first."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Means over needs, and a sum: ineligible results among the first ten."""

    ndcg: float
    recall: float
    ineligible: int


def quality(run: Mapping[str, Sequence[str]], judged: Mapping[str, Mapping[str, Judgement]]) -> Quality:
    """nDCG@10 (gain 2^grade - 1, discount log2(rank + 1), ideal over eligible pairs), recall@10, ineligible results.

    A need that is missing from the run counts as nothing found.
    """
    count = len(judged) or 1
    tops = {need: list(run.get(need, ()))[:FIRST] for need in judged}
    return Quality(
        ndcg=sum(ndcg(tops[need], of) for need, of in judged.items()) / count,
        recall=sum(recall(tops[need], [c for c, j in of.items() if j.wanted]) for need, of in judged.items()) / count,
        ineligible=sum(bool(of[c].excluded_by) for need, of in judged.items() for c in tops[need]),
    )


def recall(top: Collection[str], wanted: Collection[str]) -> float:
    """Share of the wanted that is in the first ten."""
    return len(set(wanted) & set(top)) / len(wanted) if wanted else 0.0


def ndcg(top: Sequence[str], judged: Mapping[str, Judgement]) -> float:
    """Normalised discounted gain of the first ten of one need."""
    best = _dcg(sorted((j.gain for j in judged.values()), reverse=True)[:FIRST])
    return _dcg([judged[c].gain for c in top]) / best if best else 0.0


def _dcg(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(place + 2) for place, gain in enumerate(gains))
