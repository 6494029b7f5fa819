"""Facilitating partners: who can bring what an accepted pair leaves uncovered.

Institutions of the North and multilaterals are welcome here; that is what makes it triangular.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from services.matching.engine import criteria
from services.matching.engine.columns import Bools, Slots
from services.matching.engine.eligibility import common_kinds
from services.matching.engine.index import Index
from services.matching.engine.model import VERIFIED, CapabilityFacts, InstitutionFacts, NeedFacts
from services.matching.engine.prepared import PreparedNeed
from services.matching.engine.providing import provider_value
from services.matching.engine.rows import KIND, LANGUAGE
from services.matching.engine.score import total
from services.matching.engine.search import SAFETY
from services.matching.engine.store import Store
from shared.reference.vocabulary import InstitutionType, ResourceKind

FINANCING_TYPES = frozenset(
    {
        InstitutionType.MULTILATERAL,
        InstitutionType.FINANCIAL_INSTITUTION,
        InstitutionType.AGENCY,
        InstitutionType.FOUNDATION,
    }
)
"""Bodies that may finance even without a capability that says so."""


@dataclass(frozen=True, slots=True)
class Facilitator:
    """An institution that could join a pair; `covers` are uncovered kinds it can bring, with reasons."""

    institution_id: str
    covers: tuple[str, ...]
    score: float
    reasons: tuple[str, ...]


def uncovered(need: NeedFacts, capability: CapabilityFacts) -> frozenset[str]:
    """Kinds sought that the capability does not bring; a budget gap asks for money in any case."""
    missing = frozenset(need.resource_kinds) - common_kinds(need, capability)
    return missing | {ResourceKind.FINANCIAL.value} if need.budget_gap else missing


def rank_facilitators(
    index: Index, need: NeedFacts, capability_id: str, on: date, limit: int = 10
) -> list[Facilitator]:
    """Rank facilitating partners of a pair, best first, ties by id; KeyError for an unknown capability.

    Empty when the pair leaves nothing uncovered. The two principals, and whoever is not verified or
    is suspended, are left out; whom a capability serves does not matter for this role.
    """
    capability = index.capability(capability_id)
    if capability is None:
        raise KeyError(capability_id)
    wanted = sorted(uncovered(need, capability))
    prepared = index.scorer.prepare(need, on)
    bringing = _Bringing.of(index.store, prepared, wanted)
    principals = {need.institution_id, capability.institution_id}
    found = [
        _facilitator(index, prepared, wanted, bringing, row)
        for row in bringing.promising(index.policy.facilitator_weights, limit + len(principals)).tolist()
    ]
    others = [f for f in found if f.institution_id not in principals]
    return sorted(others, key=lambda f: (-f.score, f.institution_id))[:limit]


@dataclass(frozen=True, slots=True)
class _Bringing:
    """Per institution: a bit for each wanted kind that it can bring, its nearest depth, a common language."""

    brings: NDArray[np.uint16]
    depth: NDArray[np.int8]
    speaks: Bools
    wanted: int

    @classmethod
    def of(cls, store: Store, prepared: PreparedNeed, wanted: list[str]) -> "_Bringing":
        """Look at all that institutions offer, and at what kind of bodies they are."""
        offers, need = _Offers.of(store, prepared), prepared.need
        brings = offers.united([((KIND, kind), 1 << place) for place, kind in enumerate(wanted)])
        verified, financing = _standings(store)
        if ResourceKind.FINANCIAL in wanted:
            brings |= financing * np.uint16(1 << wanted.index(ResourceKind.FINANCIAL))
        speaks = offers.united([((LANGUAGE, language), 1) for language in need.languages]) > 0
        speaks |= store.providers.speaking(frozenset(need.languages))[store.providers.spoken.values]
        brings[~verified] = 0
        return cls(brings, offers.deepest(need.isic or prepared.implied), speaks, len(wanted))

    def promising(self, weights: Mapping[str, float], limit: int) -> Slots:
        """Rows that can be among the first, whatever their records are."""
        rows = np.flatnonzero(self.brings)
        known = weights["covers"] * np.bitwise_count(self.brings[rows]) / max(1, self.wanted)
        known += weights["sector"] * np.array(criteria.DEPTH_VALUES)[self.depth[rows]]
        known += weights["language"] * self.speaks[rows]
        if len(rows) <= limit:
            return rows
        kth = float(np.partition(known, len(known) - limit)[len(known) - limit])
        return rows[known >= kth - weights["track_record"] - weights["responsiveness"] - SAFETY]


@dataclass(frozen=True, slots=True)
class _Offers:
    """Published rows within their renewal date, and the facets of each."""

    store: Store
    owner: Slots
    facets: NDArray[np.uint16]
    begins: Slots

    @classmethod
    def of(cls, store: Store, prepared: PreparedNeed) -> "_Offers":
        """All of them."""
        rows = store.rows
        offered = rows.live.values & rows["published"] & (rows["renew_by"] >= prepared.on.toordinal())
        slots = np.flatnonzero(offered)
        facets, begins = rows.facets.gather(slots)
        return cls(store, rows["provider"][slots].astype(np.int64), facets, begins)

    def united(self, bits: list[tuple[tuple[int, str], int]]) -> NDArray[np.uint16]:
        """Per institution the bits of all facets that its offers have."""
        known = self.store.words.facets
        table = np.zeros(len(known), dtype=np.uint16)
        for facet, bit in bits:
            number = known.known(facet)
            if number is not None:
                table[number] |= bit
        found = np.zeros(len(self.store.providers), dtype=np.uint16)
        if len(self.begins):
            np.bitwise_or.at(found, self.owner, np.bitwise_or.reduceat(table[self.facets], self.begins))
        return found

    def deepest(self, wanted: tuple[str, ...]) -> NDArray[np.int8]:
        """Per institution the depth of the stated code nearest to the need's; implied codes do not count here."""
        found = np.zeros(len(self.store.providers), dtype=np.int8)
        if len(self.begins):
            depths = np.maximum.reduceat(self.store.words.depths(wanted)[self.facets], self.begins)
            np.maximum.at(found, self.owner, depths)
        return found


