"""Institutions, formalised matches and calls for the tests of projects."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx

from shared.events.matching import Answers, FacilitatorRef, MatchFormalised, MatchState, ProjectSeed
from shared.events.registry import InstitutionEvent, InstitutionRegistered, InstitutionState
from shared.events.states import PartyRef, RoleRef, Sum
from shared.messaging.envelope import By
from shared.ops.ids import new_id
from tests.support.stack import RunningService
from tests.support.waiting import eventually


def today(days: int = 0) -> str:
    """The UTC day, moved."""
    return (datetime.now(UTC).date() + timedelta(days=days)).isoformat()


@dataclass
class Institution:
    """An institution and its owner's token."""

    name: str
    country: str | None
    id: UUID = field(default_factory=new_id)

    def state(self, status: str = "verified", **changes: Any) -> InstitutionState:
        """What registry would say of it."""
        now = datetime.now(UTC)
        values = {
            "id": self.id, "version": 1, "status": status, "name": self.name, "acronym": None, "other_names": [],
            "type": "research_institute", "country": self.country, "south": None, "languages": ["en"],
            "website": None, "parent_id": None, "external_ids": [], "verified_until": None,
            "created_at": now, "updated_at": now,
        }  # fmt: skip
        return InstitutionState(**(values | changes))

    def event(
        self, kind: type[InstitutionEvent] = InstitutionRegistered, status: str = "verified", **changes: Any
    ) -> Any:
        """An event of registry about it."""
        return kind(institution=self.state(status, **changes), by=By(institution_id=None, via="api"))


@dataclass
class Match:
    """A formalised match between two institutions, and the project it will become."""

    beneficiary: Institution
    provider: Institution
    facilitators: list[tuple[Institution, str]] = field(default_factory=list)
    id: UUID = field(default_factory=new_id)
    need_id: UUID = field(default_factory=new_id)
    project_id: UUID = field(default_factory=new_id)

    def event(self) -> MatchFormalised:
        """What matching says at the second confirmation."""
        now = datetime.now(UTC)
        state = MatchState(
            id=self.id, version=5, status="formalised", origin="ranking", need_id=self.need_id, need_version=1,
            need_title="Cut chrome discharge", capability_id=new_id(), capability_version=1,
            capability_title="Twinning for tanneries", beneficiary=_party(self.beneficiary),
            provider=_party(self.provider),
            facilitators=[FacilitatorRef(**dict(_party(i)), status=status) for i, status in self.facilitators],
            score=0.74, rank=1, policy_version=1, as_of=now.date(),
            answers=Answers(beneficiary="interested", provider="interested"),
            confirmations=["provider", "beneficiary"], project_id=self.project_id, reason=None,
            proposed_at=now, expires_at=None, updated_at=now,
        )  # fmt: skip
        seed = ProjectSeed(
            id=self.project_id, title="Cut chrome discharge", language="en",
            partners=[
                RoleRef(**dict(_party(self.beneficiary)), role="beneficiary"),
                RoleRef(**dict(_party(self.provider)), role="pivotal"),
            ],
            resource_kinds=["technical", "training", "financial"], isic=["1511"], hs=[], sdg_targets=["9.4", "1.4"],
            budget=Sum(amount="450000.00", currency="USD"), funding_gap=None,
        )  # fmt: skip
        return MatchFormalised(match=state, project=seed, by=By(institution_id=self.beneficiary.id, via="api"))


def _party(institution: Institution) -> PartyRef:
    return PartyRef(institution_id=institution.id, name=institution.name, country=institution.country)


@dataclass
class Desk:
    """Somebody who works with the API of projects."""

    service: RunningService
    headers: dict[str, str]

    async def get(self, path: str, **params: Any) -> httpx.Response:
        """A read."""
        return await self.service.client.get(path, headers=self.headers, params=params)

    async def post(self, path: str, body: Any = None, if_match: str | None = "*", **headers: str) -> httpx.Response:
        """A write; `if_match=None` leaves the header out."""
        given = self.headers | headers | ({"If-Match": if_match} if if_match else {})
        return await self.service.client.post(path, headers=given, json=body or {})

    async def patch(self, path: str, body: Any, if_match: str | None = "*") -> httpx.Response:
        """A merge patch."""
        given = self.headers | ({"If-Match": if_match} if if_match else {})
        return await self.service.client.patch(path, headers=given, json=body)

    async def made(self, path: str, body: Any) -> dict[str, Any]:
        """A creation that works."""
        answer = await self.post(path, body, if_match=None)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def done(self, path: str, body: Any = None) -> dict[str, Any]:
        """A state change that works."""
        answer = await self.post(path, body)
        assert answer.status_code == 200, answer.text
        return answer.json()


