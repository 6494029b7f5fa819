"""Are the weights fitted to the set? Weights chosen on some needs are measured on the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from services.matching.engine import criteria
from services.matching.engine.inputs import INPUTS
from services.matching.engine.policy import CRITERIA, POLICY_1, Policy
from services.matching.engine.score import Scorer
from services.matching.engine.text import TermStatistics
from tests.bench.labelled import ON
from tests.bench.measures import FIRST, ndcg

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.matching.engine.columns import Bools, Floats
    from services.matching.engine.model import NeedFacts
    from services.matching.engine.prepared import Offer
    from tests.bench.labelled import Judgement, Labelled

RANGES = {
    "sector": (0.20, 0.30),
    "resources": (0.04, 0.14),
    "sdg": (0.03, 0.10),
    "goods": (0.02, 0.10),
    "language": (0.03, 0.08),
    "region": (0.01, 0.04),
    "context": (0.01, 0.04),
}
"""Weights that are tried; text has what is left. The set cannot show what records are worth: they keep theirs."""
TRIED = 500
FOLDS, ROUNDS = 5, 20
AGREE = 15
"""So many of the best weights are chosen, since the very best are best by chance."""


@dataclass(frozen=True, slots=True)
class Valued:
    """The eligible pairs of a need: ids, a value per criterion, which of these apply, and the judgements."""

    ids: list[str]
    values: Floats
    applies: Bools
    judged: dict[str, Judgement]

    def ndcg(self, weights: Floats) -> float:
        """Quality of the ranking under these weights."""
        scores = np.round(self.values @ (weights * self.applies) / weights[self.applies].sum(), 6)
        order = np.argsort(-scores, kind="stable")[:FIRST]
        return ndcg([self.ids[place] for place in order if scores[place] >= POLICY_1.threshold], self.judged)


def valued(of: Labelled, policy: Policy = POLICY_1) -> list[Valued]:
    """Every eligible pair of the set, valued by every criterion."""
    plain, by = Scorer(policy), {institution.id: institution for institution in of.institutions}
    offers = {c.id: plain.offer(c, by[c.institution_id]) for c in of.capabilities}
    scorer = Scorer(policy, TermStatistics.of(1, [offer.content.document for offer in offers.values()]))
    return [_of_need(scorer, offers, need, of.judgements[need.id]) for need in of.needs]


def _of_need(scorer: Scorer, offers: dict[str, Offer], need: NeedFacts, judged: dict[str, Judgement]) -> Valued:
    prepared = scorer.prepare(need, ON)
    ids = sorted(c for c, judgement in judged.items() if not judgement.excluded_by)
    applies = np.array([name in prepared.weights for name in CRITERIA])

    def value(name: str, capability: str) -> float:
        return criteria.VALUES[name](**INPUTS[name](prepared, offers[capability], scorer.frame))

    rows = [[value(n, c) if a else 0.0 for n, a in zip(CRITERIA, applies, strict=True)] for c in ids]
    return Valued(ids, np.array(rows), applies, judged)


def tried() -> Iterator[Floats]:
    """Weights that keep what the contract guarantees, drawn evenly."""
    draw = np.random.default_rng(1955)
    kept = {name: weight for name, weight in POLICY_1.weights.items() if name not in {*RANGES, "text"}}
    found = 0
    while found < TRIED:
        weights = kept | {name: float(draw.uniform(*some)) for name, some in RANGES.items()}
        weights["text"] = 1.0 - sum(weights.values())
        if Policy(0, weights).guaranteed_floor > POLICY_1.threshold:
            found += 1
            yield np.array([weights[name] for name in CRITERIA])


def cross_validated(needs: list[Valued]) -> tuple[float, float, float]:
    """Mean nDCG on needs that had no say in the choice; of the best weights for all needs; of the middling ones."""
    found = np.array([[need.ndcg(weights) for need in needs] for weights in tried()])
    draw, total = np.random.default_rng(3), 0.0
    for _ in range(ROUNDS):
        order = draw.permutation(len(needs))
        for fold in range(FOLDS):
            left_out = order[fold::FOLDS]
            others = np.setdiff1d(order, left_out)
            best = np.argsort(-found[:, others].mean(axis=1))[:AGREE]
            total += float(found[best][:, left_out].mean(axis=0).sum())
    means = found.mean(axis=1)
    return total / ROUNDS / len(needs), float(means.max()), float(np.median(means))
