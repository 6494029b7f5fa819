"""The leather story of the contract as facts of the engine, and strategies for facts of any kind."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from services.matching.engine.model import (
    CapabilityFacts,
    CompletedProject,
    InstitutionFacts,
    NeedFacts,
    Serves,
)
from services.matching.engine.world import Flows

ON = date(2026, 11, 24)

LIDI = InstitutionFacts("lidi", "ETH", "research_institute", "verified", ("en", "am"))
CLRI = InstitutionFacts("clri", "IND", "research_institute", "verified", ("en",))

TWINNING = CapabilityFacts(
    id="twinning",
    version=1,
    institution_id="clri",
    title="Twinning for tanneries: effluent treatment and leather technology",
    summary="Training of trainers, pilot plant design and technical advice in tanning and clean leather processing.",
    resource_kinds=("technical", "technology", "training"),
    renew_by=date(2027, 11, 24),
    serves=Serves(all_south=True),
    technologies=("effluent treatment", "chrome recovery"),
    isic=("1511",),
    hs=("4107",),
    sdg_targets=("9.2", "9.4"),
    languages=("en",),
    delivery_modes=("on_site", "remote", "study_visit"),
    capacity=2,
)

CHROME = NeedFacts(
    id="chrome",
    version=1,
    institution_id="lidi",
    country="ETH",
    title="Cut chrome discharge of three tanneries and train their technicians",
    problem="Effluent of the Modjo tanneries exceeds the limits; technicians lack training in effluent "
    "treatment and chrome recovery.",
    resource_kinds=("technical", "training", "financial"),
    technologies=("effluent treatment",),
    isic=("1511",),
    sdg_targets=("9.4", "1.4"),
    languages=("en",),
    urgency="high",
    budget_gap=True,
    deadline=date(2027, 1, 31),
)


def capability(**changes: Any) -> CapabilityFacts:
    """The twinning offer with changes."""
    return replace(TWINNING, **changes)


def need(**changes: Any) -> NeedFacts:
    """The leather need with changes."""
    return replace(CHROME, **changes)


def provider(**changes: Any) -> InstitutionFacts:
    """CLRI with changes."""
    return replace(CLRI, **changes)


KINDS = ("technical", "technology", "training", "equipment", "managerial", "financial", "knowledge", "trade")
COUNTRIES = ("ETH", "IND", "BRA", "KEN", "NER", "DEU", "GUY", "BGD", "PRK")
WORDS = ("leather", "tanneries", "coton", "riz", "solar mini-grid", "制革", "tanning", "mil", "x", "curtume", "вода")
PROVIDERS = tuple(f"i{number}" for number in range(6))


def _some(pool: tuple[str, ...], most: int = 3, least: int = 0) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(pool), min_size=least, max_size=most, unique=True).map(tuple)


TEXTS = st.one_of(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join), st.text(max_size=30))
ISIC = ("1511", "1512", "1520", "15", "0116", "C", "A", "3510", "9999")
TARGETS = ("9.2", "9.4", "1.4", "2.a", "7.1")
HS = ("4107", "41", "0904", "64")

SERVES = st.builds(
    Serves,
    all_south=st.booleans(),
    countries=_some(COUNTRIES),
    blocs=_some(("COMESA", "ECOWAS", "BRICS")),
)

COMPLETED = st.builds(
    CompletedProject,
    ended_on=st.dates(date(2010, 1, 1), ON),
    rating=st.one_of(st.none(), st.floats(0, 1)),
    countries=_some(COUNTRIES),
)

INSTITUTIONS = st.builds(
    InstitutionFacts,
    id=st.sampled_from(PROVIDERS),
    country=st.one_of(st.none(), st.sampled_from(COUNTRIES)),
    type=st.sampled_from(("firm", "multilateral", "agency")),
    status=st.sampled_from(("verified", "verified", "verified", "registered", "suspended")),
    languages=_some(("en", "fr", "pt")),
    completed=st.lists(COMPLETED, max_size=3).map(tuple),
    practices=st.integers(0, 5),
    replications=st.integers(0, 5),
    answered_in_time=st.integers(0, 3),
    answerable=st.integers(3, 9),
)

CAPABILITIES = st.builds(
    CapabilityFacts,
    id=st.integers(0, 30).map(lambda number: f"c{number}"),
    version=st.integers(1, 9),
    institution_id=st.sampled_from((*PROVIDERS, "not-heard-of")),
    title=TEXTS,
    summary=TEXTS,
    resource_kinds=_some(KINDS, 4, 1),
    renew_by=st.integers(-2, 400).map(lambda days: ON + timedelta(days=days)),
    serves=SERVES,
    isic=_some(ISIC),
    hs=_some(HS, 2),
    sdg_targets=_some(TARGETS),
    languages=_some(("en", "fr", "pt")),
    capacity=st.integers(1, 3),
    engaged=st.integers(0, 2),
    status=st.sampled_from(("published", "published", "published", "draft", "withdrawn")),
    verified_evidence=st.integers(0, 2),
)

NEEDS = st.builds(
    NeedFacts,
    id=st.integers(0, 9).map(lambda number: f"n{number}"),
    version=st.just(1),
    institution_id=st.sampled_from(PROVIDERS),
    country=st.sampled_from(COUNTRIES),
    title=TEXTS,
    problem=TEXTS,
    resource_kinds=_some(KINDS, 4, 1),
    isic=_some(ISIC),
    hs=_some(HS, 2),
    sdg_targets=_some(TARGETS),
    languages=_some(("en", "fr", "pt")),
    urgency=st.sampled_from(("low", "medium", "high", "critical")),
    domestic_welcome=st.booleans(),
)

FLOWS = Flows(exports={"IND": {"41": 0.5, "09": 0.5}, "ETH": {"09": 1.0}}, imports={"ETH": {"41": 1.0}})
SLOW = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
