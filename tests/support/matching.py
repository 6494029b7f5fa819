"""The world around matching in its tests: institutions, capabilities and needs as registry would tell of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import text

from shared.events import projects, registry
from shared.events.states import DatedRole, Owner, Serves
from shared.messaging.envelope import SYSTEM_BY
from shared.ops.clock import Clock
from shared.ops.ids import new_id
from tests.support.waiting import eventually

if TYPE_CHECKING:
    import httpx

    from shared.messaging.envelope import CloudEvent
    from tests.support.stack import RunningService

CLOCK = Clock()
Json = dict[str, Any]


@dataclass
class Party:
    """An institution and what we say of it."""

    id: UUID
    name: str
    country: str | None
    type: str = "research_institute"
    status: str = "verified"
    languages: tuple[str, ...] = ("en",)
    version: int = 1

    @property
    def owner(self) -> Owner:
        return Owner(id=self.id, name=self.name, country=self.country, type=self.type)

    def state(self) -> registry.InstitutionState:
        now = CLOCK.now()
        return registry.InstitutionState(
            id=self.id, version=self.version, status=self.status, name=self.name, acronym=None, other_names=[],
            type=self.type, country=self.country, south=True, languages=list(self.languages), website=None,
            parent_id=None, external_ids=[], verified_until=None, created_at=now, updated_at=now,
        )  # fmt: skip


class World:
    """Speaks as registry and projects to one running matching."""

    def __init__(self, service: RunningService) -> None:
        self.service = service

    async def institution(self, name: str, country: str | None, **members: Any) -> Party:
        party = Party(new_id(), name, country, **members)
        await self.tell(party)
        return party

    async def tell(
        self, party: Party, event: type[registry.InstitutionEvent] = registry.InstitutionVerified
    ) -> CloudEvent:
        sent = await self.service.foreign.send(event(institution=party.state(), by=SYSTEM_BY))
        party.version += 1
        return sent

    def capability_state(self, party: Party, **members: Any) -> registry.CapabilityState:
        values: Json = {
            "id": new_id(), "version": 1, "status": "published", "institution": party.owner,
            "title": "Twinning for tanneries: effluent treatment and leather technology",
            "summary": "Training of trainers, pilot plant design and technical advice in clean leather processing.",
            "language": "en", "resource_kinds": ["technical", "technology", "training"], "isic": ["1511"], "hs": [],
            "sdg_targets": ["9.4"], "technologies": ["effluent treatment"], "languages": ["en"], "delivery_modes": [],
            "serves": Serves(all_south=True, countries=[], blocs=[]), "capacity": 2,
            "renew_by": CLOCK.today() + timedelta(days=300), "centre_id": None, "evidence": [],
            "published_at": CLOCK.now(), "updated_at": CLOCK.now(),
        }  # fmt: skip
        return registry.CapabilityState(**(values | members))

    async def capability(self, party: Party, **members: Any) -> registry.CapabilityState:
        state = self.capability_state(party, **members)
        await self.service.foreign.send(registry.CapabilityPublished(capability=state, by=SYSTEM_BY))
        return state

    async def capability_event(
        self, event: type[registry.CapabilityEvent], state: registry.CapabilityState, **members: Any
    ) -> registry.CapabilityState:
        changed = state.model_copy(update={"version": state.version + 1, **members})
        await self.service.foreign.send(event(capability=changed, by=SYSTEM_BY))
        return changed

    def need_state(self, party: Party, **members: Any) -> registry.NeedState:
        values: Json = {
            "id": new_id(), "version": 1, "status": "open", "institution": party.owner,
            "title": "Cut chrome discharge of three tanneries and train their technicians",
            "problem": "Effluent of the tanneries exceeds the limits; technicians lack training in effluent treatment.",
            "language": "en", "country": party.country, "resource_kinds": ["technical", "training", "financial"],
            "isic": ["1511"], "hs": [], "sdg_targets": ["9.4"], "technologies": ["effluent treatment"],
            "languages": ["en"], "urgency": "high", "budget": None, "funding_gap": None,
            "deadline": CLOCK.today() + timedelta(days=200), "domestic_welcome": False, "partners_wanted": 1,
            "posted_at": CLOCK.now(), "updated_at": CLOCK.now(),
        }  # fmt: skip
        return registry.NeedState(**(values | members))

    async def need(self, party: Party, **members: Any) -> registry.NeedState:
        state = self.need_state(party, **members)
        await self.service.foreign.send(registry.NeedPosted(need=state, by=SYSTEM_BY))
        return state

    async def need_event(
        self, event: type[registry.NeedEvent], state: registry.NeedState, **members: Any
    ) -> registry.NeedState:
        changed = state.model_copy(update={"version": state.version + 1, **members})
        await self.service.foreign.send(event(need=changed, by=SYSTEM_BY))
        return changed

    async def project_event(self, event: type[projects.ProjectEvent], match: Json, **members: Any) -> None:
        """Tells the end of the project that came of a formalised match (as the API shows it)."""
        partners = [
            DatedRole(institution_id=match[side]["institution_id"], name=match[side]["name"],
                      country=match[side]["country"], role=role, from_=date(2026, 1, 1))
            for side, role in (("beneficiary", "beneficiary"), ("provider", "pivotal"))
        ]  # fmt: skip
        values: Json = {
            "id": UUID(match["project_id"]), "version": 2, "status": "completed", "modality": "south_south",
            "title": "A project", "language": "en", "match_id": UUID(match["id"]), "need_id": UUID(match["need_id"]),
            "capability_id": UUID(match["capability_id"]), "partners": partners, "resource_kinds": ["technical"],
            "isic": ["1511"], "hs": [], "sdg_targets": [], "budget": None, "planned_start_on": None,
            "planned_end_on": None, "started_on": None, "completed_on": None, "updated_at": CLOCK.now(),
        }  # fmt: skip
        await self.service.foreign.send(event(project=projects.ProjectState(**(values | members)), by=SYSTEM_BY))

    # What matching says and shows

    async def settled(self) -> None:
        """Until matching has handled all that was told, taken it in, and ranked what it concerns.

        Records of several partitions come in any order: that one is known says nothing of those sent before it.
        """
        await self.service.handled(*self.service.foreign.sent)

        async def nothing_waits() -> bool:
            async with self.service.running.database.background_session() as session:
                return not await session.scalar(text("select count(*) from work"))

        await eventually(nothing_waits)

    async def told(self, *names: str, match_id: str | None = None) -> list[Json]:
        """Data of these events as they stand on Kafka, once nothing waits to be sent."""

        async def all_sent() -> bool:
            async with self.service.running.database.background_session() as session:
                unsent = await session.scalar(text("select count(*) from outbox where published_at is null"))
            return unsent == 0

        await eventually(all_sent)
        wires = {f"org.bandung.{name}.v1" for name in names}
        records = [r for r in await self.service.records("matching.matches") if r.type in wires]
        data = [json.loads(record.data) for record in records]
        return [one for one in data if match_id in (None, one["match"]["id"])]

    def owner(self, party: Party, role: str = "owner", **claims: Any) -> Json:
        return self.service.token(role, institution_id=party.id, **claims)

    async def matches(self, party: Party, need: registry.NeedState, **query: Any) -> Json:
        answer = await self.service.client.get(
            "/matches", params={"need_id": str(need.id), **query}, headers=self.owner(party)
        )
        assert answer.status_code == 200, answer.text
        body: Json = answer.json()
        return body

    async def proposed(self, party: Party, need: registry.NeedState, number: int = 1) -> list[Json]:
        """The need's matches once there are this many open ones and the need's version was looked at."""

        async def seen() -> list[Json] | None:
            body = await self.matches(party, need)
            opened = [m for m in body["items"] if m["status"] in ("proposed", "interested", "accepted")]
            return opened if body["need"]["version_seen"] is not None and len(opened) == number else None

        found: list[Json] = await eventually(seen)  # type: ignore[assignment]
        return found

    async def status(self, party: Party, match: Json, wanted: str) -> Json:
        """The match once it has this status."""

        async def there() -> Json | None:
            shown = await self.get(party, match)
            return shown if shown["status"] == wanted else None

        found: Json = await eventually(there)  # type: ignore[assignment]
        return found

    async def get(self, party: Party, match: Json) -> Json:
        answer = await self.service.client.get(f"/matches/{match['id']}", headers=self.owner(party))
        assert answer.status_code == 200, answer.text
        body: Json = answer.json()
        return body

    async def post(
        self,
        party: Party,
        match: Json,
        action: str,
        body: Json | None = None,
        *,
        if_match: str | None = "*",
        **token: Any,
    ) -> httpx.Response:
        headers = self.owner(party, **token) | ({"If-Match": if_match} if if_match else {})
        return await self.service.client.post(f"/matches/{match['id']}/{action}", json=body or {}, headers=headers)

    async def accepted(self, beneficiary: Party, provider: Party, match: Json) -> Json:
        """Takes a proposal to `accepted`."""
        assert (await self.post(provider, match, "express-interest")).status_code == 200
        answer = await self.post(beneficiary, match, "accept")
        assert answer.status_code == 200, answer.text
        body: Json = answer.json()
        return body

    async def formalised(self, beneficiary: Party, provider: Party, match: Json) -> Json:
        """Takes a proposal to `formalised`."""
        await self.accepted(beneficiary, provider, match)
        assert (await self.post(provider, match, "formalise")).status_code == 200
        answer = await self.post(beneficiary, match, "formalise")
        assert answer.status_code == 200, answer.text
        body: Json = answer.json()
        return body
