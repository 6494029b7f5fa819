"""The index: ranks all capabilities for a need, and needs for a capability, exactly and explained.

Kept by its own consumer in any order of arrival; not thread-safe, one writer and reader at a time.
Ranking: masks give the candidates, vectors a near score of each, and the exact score is worked out
only for those that can still reach the first k. The result equals scoring every pair one by one.
"""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date

import numpy as np

from services.matching.engine import eligibility, vectors
from services.matching.engine.columns import Floats, Slots
from services.matching.engine.eligibility import Pair
from services.matching.engine.model import CapabilityFacts, InstitutionFacts, NeedFacts, unknown_institution
from services.matching.engine.policy import Policy
from services.matching.engine.priority import priority
from services.matching.engine.score import Scored, Scorer
from services.matching.engine.store import Store
from services.matching.engine.text import TermStatistics

SAFETY = 2e-6
"""More than rounding to 6 decimals and the error of near scores can move two scores apart."""


@dataclass(frozen=True, slots=True)
class RankedNeed:
    """A need for one capability: its explained score, its priority, and score x priority."""

    need: NeedFacts
    scored: Scored
    priority: float
    weight: float


class Index:
    """All capabilities and institutions, under one scorer that can be exchanged."""

    def __init__(self, scorer: Scorer) -> None:
        """Start empty."""
        self.scorer = scorer
        self.store = Store(scorer.lexicon)

    # Keeping up

    def put_institution(self, facts: InstitutionFacts) -> None:
        """Insert or replace an institution: standing, country, record."""
        self.store.put_institution(facts)

    def put_capability(self, facts: CapabilityFacts) -> None:
        """Insert or replace a capability, published or not."""
        self.store.put_capability(facts)

    def remove_capability(self, capability_id: str) -> None:
        """Forget a capability."""
        self.store.remove_capability(capability_id)

    def set_engaged(self, capability_id: str, engaged: int) -> None:
        """Set how many of its places are taken."""
        self.store.set_engaged(capability_id, engaged)

    def use(self, scorer: Scorer) -> None:
        """Exchange policy or statistics; the texts stay indexed, so the lexicon must be the same."""
        if scorer.lexicon is not self.store.lexicon:
            msg = "another lexicon needs another index"
            raise ValueError(msg)
        self.scorer = scorer

    # Reading

    def __len__(self) -> int:
        """Count the capabilities held."""
        return len(self.store)

    def fingerprint(self) -> tuple[int, int]:
        """Count and sum of versions, for comparing replicas."""
        return self.store.fingerprint()

    def capability(self, capability_id: str) -> CapabilityFacts | None:
        """Facts of a capability, None when unknown."""
        slot = self.store.slots.get(capability_id)
        return None if slot is None else self.store.rows.capabilities[slot]

    def institution(self, institution_id: str) -> InstitutionFacts:
        """Facts of an institution, a stand-in while unknown."""
        row = self.store.providers.rows.get(institution_id)
        return unknown_institution(institution_id) if row is None else self.store.providers.facts[row]

    def institutions(self) -> Sequence[InstitutionFacts]:
        """All institutions heard of."""
        return self.store.providers.facts

    def capabilities_of(self) -> dict[str, list[CapabilityFacts]]:
        """Capabilities by institution, for looking at institutions as a whole."""
        found: dict[str, list[CapabilityFacts]] = {}
        for slot in self.store.slots.values():
            capability = self.store.rows.capabilities[slot]
            found.setdefault(capability.institution_id, []).append(capability)
        return found

    def statistics(self, version: int) -> TermStatistics:
        """Freeze a new snapshot of the terms of all capabilities held."""
        contents = self.store.rows.contents
        return TermStatistics.of(version, (contents[slot].document for slot in self.store.slots.values()))

    def candidates(self, need: NeedFacts, on: date, quiet: AbstractSet[str] = frozenset()) -> list[str]:
        """Ids of all capabilities that may be proposed to the need, in no order of merit."""
        slots = self._candidate_slots(need, on, quiet)
        return sorted(self.store.rows.capabilities[slot].id for slot in slots.tolist())

    def rank(
        self,
        need: NeedFacts,
        on: date,
        k: int | None = None,
        quiet: AbstractSet[str] = frozenset(),
        threshold: float | None = None,
    ) -> list[Scored]:
        """Rank the k best eligible capabilities at or above the threshold, best first, ties by id.

        `k` and `threshold` default to the policy's; `quiet` holds ids not to be proposed again yet.
        """
        policy = self.policy
        k = policy.k if k is None else k
        threshold = policy.threshold if threshold is None else threshold
        prepared = self.scorer.prepare(need, on)
        slots = self._candidate_slots(need, on, quiet)
        near = vectors.scores(self.store, prepared, self.scorer.frame, slots)
        chosen = slots[near >= _cut(near, k, threshold)]
        scored = [self.scorer.score_prepared(prepared, self.store.offer(slot)) for slot in chosen.tolist()]
        best = sorted(scored, key=lambda s: (-s.score, s.capability_id))
        return [s for s in best if s.score >= threshold][:k]

    @property
    def policy(self) -> Policy:
        """The policy in use."""
        return self.scorer.frame.policy

    def _candidate_slots(self, need: NeedFacts, on: date, quiet: AbstractSet[str]) -> Slots:
        prepared = self.scorer.prepare(need, on)
        return vectors.candidates(self.store, prepared, self.scorer.frame, frozenset(quiet))

    def pair(self, need: NeedFacts, capability_id: str, on: date, quiet: AbstractSet[str] = frozenset()) -> Pair | None:
        """Need and capability as the rules look at them, None when the capability is unknown."""
        capability = self.capability(capability_id)
        if capability is None:
            return None
        provider = self.institution(capability.institution_id)
        return Pair(need, capability, provider, on, self.scorer.frame.world, quiet)

    def reasons(
        self, need: NeedFacts, capability_id: str, on: date, quiet: AbstractSet[str] = frozenset()
    ) -> list[str]:
        """Why a capability is not proposed, empty when no rule excludes it; KeyError when unknown."""
        pair = self.pair(need, capability_id, on, quiet)
        if pair is None:
            raise KeyError(capability_id)
        return eligibility.reasons(pair)

    def excluded(
        self, need: NeedFacts, on: date, quiet: AbstractSet[str] = frozenset(), ids: Iterable[str] | None = None
    ) -> Iterator[tuple[str, list[str]]]:
        """Excluded capabilities with all their reason codes, by id; of `ids` only when given."""
        for capability_id in sorted(self.store.slots if ids is None else ids):
            pair = self.pair(need, capability_id, on, quiet)
            codes = eligibility.reasons(pair) if pair else []
            if codes:
                yield capability_id, codes

    def score(self, need: NeedFacts, capability_id: str, on: date) -> Scored:
        """Explained score of one pair, eligible or not; KeyError when the capability is unknown."""
        return self.scorer.score_prepared(
            self.scorer.prepare(need, on), self.store.offer(self.store.slots[capability_id])
        )

    def needs_for(
        self,
        capability_id: str,
        needs: Iterable[NeedFacts],
        on: date,
        k: int | None = None,
        quiet: AbstractSet[str] = frozenset(),
    ) -> list[RankedNeed]:
        """Needs for which the capability is eligible and above the threshold, by score x priority.

        Ties by need id. `quiet` holds ids of needs not to be proposed again yet; all needs when k is None.
        """
        ranked = [found for need in needs if (found := self._ranked(need, capability_id, on, quiet))]
        ranked.sort(key=lambda r: (-r.weight, r.need.id))
        return ranked[:k]

    def _ranked(self, need: NeedFacts, capability_id: str, on: date, quiet: AbstractSet[str]) -> RankedNeed | None:
        pair = self.pair(need, capability_id, on)
        if pair is None or need.id in quiet or not eligibility.eligible(pair):
            return None
        scored = self.score(need, capability_id, on)
        if scored.score < self.policy.threshold:
            return None
        urgency = priority(need, on, self.policy, self.scorer.frame.world)
        return RankedNeed(need, scored, urgency, scored.score * urgency)


def _cut(near: Floats, k: int, threshold: float) -> float:
    """Least near score with which a row can still be among the first k."""
    if k <= 0:
        return np.inf
    kth = float(np.partition(near, len(near) - k)[len(near) - k]) if len(near) > k else -np.inf
    return max(kth, threshold) - SAFETY
