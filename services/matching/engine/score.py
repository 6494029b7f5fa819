"""The score: weight x value over the criteria that apply, summed in a fixed order, and its story.

A `Scored` holds all that is ever needed to compute its score again; `recompute` does, from the
stored explanation alone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from services.matching.engine.criteria import VALUES
from services.matching.engine.inputs import INPUTS, Inputs
from services.matching.engine.lexicon import Lexicon, default_lexicon
from services.matching.engine.model import CapabilityFacts, InstitutionFacts, NeedFacts
from services.matching.engine.policy import POLICY_1, Policy
from services.matching.engine.prepared import Frame, Offer, PreparedNeed, content_of, prepare
from services.matching.engine.text import TermStatistics
from services.matching.engine.words import WORDS
from services.matching.engine.world import ReferenceWorld, World

SCORE_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class CriterionResult:
    """One criterion of one pair; `contribution` = weight x value, unrounded."""

    criterion: str
    value: float
    weight: float
    contribution: float
    codes: list[str]
    words: str
    inputs: Inputs


@dataclass(frozen=True, slots=True)
class Scored:
    """An explained score of a capability for a need, as of a day."""

    need_id: str
    need_version: int
    capability_id: str
    capability_version: int
    score: float
    criteria: tuple[CriterionResult, ...]
    policy_version: int
    text_statistics_version: int
    as_of: date

    def explanation(self) -> dict[str, Any]:
        """Give what a match stores: JSON-able, the contract's explanation plus the inputs per criterion."""
        return {
            "score": self.score,
            "policy_version": self.policy_version,
            "need_version": self.need_version,
            "capability_version": self.capability_version,
            "as_of": self.as_of.isoformat(),
            "text_statistics_version": self.text_statistics_version,
            "criteria": [
                {
                    "criterion": result.criterion,
                    "value": result.value,
                    "weight": result.weight,
                    "contribution": result.contribution,
                    "codes": result.codes,
                    "words": result.words,
                    "inputs": result.inputs,
                }
                for result in self.criteria
            ],
        }


def total(contributions: Sequence[float]) -> float:
    """Sum as a score: exact before rounding, so the order of adding cannot show."""
    return round(math.fsum(contributions), SCORE_DECIMALS)


def recompute(explanation: Mapping[str, Any]) -> float:
    """Compute the score again, from the stored inputs and weights alone (values are not trusted)."""
    return total(
        [stored["weight"] * VALUES[stored["criterion"]](**stored["inputs"]) for stored in explanation["criteria"]]
    )


class Scorer:
    """Scores pairs under one policy and one snapshot of term statistics.

    Pure: equal facts and day give an equal `Scored`. Eligibility is not its business.
    """

    def __init__(
        self,
        policy: Policy = POLICY_1,
        statistics: TermStatistics | None = None,
        *,
        world: World | None = None,
        lexicon: Lexicon | None = None,
    ) -> None:
        """Bind policy and statistics; world and lexicon default to the reference data."""
        self.frame = Frame(policy, statistics or TermStatistics(version=0), world or ReferenceWorld())
        self.lexicon = lexicon or default_lexicon()
        # Ranking a capability prepares the same open needs again and again within a day.
        self.prepare = lru_cache(maxsize=4096)(self._prepare)

    def _prepare(self, need: NeedFacts, on: date) -> PreparedNeed:
        return prepare(need, on, self.frame, self.lexicon)

    def offer(self, capability: CapabilityFacts, provider: InstitutionFacts) -> Offer:
        """Make a capability ready to be scored."""
        return Offer(capability, provider, content_of(capability, self.lexicon))

    def score(self, need: NeedFacts, capability: CapabilityFacts, provider: InstitutionFacts, on: date) -> Scored:
        """Score one pair as of a day."""
        return self.score_prepared(self.prepare(need, on), self.offer(capability, provider))

    def score_prepared(self, prepared: PreparedNeed, offer: Offer) -> Scored:
        """Score a pair of which both sides are ready."""
        surfaces = {term.term: term.surface for term in prepared.query}
        results = tuple(self._result(name, prepared, offer, surfaces) for name in prepared.weights)
        return Scored(
            need_id=prepared.need.id,
            need_version=prepared.need.version,
            capability_id=offer.capability.id,
            capability_version=offer.capability.version,
            score=total([result.contribution for result in results]),
            criteria=results,
            policy_version=self.frame.policy.version,
            text_statistics_version=self.frame.statistics.version,
            as_of=prepared.on,
        )

    def _result(self, name: str, prepared: PreparedNeed, offer: Offer, surfaces: Mapping[str, str]) -> CriterionResult:
        inputs = INPUTS[name](prepared, offer, self.frame)
        value, weight = VALUES[name](**inputs), prepared.weights[name]
        codes, words = WORDS[name](surfaces, **inputs)
        return CriterionResult(name, value, weight, weight * value, codes, words, inputs)
