"""One made-up event of every type, as the story tells it: LIDI (ETH) seeks, CLRI (IND) provides, DEU facilitates."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from shared.events import matching, notifications, projects, registry
from shared.messaging.envelope import By, Event

if TYPE_CHECKING:
    from collections.abc import Iterator

LIDI = UUID("01a20cda-0a01-7001-8001-000000000001")
CLRI = UUID("01a20cda-0a02-7002-8002-000000000002")
GIZ = UUID("01a20cda-0a05-7005-8005-000000000005")
NAMES = {LIDI: ("LIDI", "ETH"), CLRI: ("Central Leather Research Institute", "IND"), GIZ: ("GIZ", "DEU")}
NOW = datetime(2026, 11, 24, 9, 20, tzinfo=UTC)
TODAY = NOW.date()
EXPIRES = datetime(2026, 12, 15, 9, 20, 1, tzinfo=UTC)
SYSTEM = By(institution_id=None, via="system")
OPERATOR = By(institution_id=None, via="api")
ALL_EVENTS = (*registry.EVENTS, *matching.EVENTS, *projects.EVENTS, *notifications.EVENTS)


def by(institution: UUID) -> By:
    """An act of this institution."""
    return By(institution_id=institution, via="api")


def party(institution: UUID) -> dict[str, Any]:
    """An institution as matches and projects name it."""
    name, country = NAMES[institution]
    return {"institution_id": institution, "name": name, "country": country}


def institution(one: UUID = LIDI, **changes: Any) -> dict[str, Any]:
    """An institution's state."""
    state = {
        "id": one, "version": 1, "status": "verified", "name": NAMES[one][0], "acronym": None, "other_names": [],
        "type": "research_institute", "country": NAMES[one][1], "south": True, "languages": ["en", "am"],
        "website": None, "parent_id": None, "external_ids": [], "verified_until": date(2031, 11, 24),
        "created_at": NOW, "updated_at": NOW,
    }  # fmt: skip
    return state | changes


def owner(one: UUID) -> dict[str, Any]:
    """An institution as capabilities and needs name it."""
    return {"id": one, "name": NAMES[one][0], "country": NAMES[one][1], "type": "research_institute"}


def capability(**changes: Any) -> dict[str, Any]:
    """A capability of CLRI."""
    state = {
        "id": uuid4(), "version": 1, "status": "published", "institution": owner(CLRI),
        "title": "Twinning for tanneries", "summary": "s", "language": "en", "resource_kinds": ["technical"],
        "isic": ["1511"], "hs": [],
        "sdg_targets": [], "technologies": [], "languages": ["en"], "delivery_modes": [],
        "serves": {"all_south": True, "countries": [], "blocs": []}, "capacity": 2, "renew_by": date(2027, 11, 24),
        "centre_id": None, "evidence": [], "published_at": NOW, "updated_at": NOW,
    }  # fmt: skip
    return state | changes


def need(**changes: Any) -> dict[str, Any]:
    """A need of LIDI."""
    state = {
        "id": uuid4(), "version": 1, "status": "open", "institution": owner(LIDI), "title": "Cut chrome discharge",
        "problem": "p", "language": "en", "country": "ETH", "resource_kinds": ["technical"], "isic": ["1511"], "hs": [],
        "sdg_targets": [], "technologies": [], "languages": ["en"], "urgency": "high", "budget": None,
        "funding_gap": None, "deadline": date(2027, 1, 31), "domestic_welcome": False, "partners_wanted": 1,
        "posted_at": NOW, "updated_at": NOW,
    }  # fmt: skip
    return state | changes


def match(**changes: Any) -> dict[str, Any]:
    """A proposed match of LIDI and CLRI."""
    state = {
        "id": uuid4(), "version": 1, "status": "proposed", "origin": "ranking", "need_id": uuid4(), "need_version": 1,
        "need_title": "Cut chrome discharge", "capability_id": uuid4(), "capability_version": 1,
        "capability_title": "Twinning for tanneries", "beneficiary": party(LIDI), "provider": party(CLRI),
        "facilitators": [], "score": 0.742318, "rank": 1, "policy_version": 1, "as_of": TODAY,
        "answers": {"beneficiary": None, "provider": None}, "confirmations": [], "project_id": None, "reason": None,
        "proposed_at": NOW, "expires_at": EXPIRES, "updated_at": NOW,
    }  # fmt: skip
    return state | changes


def facilitator(one: UUID = GIZ, status: str = "invited") -> dict[str, Any]:
    """A facilitator of a match."""
    return party(one) | {"status": status}


def role(one: UUID, name: str, to: date | None = None) -> dict[str, Any]:
    """A dated role in a project."""
    return party(one) | {"role": name, "from": date(2026, 1, 1), "to": to}


def project(**changes: Any) -> dict[str, Any]:
    """A project of LIDI and CLRI."""
    state = {
        "id": uuid4(), "version": 1, "status": "pipeline", "modality": "south_south", "title": "Cut chrome discharge",
        "language": "en", "match_id": uuid4(), "need_id": uuid4(), "capability_id": uuid4(),
        "partners": [role(LIDI, "beneficiary"), role(CLRI, "pivotal")], "resource_kinds": ["technical"],
        "isic": ["1511"], "hs": [], "sdg_targets": [], "budget": None, "planned_start_on": None,
        "planned_end_on": None, "started_on": None, "completed_on": None, "updated_at": NOW,
    }  # fmt: skip
    return state | changes


