"""Facilitating partners: who can bring what an accepted pair leaves uncovered.

Institutions of the North and multilaterals are welcome here; that is what makes it triangular.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from services.matching.engine import criteria, inputs
from services.matching.engine.eligibility import common_kinds
from services.matching.engine.index import Index
from services.matching.engine.inputs import common_depth
from services.matching.engine.model import PUBLISHED, VERIFIED, CapabilityFacts, InstitutionFacts, NeedFacts
from services.matching.engine.prepared import Frame, PreparedNeed
from services.matching.engine.score import total
from services.matching.engine.vectors import provider_offer
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


@dataclass(frozen=True, slots=True)
class _Candidate:
    """What is looked at: the institution, its published capabilities, what it covers."""

    facts: InstitutionFacts
    capabilities: tuple[CapabilityFacts, ...]
    covers: tuple[str, ...]


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
    wanted = uncovered(need, capability)
    principals = {need.institution_id, capability.institution_id}
    prepared, offered = index.scorer.prepare(need, on), index.capabilities_of()
    found = []
    for facts in index.institutions():
        if facts.status == VERIFIED and facts.id not in principals:
            candidate = _candidate(facts, offered.get(facts.id, []), wanted, on)
            if candidate.covers:
                found.append(_facilitator(candidate, prepared, wanted, index.scorer.frame))
    return sorted(found, key=lambda f: (-f.score, f.institution_id))[:limit]


def _candidate(
    facts: InstitutionFacts, capabilities: list[CapabilityFacts], wanted: frozenset[str], on: date
) -> _Candidate:
    published = tuple(c for c in capabilities if c.status == PUBLISHED and c.renew_by >= on)
    kinds = {kind for capability in published for kind in capability.resource_kinds}
    if facts.type in FINANCING_TYPES:
        kinds.add(ResourceKind.FINANCIAL)
    return _Candidate(facts, published, tuple(sorted(wanted & kinds)))


def _facilitator(candidate: _Candidate, prepared: PreparedNeed, wanted: frozenset[str], frame: Frame) -> Facilitator:
    weights = frame.policy.facilitator_weights
    values = {name: value(candidate, prepared, wanted, frame) for name, value in _VALUES.items()}
    score = total([weights[name] * values[name] for name in _VALUES])
    return Facilitator(candidate.facts.id, candidate.covers, score, _reasons(candidate, values, wanted))


def _covers(candidate: _Candidate, prepared: PreparedNeed, wanted: frozenset[str], frame: Frame) -> float:
    """Share of what is uncovered that it can bring."""
    del prepared, frame
    return len(candidate.covers) / len(wanted)


def _sector(candidate: _Candidate, prepared: PreparedNeed, wanted: frozenset[str], frame: Frame) -> float:
    """Its capability nearest to the need's sector, as the criterion of that name."""
    del wanted, frame
    offered = {code for capability in candidate.capabilities for code in capability.isic}
    depth = max((common_depth(a, b) for a in prepared.isic for b in offered), default=0)
    return criteria.DEPTH_VALUES[depth]


def _language(candidate: _Candidate, prepared: PreparedNeed, wanted: frozenset[str], frame: Frame) -> float:
    """1 with a working language in common with the need."""
    del wanted, frame
    spoken = {language for c in candidate.capabilities for language in c.languages} | set(candidate.facts.languages)
    return 0.0 if spoken.isdisjoint(prepared.need.languages) else 1.0


def _criterion(name: str) -> Callable[[_Candidate, PreparedNeed, frozenset[str], Frame], float]:
    """Take a criterion of the pair's own score that looks at the institution alone."""

    def value(candidate: _Candidate, prepared: PreparedNeed, wanted: frozenset[str], frame: Frame) -> float:
        del wanted
        offer = provider_offer(candidate.facts, prepared.on)
        return criteria.VALUES[name](**inputs.INPUTS[name](prepared, offer, frame))

    return value


_VALUES: Mapping[str, Callable[[_Candidate, PreparedNeed, frozenset[str], Frame], float]] = {
    "covers": _covers,
    "sector": _sector,
    "language": _language,
    "track_record": _criterion("track_record"),
    "responsiveness": _criterion("responsiveness"),
}


def _reasons(candidate: _Candidate, values: Mapping[str, float], wanted: frozenset[str]) -> tuple[str, ...]:
    facts = candidate.facts
    reasons = [f"Can bring {len(candidate.covers)} of {len(wanted)} kinds not covered: {', '.join(candidate.covers)}"]
    if values["sector"] > 0:
        reasons.append("Works in the same or a near sector")
    if values["language"] > 0:
        reasons.append("Shares a working language")
    if facts.completed:
        reasons.append(f"Completed projects: {len(facts.completed)}")
    if facts.answerable:
        reasons.append(f"Answered {facts.answered_in_time} of {facts.answerable} proposals in time")
    return tuple(reasons)
