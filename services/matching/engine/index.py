"""The index: ranks all capabilities for a need, and needs for a capability, exactly and explained.

Kept by its own consumer in any order of arrival; not thread-safe, one writer and reader at a time.
Ranking: a `search` over columns and postings finds the rows that can be among the first k, and only
these get an exact, explained score. The result equals scoring every pair one by one.
"""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date

import numpy as np

from services.matching.engine import eligibility
from services.matching.engine.columns import Floats, Slots
from services.matching.engine.comparison import Comparison
from services.matching.engine.eligibility import Pair
from services.matching.engine.model import CapabilityFacts, InstitutionFacts, NeedFacts, unknown_institution
from services.matching.engine.policy import Policy
from services.matching.engine.postings import Weighing
from services.matching.engine.prepared import Content, Offer, PreparedNeed
from services.matching.engine.priority import priority
from services.matching.engine.probe import Probe
from services.matching.engine.providing import ProvidingValues
from services.matching.engine.score import Scored, Scorer, total
from services.matching.engine.search import Search, Wanted
from services.matching.engine.store import Store
from services.matching.engine.text import TermStatistics

NEAR_ERROR = 1e-11
"""More than adding in another order can change a sum of eleven numbers below one."""


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
        self._providing = ProvidingValues(self.store.providers, scorer.frame)

    # Keeping up

    def put_institution(self, facts: InstitutionFacts) -> None:
        """Insert or replace an institution: standing, country, record."""
        self.store.put_institution(facts)

    def add_institutions(self, some: Sequence[InstitutionFacts]) -> None:
        """Insert many that are not held."""
        self.store.providers.extend(some)

    def put_capability(self, facts: CapabilityFacts) -> None:
        """Insert or replace a capability, published or not."""
        self.store.put_capability(facts)

    def put_contents(self, contents: Iterable[tuple[CapabilityFacts, Content]]) -> None:
        """Insert or replace many, with what each says worked out by `content_of` with this index' lexicon."""
        self.store.put_contents(contents)

    def remove_capability(self, capability_id: str) -> None:
        """Forget a capability."""
        self.store.remove_capability(capability_id)

    def set_engaged(self, capability_id: str, engaged: int) -> None:
        """Set how many of its places are taken."""
        self.store.set_engaged(capability_id, engaged)

    def under(self, scorer: Scorer) -> "Index":
        """The same capabilities seen with another policy: for comparing, while this index stays in use."""
        if scorer.lexicon is not self.store.lexicon:
            msg = "another lexicon needs another index"
            raise ValueError(msg)
        other = Index(scorer)
        other.store = self.store
        other._providing = ProvidingValues(self.store.providers, scorer.frame)
        return other

    def use(self, scorer: Scorer) -> None:
        """Exchange policy or statistics; the texts stay indexed, so the lexicon must be the same."""
        if scorer.lexicon is not self.store.lexicon:
            msg = "another lexicon needs another index"
            raise ValueError(msg)
        self.scorer = scorer
        self._providing = ProvidingValues(self.store.providers, scorer.frame)
        if self.store.settled and self.store.postings.weighing != self._weighing:
            self.settle()

    @property
    def worn(self) -> bool:
        """Whether `settle` would make rankings quicker."""
        return self.store.worn

    def settle(self) -> None:
        """Take in what was added since the last time; seconds for a million rows. Answers stay the same."""
        self.store.settle(self._weighing)

    @property
    def _weighing(self) -> Weighing:
        policy = self.scorer.frame.policy
        return Weighing(policy.bm25_k1, policy.bm25_b, self.scorer.frame.statistics.average_length)

    # Reading

    def __len__(self) -> int:
        """Count the capabilities held."""
        return len(self.store)

    def fingerprint(self) -> tuple[int, int]:
        """Count and sum of versions, for comparing replicas."""
        return self.store.fingerprint()

    def places_taken(self) -> int:
        """Sum over all capabilities."""
        return int(self.store.rows["engaged"][self.store.live_slots()].sum())

    def comparison(self) -> Comparison:
        """For comparing what is held now with what should be."""
        return Comparison(self.store.rows, self.store.live_slots())

    def ids(self) -> list[str]:
        """Ids of all capabilities held, sorted."""
        return sorted(self.store.rows.ids.of(slot) for slot in self.store.live_slots().tolist())

    def capability(self, capability_id: str) -> CapabilityFacts | None:
        """What the rules need of a capability (title and summary are left out), None when unknown."""
        slot = self.store.slot(capability_id)
        return None if slot is None else self.store.offer(slot).capability

    def offer(self, capability_id: str) -> Offer | None:
        """The same with its provider and its terms."""
        slot = self.store.slot(capability_id)
        return None if slot is None else self.store.offer(slot)

    def institution(self, institution_id: str) -> InstitutionFacts:
        """Facts of an institution, a stand-in while unknown."""
        row = self.store.providers.ids.row(institution_id)
        return unknown_institution(institution_id) if row is None else self.store.providers.facts(row)

    def statistics(self, version: int) -> TermStatistics:
        """Freeze a new snapshot of the terms of all capabilities held."""
        return self.store.statistics(version)

    def candidates(self, need: NeedFacts, on: date, quiet: AbstractSet[str] = frozenset()) -> list[str]:
        """Ids of all capabilities that may be proposed to the need, sorted; a look at every row."""
        slots, _ = self._search(self.scorer.prepare(need, on), Wanted(len(self.store) + 1, -1.0, self._slots(quiet)))
        return sorted(self.store.rows.ids.of(slot) for slot in slots.tolist())

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
        return self._best(need, on, self._wanted(k, quiet, threshold))

    def top(
        self, need: NeedFacts, on: date, k: int | None = None, quiet: AbstractSet[str] = frozenset()
    ) -> list[tuple[str, float]]:
        """The same ids and scores as `rank`, without what explains them: many times quicker."""
        wanted, prepared = self._wanted(k, quiet, None), self.scorer.prepare(need, on)
        slots, near = self._search(prepared, wanted)
        scored = [
            (self.store.rows.ids.of(slot), self._rounded(prepared, slot, score))
            for slot, score in zip(slots.tolist(), near.tolist(), strict=True)
        ]
        best = sorted(scored, key=lambda s: (-s[1], s[0]))
        return [s for s in best if s[1] >= wanted.threshold][: wanted.k]

    def _rounded(self, prepared: PreparedNeed, slot: int, near: float) -> float:
        """The score; worked out exactly where the error of the near one could change its last digit."""
        low, high = total([near - NEAR_ERROR]), total([near + NEAR_ERROR])
        return low if low == high else self.scorer.score_prepared(prepared, self.store.offer(slot)).score

    def missed(
        self, need: NeedFacts, on: date, k: int | None = None, quiet: AbstractSet[str] = frozenset()
    ) -> list[tuple[Scored, list[str]]]:
        """The k capabilities that would rank best if no rule excluded them, each with all its reason codes."""
        found = self._best(need, on, self._wanted(k, quiet, None, excluded=True))
        return [(scored, self.reasons(need, scored.capability_id, on, quiet)) for scored in found]

    def _wanted(
        self, k: int | None, quiet: AbstractSet[str], threshold: float | None, *, excluded: bool = False
    ) -> Wanted:
        policy = self.policy
        return Wanted(
            policy.k if k is None else k,
            policy.threshold if threshold is None else threshold,
            self._slots(quiet),
            excluded,
        )

    def _best(self, need: NeedFacts, on: date, wanted: Wanted) -> list[Scored]:
        prepared = self.scorer.prepare(need, on)
        slots, _ = self._search(prepared, wanted)
        scored = [self.scorer.score_prepared(prepared, self.store.offer(slot)) for slot in slots.tolist()]
        best = sorted(scored, key=lambda s: (-s.score, s.capability_id))
        return [s for s in best if s.score >= wanted.threshold][: wanted.k]

    def _search(self, prepared: PreparedNeed, wanted: Wanted) -> tuple[Slots, Floats]:
        probe = Probe(self.store, prepared, self.scorer.frame, self._providing.of(prepared))
        return Search(self.store, probe, wanted).best()

    def _slots(self, ids: Iterable[str]) -> Slots:
        found = [slot for capability_id in ids if (slot := self.store.slot(capability_id)) is not None]
        return np.array(found, dtype=np.int64)

    @property
    def policy(self) -> Policy:
        """The policy in use."""
        return self.scorer.frame.policy

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
        for capability_id in self.ids() if ids is None else sorted(ids):
            pair = self.pair(need, capability_id, on, quiet)
            codes = eligibility.reasons(pair) if pair else []
            if codes:
                yield capability_id, codes

    def score(self, need: NeedFacts, capability_id: str, on: date) -> Scored:
        """Explained score of one pair, eligible or not; KeyError when the capability is unknown."""
        slot = self.store.slot(capability_id)
        if slot is None:
            raise KeyError(capability_id)
        return self.scorer.score_prepared(self.scorer.prepare(need, on), self.store.offer(slot))

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