def part(**changes: Any) -> dict[str, Any]:
    """What all children of a project have."""
    common = {
        "id": uuid4(), "version": 1, "status": "proposed", "project_id": uuid4(),
        "project_title": "Cut chrome discharge", "partner_ids": [LIDI, CLRI],
    }  # fmt: skip
    return common | changes


def agreement(**changes: Any) -> dict[str, Any]:
    """An agreement that CLRI has signed."""
    signatures = [{"institution_id": LIDI, "signed_on": None}, {"institution_id": CLRI, "signed_on": TODAY}]
    own = {"kind": "contract", "title": "Twinning", "effective_on": TODAY, "document": None, "parties": signatures}
    return part(**own) | changes


def contribution(**changes: Any) -> dict[str, Any]:
    """What CLRI gives LIDI."""
    delivery = {"id": uuid4(), "quantity": Decimal(40), "amount": None, "delivered_on": TODAY, "status": "disputed"}
    own = {
        "giver_id": CLRI, "receiver_id": LIDI, "resource_kind": "technical", "kind": "in_kind", "unit": "expert_day",
        "quantity": Decimal(120), "value": None, "valuation_method": None, "description": "Two specialists",
        "due_on": None, "deliveries": [delivery | {"reason": {"code": "not_received"}}],
    }  # fmt: skip
    return part(**own) | changes


def report(**changes: Any) -> dict[str, Any]:
    """A completion report of LIDI."""
    signatures = [{"institution_id": LIDI, "signed_on": TODAY}, {"institution_id": CLRI, "signed_on": None}]
    return part(kind="completion", submitted_by=LIDI, signatures=signatures) | changes


def practice() -> dict[str, Any]:
    """A published practice."""
    return {
        "id": uuid4(), "version": 1, "status": "published", "project_id": uuid4(),
        "project_title": "Cut chrome discharge", "partner_ids": [LIDI, CLRI],
        "title": "Shared chrome recovery", "language": "en", "challenge": "c",
        "approach": "a", "conditions": None, "results": "r", "poverty_reduction": None, "isic": ["1511"],
        "sdg_targets": [], "published_at": NOW, "updated_at": NOW,
    }  # fmt: skip


def _members(event: type[Event]) -> dict[str, Any]:
    """The members that an event of this class has."""
    makers: dict[str, Any] = {
        "institution": institution, "capability": capability, "need": need, "match": match, "project": project,
        "agreement": agreement, "contribution": contribution, "report": report, "practice": practice,
        "milestone": lambda: part(title="Plant runs", due_on=TODAY, reached_on=None, reason=None),
        "verification": lambda: {
            "id": uuid4(), "version": 1, "status": "submitted", "institution_id": LIDI, "answers": {},
        },
        "policy": lambda: {
            "id": 2, "version": 2, "status": "active", "document": {"version": 2, "k": 10}, "activated_at": NOW,
        },
        "round": lambda: {
            "id": uuid4(), "version": 4, "status": "completed", "policy_version": 1, "as_of": TODAY, "needs": 3,
            "pairs": 2, "outcomes": {"matched": 1, "kept": 1, "not_eligible": 0}, "updated_at": NOW,
        },
        "webhook": lambda: {
            "id": uuid4(), "version": 2, "status": "disabled", "institution_id": LIDI, "url": "https://erp.example/h",
            "event_types": ["*"], "reason": {"code": "endpoint_gone"},
        },
        "country": lambda: {
            "code": "BGD", "version": 1, "name": "Bangladesh", "as_of": TODAY, "groups": [], "south": True,
            "income_group": None, "scheduled": [],
        },
        "trade_profile": lambda: {
            "country": "ETH", "version": 1, "name": "Ethiopia", "exports_year": 2024,
            "exports": {"09": Decimal("1400000000.00")}, "imports_year": None, "imports": {}, "updated_at": NOW,
        },
        "centre": lambda: {
            "id": uuid4(), "version": 1, "name": "UCSSIC India", "kind": "k", "host_country": "IND",
            "status": "to_be_established", "since": None, "source": "s", "history": [],
        },
        "replication": lambda: {
            "id": uuid4(), "version": 1, "practice_id": uuid4(), "source_project_id": uuid4(), "project_id": uuid4(),
            "adaptation": "a", "outcome": "in_progress", "partner_ids": [GIZ],
        },
    }  # fmt: skip
    members = {name: makers[name]() for name in event.model_fields if name in makers}
    if event is matching.MatchFormalised:
        partners = [party(LIDI) | {"role": "beneficiary"}, party(CLRI) | {"role": "pivotal"}]
        members["project"] = project(partners=partners, funding_gap=None)
    return members


def sample(event: type[Event], by_: By = OPERATOR, **members: Any) -> Event:
    """An event of this class; members given replace the made-up ones."""
    return event.model_validate({**_members(event), **members, "by": by_})


def samples() -> Iterator[Event]:
    """One of every class."""
    return (sample(event) for event in ALL_EVENTS)
