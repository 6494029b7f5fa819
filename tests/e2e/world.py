"""Actors and the way to every station of the story, each with fresh institutions so that tests do not meet."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from tests.support.system import Caller, System, succeeded
from tests.support.waiting import PATIENCE_SECONDS, eventually

RANDOM = secrets.SystemRandom()  # pytest-randomly seeds the other one alike for every test

_SOUTH = """
BEN BFA BDI CMR TGO GHA KEN TZA UGA RWA ZMB ZWE MOZ MDG MWI SEN MLI NER NGA GMB SLE LBR CIV GAB COG NAM BWA LSO
VNM KHM LAO NPL LKA PAK PHL IDN THA MYS MNG BTN MMR EGY MAR TUN DZA JOR PER BOL ECU COL PRY URY CRI GTM HND NIC
SLV DOM CUB JAM TTO GUY SUR FJI PNG VUT
"""
SOUTH = _SOUTH.split()
NORTH = ("DEU", "FRA", "NOR", "JPN")
_ISIC = """
1010 1020 1030 1040 1050 1061 1062 1071 1072 1073 1074 1075 1079 1080 1101 1102 1103 1104 1200 1311 1312 1313 1391
1392 1393 1394 1399 1410 1420 1430 1511 1512 1520 1610 1621 1622 1623 1629 1701 1702 1709 1811 1812 1820 1910 1920
2011 2012 2013 2021 2022 2023 2029 2030 2100 2211 2219 2220 2310 2391 2392 2393 2394 2395 2396 2399 2410 2420 2431
2432 2511 2512 2513 2520 2591 2592 2593 2599
"""
ISIC = _ISIC.split()
ANSWERS = (
    "registration_evidence",
    "mandate_consistent",
    "safeguards_in_place",
    "no_reputational_risk",
    "no_unacceptable_flag",
)
_SYLLABLES = "ba de fi go hu ja ke li mo nu pa re si to vu wa xe yi zo qua bri cle dro fla"
SYLLABLES = _SYLLABLES.split()


def today(days: int = 0) -> str:
    """The UTC day, or one some days away."""
    return (datetime.now(UTC).date() + timedelta(days=days)).isoformat()


def days_of(text: str) -> date:
    """The day of a date or a time."""
    return date.fromisoformat(text[:10])


def moment(text: str) -> datetime:
    """A time of the API, which must be RFC 3339 in UTC ending in Z."""
    assert text.endswith("Z"), text
    return datetime.fromisoformat(text)


def words(count: int) -> str:
    """Invented words that resemble no others."""
    return " ".join("".join(RANDOM.choices(SYLLABLES, k=4)).capitalize() for _ in range(count))


def is_id(text: str) -> bool:
    """Whether this is a UUIDv7 in lower case."""
    found = UUID(text)
    return found.version == 7 and str(found) == text


def due_diligence(**answers: bool) -> dict[str, Any]:
    """A questionnaire, all well unless told otherwise."""
    return {"answers": {name: {"answer": answers.get(name, True), "comment": ""} for name in ANSWERS}}


@dataclass
class Member(Caller):
    """An owner key of an institution, and the institution."""

    world: World = field(repr=False, default=None)  # type: ignore[assignment]
    institution: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The institution's id."""
        return str(self.institution["id"])

    @property
    def country(self) -> str:
        """The institution's country."""
        return str(self.institution["country"])

    @property
    def path(self) -> str:
        """The institution's address."""
        return f"/institutions/{self.id}"

    async def colleague(self, role: str, *, can_sign: bool = True) -> Member:
        """Another key of the same institution."""
        return await self.world.key(self.institution, role, can_sign=can_sign)

    async def capability(self, **changes: Any) -> dict[str, Any]:
        """A published capability."""
        return await self.make("/capabilities", capability_body(**changes))

    async def need(self, **changes: Any) -> dict[str, Any]:
        """An open need."""
        return await self.make("/needs", need_body(**changes))

    async def inbox(self, **params: Any) -> list[dict[str, Any]]:
        """The newest 200 entries."""
        return await self.items("/inbox", limit=200, **params)

    async def told(self, kind: str, subject: str | None = None) -> dict[str, Any]:
        """The inbox entry of an event type, as soon as it is there."""

        async def entry() -> dict[str, Any] | None:
            found = [e for e in await self.inbox() if e["event_type"] == kind]
            return next((e for e in found if subject in (None, e["subject"]["id"])), None)

        found = await eventually(entry)
        assert found is not None
        return found