def _standings(store: Store) -> tuple[Bools, Bools]:
    """Per institution whether it is verified, and whether it is of a kind that may finance."""
    of = store.providers.standings.values
    verified = np.array([*(status == VERIFIED for _, status in of), False])
    financing = np.array([*(kind in FINANCING_TYPES for kind, _ in of), False])
    standing = store.providers.standing.values
    return verified[standing], financing[standing]


def _facilitator(index: Index, prepared: PreparedNeed, wanted: list[str], bringing: _Bringing, row: int) -> Facilitator:
    facts, frame = index.store.providers.facts(row), index.scorer.frame
    brings = int(bringing.brings[row])
    covers = tuple(kind for place, kind in enumerate(wanted) if brings >> place & 1)
    values = {
        "covers": len(covers) / len(wanted),
        "sector": criteria.DEPTH_VALUES[int(bringing.depth[row])],
        "language": float(bringing.speaks[row]),
        "track_record": provider_value("track_record", prepared, facts, frame),
        "responsiveness": provider_value("responsiveness", prepared, facts, frame),
    }
    weights = frame.policy.facilitator_weights
    score = total([weights[name] * value for name, value in values.items()])
    return Facilitator(facts.id, covers, score, _reasons(facts, covers, values, len(wanted)))


def _reasons(
    facts: InstitutionFacts, covers: tuple[str, ...], values: Mapping[str, float], wanted: int
) -> tuple[str, ...]:
    reasons = [f"Can bring {len(covers)} of {wanted} kinds not covered: {', '.join(covers)}"]
    if values["sector"] > 0:
        reasons.append("Works in the same or a near sector")
    if values["language"] > 0:
        reasons.append("Shares a working language")
    if facts.completed:
        reasons.append(f"Completed projects: {len(facts.completed)}")
    if facts.answerable:
        reasons.append(f"Answered {facts.answered_in_time} of {facts.answerable} proposals in time")
    return tuple(reasons)
