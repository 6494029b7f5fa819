"""The read model: every capability as a row of columns, every provider as a row of its own.

Content of a capability never changes in place: an update appends a row and kills the old one.
What changes often (a provider's standing, the places taken) is a column that is written in place.
The old rows are settled: compact, and reachable by postings. Rows added since are looked at one by
one, until `settle` takes them in.
"""

from collections.abc import Iterable

import numpy as np

from services.matching.engine.columns import Slots
from services.matching.engine.lexicon import Lexicon
from services.matching.engine.memory import give_back
from services.matching.engine.model import CapabilityFacts, InstitutionFacts
from services.matching.engine.postings import Postings, Weighing
from services.matching.engine.prepared import Content, Offer, content_of
from services.matching.engine.providers import Providers
from services.matching.engine.rows import COUNT_BITS, Block, Rows, Words, block_of, header_of
from services.matching.engine.text import TermStatistics

FEW_ROWS = 4096
MOST_UNSETTLED = 1 / 32
"""Rows added or dead, as a share of all, after which the store is worn."""


class Store:
    """Capabilities and institutions by id, in any order of arrival."""

    __slots__ = ("_count", "_dead", "lexicon", "postings", "providers", "rows", "words")

    def __init__(self, lexicon: Lexicon) -> None:
        """Start empty; the lexicon gives texts their concepts."""
        self.lexicon = lexicon
        self.rows, self.words, self.providers = Rows(), Words(), Providers()
        self.postings = Postings.none()
        self._count = self._dead = 0

    def __len__(self) -> int:
        """Count the capabilities."""
        return self._count

    # Keeping up

    def put_institution(self, facts: InstitutionFacts) -> None:
        """Insert or replace an institution; its capabilities follow at once."""
        self.providers.put(facts)

    def put_capability(self, capability: CapabilityFacts) -> None:
        """Insert or replace a capability; its institution may come later."""
        self.put_contents([(capability, content_of(capability, self.lexicon))])

    def put_contents(self, contents: Iterable[tuple[CapabilityFacts, Content]]) -> None:
        """The same for many, with what each says already worked out; of one that is there twice the last counts."""
        latest = {capability.id: (capability, content) for capability, content in contents}
        for capability_id in latest:
            self.remove_capability(capability_id)
        headers, facets, terms = [], [], []
        for capability, content in latest.values():
            headers.append(header_of(capability, content, self.providers.row(capability.institution_id)))
            facets.append(self.words.facets_of(capability, content))
            terms.append(self.words.terms_of(content.document))
        if headers:
            self.extend(block_of(headers, facets, terms))

    def extend(self, block: Block) -> None:
        """Add many capabilities that are not held; numbers in the block are those of `words` and `providers`."""
        for name, brief in self.words.briefs(block.facets, block.facet_counts).items():
            block.header[name] = brief
        self.rows.extend(block)
        self._count += len(block.header)

    def remove_capability(self, capability_id: str) -> None:
        """Forget a capability; an unknown one is no error."""
        slot = self.slot(capability_id)
        if slot is not None:
            self.rows.live.set(slot, value=False)
            self._count -= 1
            self._dead += 1

    def set_engaged(self, capability_id: str, engaged: int) -> None:
        """Set the number of places taken; an unknown capability is no error (it may be withdrawn)."""
        slot = self.slot(capability_id)
        if slot is not None:
            self.rows.columns["engaged"].set(slot, engaged)

    # Reading

    def slot(self, capability_id: str) -> int | None:
        """Slot of a capability, None when unknown."""
        slot = self.rows.ids.row(capability_id)
        return slot if slot is not None and self.rows.live.values[slot] else None

    def offer(self, slot: int) -> Offer:
        """The prepared offer in a slot, made of the columns."""
        provider = self.providers.facts(int(self.rows["provider"][slot]))
        capability, content = self.words.read(self.rows, slot, provider.id)
        return Offer(capability, provider, content)

    def live_slots(self) -> Slots:
        """Slots of all capabilities."""
        return np.flatnonzero(self.rows.live.values)

    def fingerprint(self) -> tuple[int, int]:
        """Count and sum of versions: what replicas compare."""
        return self._count, int(self.rows["version"][self.live_slots()].sum())

    def statistics(self, version: int) -> TermStatistics:
        """A new snapshot of the terms of all capabilities held."""
        live = self.live_slots()
        terms, _ = self.rows.terms.gather(live)
        frequency = np.bincount(terms >> COUNT_BITS, minlength=len(self.words.terms)).tolist()
        said = {term: df for term, df in zip(self.words.terms.values, frequency, strict=True) if df}
        average = float(self.rows["length"][live].mean()) if len(live) else 0.0
        return TermStatistics(version, len(live), average, dict(sorted(said.items())))

    # Settling

    @property
    def settled(self) -> int:
        """Rows below this slot are reached by postings."""
        return self.postings.rows

    @property
    def worn(self) -> bool:
        """Whether so many rows were added or have died that settling pays."""
        return len(self.rows) - self.settled + self._dead > max(FEW_ROWS, len(self.rows) * MOST_UNSETTLED)

    def settle(self, weighing: Weighing) -> None:
        """Drop dead rows and make postings of all others; slots change, answers do not."""
        if self._dead:
            self.rows, self._dead = self.rows.take(self.live_slots()), 0
        self.rows.trim()
        self.providers.settle()
        self.postings = Postings.of(self.rows, self.words, weighing)
        give_back()

    @property
    def nbytes(self) -> int:
        """Memory held by the columns."""
        return self.rows.nbytes + self.providers.nbytes + self.postings.nbytes