def capability_body(**changes: Any) -> dict[str, Any]:
    """A capability that may be published."""
    return {
        "title": f"Twinning: {words(2)}",
        "summary": f"Training of trainers, pilot plant design and advice: {words(3)}.",
        "language": "en",
        "resource_kinds": ["technical", "training"],
        "isic": ["1511"],
        "languages": ["en"],
        "delivery_modes": ["on_site", "remote"],
        "serves": {"all_south": True, "countries": [], "blocs": []},
        "capacity": 2,
        "publish": True,
    } | changes


def need_body(**changes: Any) -> dict[str, Any]:
    """A need that may be posted."""
    return {
        "title": f"Cleaner works: {words(2)}",
        "problem": f"Effluent exceeds the limits and technicians lack training: {words(3)}.",
        "language": "en",
        "resource_kinds": ["technical", "training"],
        "isic": ["1511"],
        "languages": ["en"],
        "urgency": "high",
        "deadline": today(60),
        "post": True,
    } | changes


@dataclass
class Pair:
    """A beneficiary and a provider with what they have in common so far."""

    beneficiary: Member
    provider: Member
    capability: dict[str, Any]
    need: dict[str, Any]
    match: dict[str, Any]

    @property
    def path(self) -> str:
        """The match's address."""
        return f"/matches/{self.match['id']}"

    @property
    def project(self) -> str:
        """The project's address."""
        assert self.match["project_id"], "not formalised yet"
        return f"/projects/{self.match['project_id']}"

    @property
    def members(self) -> tuple[Member, Member]:
        """Both."""
        return self.beneficiary, self.provider

    async def interested(self) -> Pair:
        """The provider expresses interest."""
        self.match = await self.provider.do(f"{self.path}/express-interest")
        return self

    async def accepted(self) -> Pair:
        """And the beneficiary accepts."""
        await self.interested()
        self.match = await self.beneficiary.do(f"{self.path}/accept")
        return self

    async def confirmed(self) -> Pair:
        """And the provider confirms."""
        await self.accepted()
        self.match = await self.provider.do(f"{self.path}/formalise")
        return self

    async def formalised(self) -> Pair:
        """And the beneficiary confirms too."""
        await self.accepted()
        return await self.formalised_by_both()

    async def formalised_by_both(self) -> Pair:
        """Both confirm what is accepted."""
        await self.provider.do(f"{self.path}/formalise")
        self.match = await self.beneficiary.do(f"{self.path}/formalise")
        return self

    async def opened(self) -> Pair:
        """And the project is there."""
        await self.formalised()
        await eventually(self._has_project)
        return self

    async def _has_project(self) -> bool:
        return (await self.beneficiary.get(self.project)).status_code == 200

    async def now(self) -> dict[str, Any]:
        """The match as it is now."""
        self.match = await self.beneficiary.read(self.path)
        return self.match

    async def becomes(self, status: str) -> dict[str, Any]:
        """The match as soon as it has the status."""
        return await becomes(self.beneficiary, self.path, status)


