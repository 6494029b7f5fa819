"""Institutions, requests and foreign events for the tests of registry."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx

from shared.events.matching import Answers, FacilitatorRef, MatchEvent, MatchFormalised, MatchState, ProjectSeed
from shared.events.projects import ProjectEvent, ProjectState
from shared.events.states import PartyRef
from shared.messaging.envelope import By
from shared.ops.ids import new_id
from tests.support.kafka import types
from tests.support.stack import RunningService
from tests.support.waiting import eventually

SYSTEM = By(institution_id=None, via="system")
QUESTIONS = (
    "registration_evidence",
    "mandate_consistent",
    "safeguards_in_place",
    "no_reputational_risk",
    "no_unacceptable_flag",
)
Headers = dict[str, str]


def today(days: int = 0) -> str:
    """The UTC day, moved."""
    return (datetime.now(UTC).date() + timedelta(days=days)).isoformat()


def due_diligence(**answers: bool) -> dict[str, Any]:
    """A questionnaire."""
    return {"answers": {q: {"answer": answers.get(q, True), "comment": ""} for q in QUESTIONS}}


def capability_body(**changes: Any) -> dict[str, Any]:
    """A capability to be published at once."""
    body = {
        "title": "Twinning for tanneries",
        "summary": "Training of trainers and pilot plant design.",
        "resource_kinds": ["technical", "training"],
        "isic": ["1511"],
        "serves": {"all_south": True, "countries": [], "blocs": []},
        "capacity": 2,
        "publish": True,
    }
    return body | changes


def need_body(**changes: Any) -> dict[str, Any]:
    """A need to be posted at once."""
    body = {
        "title": "Cut chrome discharge",
        "problem": "Effluent exceeds the limits.",
        "resource_kinds": ["technical"],
        "isic": ["1511"],
        "urgency": "high",
        "deadline": today(60),
        "post": True,
    }
    return body | changes


@dataclass
class World:
    """A running registry and its staff."""

    service: RunningService
    operator: Headers = field(init=False)
    verifier: Headers = field(init=False)

    def __post_init__(self) -> None:
        self.operator = self.service.token("operator", sub="key:operator")
        self.verifier = self.service.token("verifier", sub="key:verifier")

    async def get(self, path: str, who: Headers, **params: Any) -> httpx.Response:
        """GET."""
        return await self.service.client.get(path, headers=who, params=params)

    async def post(
        self, path: str, who: Headers, body: Any = None, *, if_match: str | None = None, key: str | None = None
    ) -> httpx.Response:
        """POST."""
        return await self.service.client.post(path, headers=_headers(who, if_match, key), json=body)

    async def patch(self, path: str, who: Headers, body: Any, *, if_match: str | None = "*") -> httpx.Response:
        """PATCH."""
        return await self.service.client.patch(path, headers=_headers(who, if_match), json=body)

    async def made(self, path: str, who: Headers, body: Any, **params: Any) -> dict[str, Any]:
        """What a POST made."""
        answer = await self.service.client.post(path, headers=who, json=body, params=params)
        assert answer.status_code == 201, answer.text
        document: dict[str, Any] = answer.json()
        return document

    async def done(self, path: str, who: Headers, body: Any = None, *, if_match: str = "*") -> dict[str, Any]:
        """The resource after a state change."""
        answer = await self.post(path, who, body, if_match=if_match)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    async def read(self, path: str, who: Headers | None = None, **params: Any) -> dict[str, Any]:
        """A resource or a page."""
        answer = await self.get(path, who or self.operator, **params)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    async def institution(self, **changes: Any) -> Member:
        """A new institution with an owner's token."""
        body = {
            "name": f"Institute {secrets.token_hex(8)}",
            "type": "firm",
            "country": "ETH",
            "languages": ["fr", "en"],
        }
        found = await self.made("/institutions", self.operator, body | changes)
        return Member(self, found)

    async def verified(self, **changes: Any) -> Member:
        """A new institution that is verified."""
        member = await self.institution(**changes)
        made = await self.made(f"{member.path}/verifications", self.operator, due_diligence())
        await self.done(f"/verifications/{made['id']}/approve", self.verifier)
        return member

    async def told(self, topic: str, key: UUID | str, *kinds: str) -> list[dict[str, Any]]:
        """The data of the events of one key, once exactly these types have been told."""

        async def all_there() -> list[Any]:
            found = [r for r in await self.service.records(topic) if r.partitionkey == str(key)]
            assert types(found) == list(kinds)
            assert [r.sequence for r in found] == [f"0001-{n:010d}" for n in range(1, len(kinds) + 1)]
            return found

        return [json.loads(record.data) for record in await eventually(all_there)]


