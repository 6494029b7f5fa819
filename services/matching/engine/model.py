"""What the engine knows of needs, capabilities and institutions: frozen facts, nothing derived."""

from dataclasses import dataclass
from datetime import date

PUBLISHED = "published"
VERIFIED = "verified"
SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class Serves:
    """For whom a capability is meant; any of the three is enough."""

    all_south: bool = False
    countries: tuple[str, ...] = ()
    blocs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CompletedProject:
    """One finished project in which the institution was the pivotal partner.

    `rating` is the evaluation in 0..1, None while there is none; `countries` are the beneficiaries'.
    """

    ended_on: date
    rating: float | None = None
    countries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InstitutionFacts:
    """Standing, home and record of an institution.

    `country` is ISO 3166-1 alpha-3 or None (multilaterals); `status` is registered, verified or
    suspended; `answerable` counts the proposals it had to answer, `answered_in_time` those it did.
    """

    id: str
    country: str | None
    type: str = "other"
    status: str = "registered"
    languages: tuple[str, ...] = ()
    completed: tuple[CompletedProject, ...] = ()
    practices: int = 0
    replications: int = 0
    answered_in_time: int = 0
    answerable: int = 0


@dataclass(frozen=True, slots=True)
class CapabilityFacts:
    """What an institution offers. `renew_by` is the last day on which the offer counts."""

    id: str
    version: int
    institution_id: str
    title: str
    summary: str
    resource_kinds: tuple[str, ...]
    renew_by: date
    serves: Serves = Serves()
    technologies: tuple[str, ...] = ()
    isic: tuple[str, ...] = ()
    hs: tuple[str, ...] = ()
    sdg_targets: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    delivery_modes: tuple[str, ...] = ()
    capacity: int = 1
    engaged: int = 0
    status: str = PUBLISHED
    verified_evidence: int = 0


@dataclass(frozen=True, slots=True)
class NeedFacts:
    """What an institution seeks. `budget_gap` is True when money is missing (its funding gap)."""

    id: str
    version: int
    institution_id: str
    country: str
    title: str
    problem: str
    resource_kinds: tuple[str, ...]
    technologies: tuple[str, ...] = ()
    isic: tuple[str, ...] = ()
    hs: tuple[str, ...] = ()
    sdg_targets: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    urgency: str = "medium"
    budget_gap: bool = False
    domestic_welcome: bool = False
    deadline: date | None = None


def unknown_institution(institution_id: str) -> InstitutionFacts:
    """Stand-in until the institution's own event arrives: never verified, so never proposed."""
    return InstitutionFacts(id=institution_id, country=None)


def hs_chapters(codes: tuple[str, ...]) -> frozenset[str]:
    """Give the two-digit chapters of HS codes of any length."""
    return frozenset(code[:2] for code in codes)