def desk(service: RunningService, institution: Institution | None, *roles: str, **claims: Any) -> Desk:
    """A caller: `desk(s, lidi, "owner")`, `desk(s, None, "operator")`."""
    return Desk(service, service.token(*roles, institution_id=institution.id if institution else None, **claims))


@dataclass
class Twinning:
    """A project between two institutions, with its callers, on the way through its life."""

    service: RunningService
    match: Match

    def __post_init__(self) -> None:
        self.lidi, self.clri = self.match.beneficiary, self.match.provider
        self.beneficiary = desk(self.service, self.lidi, "owner")
        self.pivotal = desk(self.service, self.clri, "owner")
        self.path = f"/projects/{self.match.project_id}"

    async def opened(self) -> dict[str, Any]:
        """The project once it is there."""
        await self.service.foreign.send(self.match.event())

        async def there() -> dict[str, Any] | None:
            answer = await self.beneficiary.get(self.path)
            return answer.json() if answer.status_code == 200 else None

        return await eventually(there)

    async def agreed(self) -> dict[str, Any]:
        """Opened, and an agreement signed by both."""
        await self.opened()
        agreement = await self.beneficiary.made(f"{self.path}/agreements", self.agreement())
        for partner in (self.beneficiary, self.pivotal):
            await partner.done(f"/agreements/{agreement['id']}/sign", {"signed_on": today()})
        return (await self.beneficiary.get(self.path)).json()

    async def active(self) -> dict[str, Any]:
        """Agreed and started."""
        await self.agreed()
        return await self.pivotal.done(f"{self.path}/start", {"started_on": today()})

    async def completed(self) -> dict[str, Any]:
        """Active, reported, signed and completed."""
        await self.active()
        report = await self.beneficiary.made(f"{self.path}/reports", self.report())
        for partner in (self.beneficiary, self.pivotal):
            await partner.done(f"/reports/{report['id']}/sign")
        return await self.pivotal.done(f"{self.path}/complete", {"completed_on": today()})

    def agreement(self, **changes: Any) -> dict[str, Any]:
        """A memorandum of both."""
        document = {"name": "mou.pdf", "url": "https://lidi.example/mou.pdf", "sha256": "9f" * 32}
        return {
            "kind": "memorandum_of_understanding", "title": "Twinning MoU",
            "parties": [str(self.lidi.id), str(self.clri.id)], "effective_on": today(), "document": document,
        } | changes  # fmt: skip

    def experts(self, **changes: Any) -> dict[str, Any]:
        """120 expert days for the beneficiary."""
        return {
            "receiver_id": str(self.lidi.id), "resource_kind": "technical", "kind": "in_kind", "unit": "expert_day",
            "quantity": "120", "value": {"amount": "48000.00", "currency": "USD"}, "valuation_method": "daily_rate",
            "description": "Two effluent specialists", "due_on": "2027-06-30",
        } | changes  # fmt: skip

    def cash(self, amount: str = "300000.00", currency: str = "USD", **changes: Any) -> dict[str, Any]:
        """Money for the beneficiary."""
        return {
            "receiver_id": str(self.lidi.id), "resource_kind": "financial", "kind": "cash",
            "value": {"amount": amount, "currency": currency}, "description": "First plant",
        } | changes  # fmt: skip

    def report(self, **changes: Any) -> dict[str, Any]:
        """A completion report."""
        return {"kind": "completion", "summary": "Done", "results": "Clean", "lessons": "Share"} | changes

    def practice(self, **changes: Any) -> dict[str, Any]:
        """What worked."""
        return {
            "project_id": str(self.match.project_id), "title": "Shared chrome recovery for small tanneries",
            "language": "en", "challenge": "Small tanneries cannot each pay for a plant.",
            "approach": "One recovery unit for a cluster.", "conditions": "Cluster within 5 km.",
            "results": "Chrome in effluent down by four fifths.",
            "poverty_reduction": {"summary": "Jobs kept in the cluster", "people_reached": 450},
            "isic": ["1511"], "sdg_targets": ["9.4", "1.4"], "publish": True,
        } | changes  # fmt: skip

    def direct(self, **changes: Any) -> dict[str, Any]:
        """A project of the same two without a match."""
        partners = [
            {"institution_id": str(self.clri.id), "role": "pivotal", "from": today()},
            {"institution_id": str(self.lidi.id), "role": "beneficiary", "from": today()},
        ]
        return {
            "title": "Second cluster", "language": "en", "partners": partners, "resource_kinds": ["technical"],
            "isic": ["1511"], "justification_code": "replication",
        } | changes  # fmt: skip


def twinning(service: RunningService, **match: Any) -> Twinning:
    """A new pair with a formalised match."""
    lidi = Institution("Leather Industry Development Institute", "ETH")
    clri = Institution("Central Leather Research Institute", "IND")
    return Twinning(service, Match(lidi, clri, **match))
