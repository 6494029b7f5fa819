"""The read model: every capability as a row of columns, every provider as a row of its own.

Content of a capability never changes in place: an update appends a row and kills the old one.
What changes often (a provider's standing, the places taken) is a column that is written in place.
"""

from dataclasses import replace

import numpy as np

from services.matching.engine.columns import Bitset, Column, Postings, Slots
from services.matching.engine.eligibility import facilitating_only
from services.matching.engine.inputs import isic_line
from services.matching.engine.lexicon import Lexicon
from services.matching.engine.model import (
    PUBLISHED,
    VERIFIED,
    CapabilityFacts,
    InstitutionFacts,
    hs_chapters,
    unknown_institution,
)
from services.matching.engine.prepared import Content, Offer, content_of
from shared.reference.classifications import sdg_goal_of

DEAD_SHARE = 0.5
"""The store is rebuilt when more than this share of its rows is dead."""
FEW_ROWS = 1024


class Providers:
    """One row per institution; facts beside a few columns for the masks."""

    __slots__ = ("countries", "country", "facts", "proposable", "revision", "rows")

    def __init__(self) -> None:
        """Start empty."""
        self.rows: dict[str, int] = {}
        self.facts: list[InstitutionFacts] = []
        self.countries: list[str] = []
        self.country = Column(np.int32)
        self.proposable = Column(np.bool_)
        self.revision = 0

    def row(self, institution_id: str) -> int:
        """Row of an institution, a stand-in when it is not known yet."""
        if institution_id not in self.rows:
            self.put(unknown_institution(institution_id))
        return self.rows[institution_id]

    def put(self, facts: InstitutionFacts) -> None:
        """Insert or replace an institution."""
        self.revision += 1
        country = self._country_code(facts.country)
        proposable = facts.status == VERIFIED and not facilitating_only(facts)
        row = self.rows.get(facts.id)
        if row is None:
            self.rows[facts.id] = len(self.facts)
            self.facts.append(facts)
            self.country.append(country)
            self.proposable.append(proposable)
            return
        self.facts[row] = facts
        self.country.set(row, country)
        self.proposable.set(row, proposable)

    def _country_code(self, country: str | None) -> int:
        if country is None:
            return -1
        if country not in self.countries:
            self.countries.append(country)
        return self.countries.index(country)


class Rows:
    """The columns of all capabilities, dead rows included."""

    __slots__ = (
        "all_south",
        "capabilities",
        "capacity",
        "chapters",
        "contents",
        "engaged",
        "evidence",
        "goals",
        "implied",
        "isic",
        "kinds",
        "languages",
        "length",
        "live",
        "own_languages",
        "postings",
        "provider",
        "published",
        "renew_by",
        "served_blocs",
        "served_countries",
        "targets",
    )

    def __init__(self) -> None:
        """Start empty."""
        self.capabilities: list[CapabilityFacts] = []
        self.contents: list[Content] = []
        self.postings = Postings()
        self.live, self.published, self.all_south = Column(np.bool_), Column(np.bool_), Column(np.bool_)
        self.implied, self.own_languages = Column(np.bool_), Column(np.bool_)
        self.provider, self.renew_by = Column(np.int64), Column(np.int32)
        self.capacity, self.engaged = Column(np.int32), Column(np.int32)
        self.length, self.evidence = Column(np.int32), Column(np.int32)
        self.kinds, self.chapters, self.isic = Bitset(), Bitset(), Bitset()
        self.targets, self.goals, self.languages = Bitset(), Bitset(), Bitset()
        self.served_countries, self.served_blocs = Bitset(), Bitset()

    def append(self, capability: CapabilityFacts, content: Content, provider_row: int) -> int:
        """Add a row and give its slot."""
        slot = len(self.capabilities)
        self.capabilities.append(capability)
        self.contents.append(content)
        self.postings.add(slot, content.document.frequencies)
        self._append_facets(capability, content)
        self.live.append(value=True)
        self.provider.append(provider_row)
        self.implied.append(content.implied)
        self.length.append(content.document.length)
        return slot

    def _append_facets(self, capability: CapabilityFacts, content: Content) -> None:
        self.published.append(capability.status == PUBLISHED)
        self.renew_by.append(capability.renew_by.toordinal())
        self.capacity.append(capability.capacity)
        self.engaged.append(capability.engaged)
        self.evidence.append(capability.verified_evidence)
        self.kinds.append(capability.resource_kinds)
        self.chapters.append(hs_chapters(capability.hs))
        self.isic.append({wider for code in content.isic for wider in isic_line(code)})
        self.targets.append(capability.sdg_targets)
        self.goals.append({sdg_goal_of(target) for target in capability.sdg_targets})
        self.languages.append(capability.languages)
        self.own_languages.append(bool(capability.languages))
        self.all_south.append(capability.serves.all_south)
        self.served_countries.append(capability.serves.countries)
        self.served_blocs.append(capability.serves.blocs)


class Store:
    """Capabilities and institutions by id, in any order of arrival."""

    __slots__ = ("lexicon", "providers", "rows", "slots")

    def __init__(self, lexicon: Lexicon) -> None:
        """Start empty; the lexicon gives texts their concepts."""
        self.lexicon = lexicon
        self.rows = Rows()
        self.providers = Providers()
        self.slots: dict[str, int] = {}

    def __len__(self) -> int:
        """Count the capabilities."""
        return len(self.slots)

    def put_institution(self, facts: InstitutionFacts) -> None:
        """Insert or replace an institution; its capabilities follow at once."""
        self.providers.put(facts)

    def put_capability(self, capability: CapabilityFacts) -> None:
        """Insert or replace a capability; its institution may come later."""
        self._append(capability, content_of(capability, self.lexicon))
        self._rebuild_when_worn()

    def _append(self, capability: CapabilityFacts, content: Content) -> None:
        self._kill(capability.id)
        provider_row = self.providers.row(capability.institution_id)
        self.slots[capability.id] = self.rows.append(capability, content, provider_row)

    def remove_capability(self, capability_id: str) -> None:
        """Forget a capability; an unknown one is no error."""
        self._kill(capability_id)
        self._rebuild_when_worn()

    def _kill(self, capability_id: str) -> None:
        slot = self.slots.pop(capability_id, None)
        if slot is not None:
            self.rows.live.set(slot, value=False)

    def set_engaged(self, capability_id: str, engaged: int) -> None:
        """Set the number of places taken; an unknown capability is no error (it may be withdrawn)."""
        slot = self.slots.get(capability_id)
        if slot is not None:
            self.rows.engaged.set(slot, engaged)
            self.rows.capabilities[slot] = replace(self.rows.capabilities[slot], engaged=engaged)

    def offer(self, slot: int) -> Offer:
        """Give the prepared offer in a slot."""
        capability = self.rows.capabilities[slot]
        provider = self.providers.facts[int(self.rows.provider.values[slot])]
        return Offer(capability, provider, self.rows.contents[slot])

    def live_slots(self) -> Slots:
        """Slots of all capabilities."""
        return np.flatnonzero(self.rows.live.values)

    def fingerprint(self) -> tuple[int, int]:
        """Count and sum of versions: what replicas compare."""
        return len(self.slots), sum(self.rows.capabilities[slot].version for slot in self.slots.values())

    def _rebuild_when_worn(self) -> None:
        rows = len(self.rows.capabilities)
        if rows > FEW_ROWS and len(self.slots) < rows * (1 - DEAD_SHARE):
            old, live = self.rows, sorted(self.slots.values())
            self.rows, self.slots = Rows(), {}
            for slot in live:
                self._append(old.capabilities[slot], old.contents[slot])
