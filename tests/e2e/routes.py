"""Every route of the four OpenAPI documents, with real ids in its path."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pytest_asyncio

from tests.e2e.world import Cooperation, Member, World, direct_body, due_diligence, today
from tests.support.system import SERVICES, Receiver, System, succeeded
from tests.support.waiting import eventually

PRIVATE = {
    "keys",
    "verifications",
    "matches",
    "projects",
    "agreements",
    "contributions",
    "milestones",
    "reports",
    "webhooks",
    "deliveries",
}
METHODS = ("get", "post", "patch", "put", "delete")
UNKNOWN_ID = "01a20cda-0c07-7007-8007-000000000007"


@dataclass(frozen=True)
class Route:
    """One operation."""

    service: str
    method: str
    template: str
    operation: dict[str, Any] = field(repr=False, hash=False, compare=False)
    document: dict[str, Any] = field(repr=False, hash=False, compare=False)

    @property
    def resource(self) -> str:
        """`matches` of `/matches/{match_id}/accept`."""
        return self.template.split("/")[1]

    @property
    def is_public(self) -> bool:
        """Whether section 1 lets anybody in."""
        public = r"/(token|\.well-known/.*|livez|readyz|metrics|version|openapi\.json|asyncapi\.json|schemas/.*|docs.*)"
        return re.fullmatch(public, self.template) is not None

    @property
    def is_stream(self) -> bool:
        """Whether the answer never ends."""
        return self.template.endswith("/stream")

    @property
    def is_one_private_thing(self) -> bool:
        """Whether it reads something that only its parties see."""
        return self.resource in PRIVATE and "{" in self.template

    @property
    def takes_json(self) -> bool:
        """Whether a body, if it takes any, is JSON."""
        return "application/json" in self.operation.get("requestBody", {"content": "application/json"})["content"]

    def members(self) -> dict[str, Any]:
        """The properties of the JSON body."""
        content = self.operation.get("requestBody", {}).get("content", {})
        return properties(content.get("application/json", {}).get("schema", {}), self.document)

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.template}"


def properties(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """The properties of a schema, through its references."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return properties(document["components"]["schemas"][name], document)
    found: dict[str, Any] = dict(schema.get("properties", {}))
    for part in (*schema.get("allOf", ()), *schema.get("anyOf", ()), *schema.get("oneOf", ())):
        found |= properties(part, document)
    return found


async def routes(system: System) -> list[Route]:
    """All operations of all four services."""
    found = []
    for service in SERVICES:
        document = succeeded(await system.client(service).get("/openapi.json"), 200)
        for template, operations in document["paths"].items():
            found += [Route(service, m, template, operations[m], document) for m in METHODS if m in operations]
    return found


@dataclass
class Everything:
    """One owner with one of each resource, all private to it and its partner."""

    owner: Member
    partner: Member
    ids: dict[str, str]

    def path(self, route: Route) -> str:
        """The route's path with ids that exist."""
        parts, filled = route.template.split("/"), []
        for before, part in zip(["", *parts], parts, strict=False):
            filled.append(self.ids.get(before, UNKNOWN_ID) if part.startswith("{") else part)
        return "/".join(filled)


async def everything(world: World, receiver: Receiver) -> Everything:
    """Plays the story once with everything in it."""
    pair = await (await world.proposed()).opened()
    project = await Cooperation(pair.beneficiary, pair.provider, pair.project).started()
    owner, system = pair.provider, world.system
    milestone = await owner.make(f"{project.path}/milestones", {"title": "Plant", "due_on": today(9)})
    pledge = await project.committed()
    key = await owner.make("/keys", {"name": "spare", "role": "reader"})
    verification = await system.operator.make(f"{owner.path}/verifications", due_diligence())
    webhook = await owner.make("/webhooks", webhook_body(receiver))
    sent = succeeded(await owner.post(f"/webhooks/{webhook['id']}/test"), 202)
    entry = await owner.told("MatchProposed")
    agreement = (await owner.items(f"{project.path}/agreements"))[0]
    report = await owner.make(f"{project.path}/reports", report_body())
    ids = {
        "institutions": owner.id,
        "facilitators": owner.id,
        "partners": owner.id,
        "keys": key["id"],
        "verifications": verification["id"],
        "capabilities": pair.capability["id"],
        "needs": (await owner.need())["id"],
        "matches": pair.match["id"],
        "projects": project.id,
        "agreements": agreement["id"],
        "contributions": pledge["id"],
        "milestones": milestone["id"],
        "reports": report["id"],
        "webhooks": webhook["id"],
        "deliveries": sent["delivery_id"],
        "inbox": entry["id"],
        "threads": pair.need["id"],
        "countries": "ETH",
    }
    return Everything(owner, pair.beneficiary, ids | await learnt(world) | await first_centre(owner))


async def learnt(world: World) -> dict[str, str]:
    """A practice and a replication (of other institutions; both are public)."""
    source = await (await world.direct()).completed()
    practice = await source.provider.make("/practices", source.practice_body())
    again = await source.provider.make("/projects", direct_body(*source.members))
    body = {"project_id": again["id"], "adaptation": "Two smaller units.", "outcome": "successful"}
    replication = await source.provider.make(f"/practices/{practice['id']}/replications", body)
    return {"practices": practice["id"], "replications": replication["id"]}


async def first_centre(caller: Member) -> dict[str, str]:
    """Any centre."""
    return {"centres": (await caller.items("/centres", limit=1))[0]["id"]}


def webhook_body(receiver: Receiver) -> dict[str, Any]:
    """A webhook that hears of little."""
    filters: dict[str, list[str]] = {"countries": [], "isic": [], "institution_ids": []}
    return {"url": receiver.url(), "description": "x", "event_types": ["InstitutionSuspended"], "filters": filters}


def report_body() -> dict[str, Any]:
    """A progress report."""
    return {"kind": "progress", "summary": "On time.", "results": "Some.", "lessons": "Few."}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def all_routes(system: System) -> list[Route]:
    """All operations of all four services."""
    return await routes(system)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def all_things(world: World) -> Everything:
    """One of each resource."""
    async with Receiver() as receiver:
        made = await everything(world, receiver)
        await eventually(lambda: receiver.got)
    return made