def _headers(who: Headers, if_match: str | None, key: str | None = None) -> Headers:
    return {
        **who,
        **({"If-Match": if_match} if if_match else {}),
        **({"Idempotency-Key": key} if key else {}),
    }


@dataclass
class Member:
    """An institution and its people."""

    world: World
    data: dict[str, Any]

    @property
    def id(self) -> UUID:
        """The institution's id."""
        return UUID(self.data["id"])

    @property
    def path(self) -> str:
        """The institution's address."""
        return f"/institutions/{self.id}"

    def token(self, role: str = "owner", **claims: Any) -> Headers:
        """A token of one of its people."""
        return self.world.service.token(role, institution_id=self.id, **claims)

    async def capability(self, **changes: Any) -> dict[str, Any]:
        """A published capability."""
        return await self.world.made("/capabilities", self.token(), capability_body(**changes))

    async def need(self, **changes: Any) -> dict[str, Any]:
        """An open need."""
        return await self.world.made("/needs", self.token(), need_body(**changes))

    @property
    def party(self) -> PartyRef:
        """As matching names it."""
        return PartyRef(institution_id=self.id, name=self.data["name"], country=self.data["country"])


@dataclass
class Match:
    """A match of a need with a capability, and the project that follows: what matching and projects would say."""

    need_id: UUID
    capability_id: UUID
    beneficiary: PartyRef
    provider: PartyRef
    id: UUID = field(default_factory=new_id)
    project_id: UUID = field(default_factory=new_id)

    def event(
        self, kind: type[MatchEvent], status: str, facilitators: list[FacilitatorRef] | None = None
    ) -> MatchEvent:
        """An event of matching about it."""
        now = datetime.now(UTC)
        state = MatchState(
            id=self.id, version=1, status=status, origin="ranking", need_id=self.need_id, need_version=1,
            need_title="n", capability_id=self.capability_id, capability_version=1, capability_title="c",
            beneficiary=self.beneficiary, provider=self.provider, facilitators=facilitators or [], score=0.7, rank=1,
            policy_version=1, as_of=date(2026, 11, 24), answers=Answers(beneficiary=None, provider=None),
            confirmations=[], project_id=self.project_id if status == "formalised" else None, reason=None,
            proposed_at=now, expires_at=None, updated_at=now,
        )  # fmt: skip
        if kind is not MatchFormalised:
            return kind(match=state, by=SYSTEM)
        seed = ProjectSeed(
            id=self.project_id, title="p", language="en", partners=[], resource_kinds=["technical"], isic=["1511"],
            hs=[], sdg_targets=[], budget=None, funding_gap=None,
        )  # fmt: skip
        return MatchFormalised(match=state, project=seed, by=SYSTEM)

    def ended(self, kind: type[ProjectEvent], status: str, *, reopen_need: bool | None = None) -> ProjectEvent:
        """An event of projects about its end."""
        state = ProjectState(
            id=self.project_id, version=2, status=status, modality="south_south", title="p", language="en",
            match_id=self.id, need_id=self.need_id, capability_id=self.capability_id, partners=[],
            resource_kinds=["technical"], isic=["1511"], hs=[], sdg_targets=[], budget=None, planned_start_on=None,
            planned_end_on=None, started_on=None, completed_on=None, reopen_need=reopen_need,
            updated_at=datetime.now(UTC),
        )  # fmt: skip
        return kind(project=state, by=SYSTEM)