async def becomes(caller: Caller, path: str, status: str, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
    """A resource as soon as it has the status."""

    async def there() -> dict[str, Any]:
        found = await caller.read(path)
        assert found["status"] == status, f"{path} is {found['status']}, not {status}"
        return found

    return await eventually(there, seconds)


@dataclass
class Cooperation:
    """A project of two partners, opened directly or by a match."""

    beneficiary: Member
    provider: Member
    path: str

    @property
    def id(self) -> str:
        """The project's id."""
        return self.path.rpartition("/")[2]

    @property
    def members(self) -> tuple[Member, Member]:
        """Both partners."""
        return self.beneficiary, self.provider

    async def now(self) -> dict[str, Any]:
        """The project as it is."""
        return await self.beneficiary.read(self.path)

    def agreement_body(self, **changes: Any) -> dict[str, Any]:
        """An agreement of both."""
        return {
            "kind": "memorandum_of_understanding",
            "title": "Twinning MoU",
            "parties": [self.beneficiary.id, self.provider.id],
            "effective_on": today(),
            "document": {"name": "mou.pdf", "url": "https://lidi.example/mou.pdf", "sha256": "9f86d081" * 8},
        } | changes

    def pledge_body(self, **changes: Any) -> dict[str, Any]:
        """120 expert days of the provider."""
        return {
            "receiver_id": self.beneficiary.id,
            "resource_kind": "technical",
            "kind": "in_kind",
            "unit": "expert_day",
            "quantity": "120",
            "value": {"amount": "48000.00", "currency": "USD"},
            "valuation_method": "daily_rate",
            "description": "Two effluent specialists",
            "due_on": today(200),
        } | changes

    def cash_body(self, **changes: Any) -> dict[str, Any]:
        """Money of the provider."""
        return {
            "receiver_id": self.beneficiary.id,
            "resource_kind": "financial",
            "kind": "cash",
            "value": {"amount": "300000.00", "currency": "USD"},
            "description": "Pilot plant",
        } | changes

    async def proposed(self) -> dict[str, Any]:
        """An agreement that awaits signatures."""
        return await self.beneficiary.make(f"{self.path}/agreements", self.agreement_body())

    async def agreed(self) -> Cooperation:
        """Signed by both."""
        agreement = await self.proposed()
        for member in self.members:
            await member.do(f"/agreements/{agreement['id']}/sign", {"signed_on": today()})
        return self

    async def started(self) -> Cooperation:
        """Agreed and active."""
        await self.agreed()
        await self.provider.do(f"{self.path}/start", {"started_on": today()})
        return self

    async def committed(self, **changes: Any) -> dict[str, Any]:
        """A committed contribution of the provider."""
        body = self.cash_body(**changes) if changes.get("kind") == "cash" else self.pledge_body(**changes)
        pledge = await self.provider.make(f"{self.path}/contributions", body)
        return await self.provider.do(f"/contributions/{pledge['id']}/commit")

    async def reported(self) -> Cooperation:
        """The completion report is signed by both."""
        texts = {"summary": "Done.", "results": "Clean water.", "lessons": "Start earlier."}
        report = await self.provider.make(f"{self.path}/reports", {"kind": "completion", **texts})
        for member in self.members:
            await member.do(f"/reports/{report['id']}/sign")
        return self

    async def completed(self) -> Cooperation:
        """Started, reported and complete."""
        await self.started()
        await self.reported()
        await self.beneficiary.do(f"{self.path}/complete", {"completed_on": today()})
        return self

    def practice_body(self, **changes: Any) -> dict[str, Any]:
        """What was learnt."""
        return {
            "project_id": self.id,
            "title": f"Shared recovery: {words(2)}",
            "language": "en",
            "challenge": "Small works cannot each pay for a plant.",
            "approach": "One recovery unit for a cluster.",
            "conditions": "Cluster within 5 km.",
            "results": "Effluent down by four fifths.",
            "poverty_reduction": {"summary": "Jobs kept in the cluster", "people_reached": 450},
            "isic": ["1511"],
            "sdg_targets": ["9.4", "1.4"],
            "publish": True,
        } | changes


class World:
    """Makes actors and stories on one system."""

    def __init__(self, system: System) -> None:
        self.system = system

    def institution_body(self, **changes: Any) -> dict[str, Any]:
        """An institution nobody has registered before."""
        country = changes.get("country", RANDOM.choice(SOUTH))
        return {"name": words(3), "type": "research_institute", "country": country, "languages": ["en"]} | changes

    async def registered(self, **changes: Any) -> Member:
        """An owner of an institution that is not verified."""
        body = self.institution_body(**changes)
        institution = await self.system.operator.make("/institutions", body)
        return await self.key(institution, "owner")

    async def key(self, institution: dict[str, Any], role: str, *, can_sign: bool = True) -> Member:
        """A key of an institution."""
        body = {"name": f"{role} key", "institution_id": institution["id"], "role": role, "can_sign": can_sign}
        made = await self.system.operator.make("/keys", body)
        return Member(self.system, made["client_id"], made["client_secret"], self, institution)

    async def verify(self, institution_id: str) -> dict[str, Any]:
        """Due diligence with four eyes."""
        path = f"/institutions/{institution_id}/verifications"
        submitted = await self.system.operator.make(path, due_diligence())
        return await self.system.verifier.do(f"/verifications/{submitted['id']}/approve")

    async def member(self, **changes: Any) -> Member:
        """An owner of a verified institution."""
        member = await self.registered(**changes)
        await self.verify(member.id)
        return member

    async def two(self, **changes: Any) -> tuple[Member, Member]:
        """Owners of two verified institutions of different countries of the South."""
        one, other = RANDOM.sample(SOUTH, 2)
        return await asyncio.gather(self.member(country=one, **changes), self.member(country=other, **changes))

    async def proposed(self, *, capability: dict[str, Any] | None = None, **need: Any) -> Pair:
        """A pair the ranking has proposed to each other."""
        beneficiary, provider = await self.two()
        return await self.pair(beneficiary, provider, capability=capability, **need)

    async def pair(
        self, beneficiary: Member, provider: Member, *, capability: dict[str, Any] | None = None, **need: Any
    ) -> Pair:
        """A proposal for two given members, in a field where nobody else is."""
        field_of_work = [RANDOM.choice(ISIC)]
        serves = {"all_south": False, "countries": [beneficiary.country], "blocs": []}
        offered = await provider.capability(**{"isic": field_of_work, "serves": serves} | (capability or {}))
        wanted = await beneficiary.need(**{"isic": offered["isic"]} | need)
        match = await self.match(beneficiary, wanted["id"], offered["id"])
        return Pair(beneficiary, provider, offered, wanted, match)

    async def match(self, caller: Caller, need_id: str, capability_id: str) -> dict[str, Any]:
        """The match of a need with a capability, as soon as it is proposed."""

        async def found() -> dict[str, Any]:
            page = await caller.read("/matches", need_id=need_id)
            items = [item for item in page["items"] if item["capability_id"] == capability_id]
            assert items, f"capability {capability_id} is not proposed: {page}"
            return dict(items[0])

        return await eventually(found)

    async def seen(self, caller: Caller, need_id: str, version: int = 1) -> list[dict[str, Any]]:
        """The matches of a need once matching has processed that version of it."""

        async def looked() -> dict[str, Any]:
            page = await caller.read("/matches", need_id=need_id)
            assert page["need"]["version_seen"] == version, page
            return page

        return list((await eventually(looked))["items"])

    async def offered(self, caller: Member, isic: list[str], *capability_ids: str) -> None:
        """Returns when matching would rank these for a need in this field: topics have no order among each other."""
        body = need_body(isic=isic)
        del body["post"]

        async def ranked() -> bool:
            items = succeeded(await caller.post("/suggestions?limit=50", body), 200)["items"]
            missing = set(capability_ids) - {item["capability_id"] for item in items}
            assert not missing, f"not in the index: {missing}"
            return True

        await eventually(ranked)

    async def direct(self, *members: Member) -> Cooperation:
        """A project without a match."""
        beneficiary, provider = members or await self.two()
        body = direct_body(beneficiary, provider)
        project = await self.system.operator.make("/projects", body)
        return Cooperation(beneficiary, provider, f"/projects/{project['id']}")

    async def matched(self) -> Cooperation:
        """A project that came from a match."""
        pair = await (await self.proposed()).opened()
        return Cooperation(pair.beneficiary, pair.provider, pair.project)


def direct_body(beneficiary: Member, provider: Member, **changes: Any) -> dict[str, Any]:
    """A project to be opened directly."""
    partners = [(beneficiary.id, "beneficiary"), (provider.id, "pivotal")]
    return {
        "title": f"Twinning {words(1)}",
        "language": "en",
        "partners": [{"institution_id": who, "role": role, "from": today()} for who, role in partners],
        "resource_kinds": ["technical"],
        "isic": ["1511"],
        "justification_code": "existing_cooperation",
    } | changes


async def get_ok(caller: Caller, path: str) -> dict[str, Any]:
    """The body of a GET once it is there (an effect of another service)."""

    async def there() -> dict[str, Any]:
        return succeeded(await caller.get(path), 200)

    return await eventually(there)
