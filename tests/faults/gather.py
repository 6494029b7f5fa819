"""The evidence of an installation: its four databases, its Kafka, the endpoints of its webhooks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shared.messaging.envelope import Visibility
from tests.faults.checker import Effect, EventId, Evidence, Healing, Post, Projection, Record, Row, Sight, Vitals
from tests.support.system import SERVICES, TOPICS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.faults.installation import Installation
    from tests.faults.workload import Load
    from tests.support.system import Receiver
    from tests.support.system import Record as KafkaRecord

PROJECTIONS = {
    "matching": {
        "registry.institutions": "select id, sequence from institution",
        "registry.needs": "select id, sequence from need",
        "registry.capabilities": "select id, sequence from capability",
    },
    "projects": {"registry.institutions": "select id, sequence from institution where sequence <> ''"},
    "notifications": {"registry.institutions": "select id, sequence from institution"},
}
TITLED = {
    "NeedPosted": "need",
    "NeedUpdated": "need",
    "CapabilityPublished": "capability",
    "PracticePublished": "practice",
}
"""Events whose title is the mark of the request that made them."""


async def gather(
    system: Installation,
    loads: Iterable[Load],
    *,
    receiver: Receiver | None = None,
    owed: Iterable[str] = (),
    healing: Healing | None = None,
    sights: Iterable[Sight] = (),
) -> Evidence:
    """Everything since the installation began; `owed` are the types that the receiver's webhook asked for."""
    rows = [row for name in SERVICES for row in await _rows(system, name)]
    records = [_record(record) for record in await system.records(*TOPICS)]
    taken = {name: await _taken(system, name) for name in SERVICES}
    posts = [Post("hook", (got.event["source"], got.event["id"])) for got in receiver.got] if receiver else []
    types = set(owed)
    return Evidence(
        writes=[write for load in loads for write in load.acknowledged],
        refused=[write for load in loads for write in load.refused],
        rows=rows,
        records=records,
        subscribed={name: _types(system, name) for name in SERVICES},
        taken=taken,
        buried={name: await _buried(system, name) for name in SERVICES},
        effects=await _effects(system),
        expected=_expected(rows, _kept(system)),
        projections=[p for name in PROJECTIONS for p in await _projections(system, name)],
        applied=await _applied(system),
        posts=posts,
        owed={("hook", row.event) for row in rows if row.type in types},
        vitals=[await _vitals(system, name) for name in system.processes],
        healing=healing,
        sights=list(sights),
    )


def _types(system: Installation, name: str) -> set[str]:
    return {event.short_name() for event in system.services[name].handlers.events}


def _kept(system: Installation) -> set[str]:
    """What has a row of its own in the feed's table: all but what is private."""
    heard = system.services["notifications"].handlers.events
    return {event.short_name() for event in heard if event.visibility is not Visibility.PRIVATE}


async def _rows(system: Installation, name: str) -> list[Row]:
    source = f"urn:bandung:faults:{name}"
    found = await system.rows(name, "select * from outbox order by id")
    return [
        Row(
            (source, str(row["event_id"])),
            row["topic"],
            row["key"],
            row["sequence"],
            _short(row["type"]),
            row["subject"],
            row["published_at"] is not None,
            _mark(row),
        )
        for row in found
    ]


def _mark(row: Any) -> str:
    member = TITLED.get(_short(row["type"]))
    return json.loads(row["value"])[member]["title"] if member else ""


def _short(wire: str) -> str:
    return wire.split(".")[2]


def _record(record: KafkaRecord) -> Record:
    event = (record.headers["ce_source"], record.id)
    return Record(event, record.topic, record.key, record.sequence, record.type, record.partition)


async def _taken(system: Installation, name: str) -> list[EventId]:
    return [(row["source"], str(row["event_id"])) for row in await system.rows(name, "select * from inbox")]


async def _buried(system: Installation, name: str) -> set[EventId]:
    letters = [dict(json.loads(row["headers"])) for row in await system.rows(name, "select headers from dead_letter")]
    return {(letter.get("ce_source", ""), letter.get("ce_id", "")) for letter in letters}


async def _effects(system: Installation) -> list[Effect]:
    feed = await system.rows("notifications", "select source, event_id from event")
    entries = await system.rows("notifications", "select event_id, recipient from inbox_entry")
    projects = await system.rows("projects", "select match_id from project where match_id is not null")
    engagements = await system.rows("registry", "select match_id from engagement")
    return [
        *(Effect("feed row", f"{row['source']} {row['event_id']}") for row in feed),
        *(Effect("inbox entry", f"{row['event_id']} for {row['recipient']}") for row in entries),
        *(Effect("project", f"matches/{row['match_id']}") for row in projects),
        *(Effect("engagement", f"matches/{row['match_id']}") for row in engagements),
    ]


def _expected(rows: list[Row], heard: set[str]) -> set[Effect]:
    """A row of the feed for each event; a project and an engagement for each match that was formalised."""
    formalised = [row.subject for row in rows if row.type == "MatchFormalised"]
    feed = {Effect("feed row", f"{row.event[0]} {row.event[1]}") for row in rows if row.type in heard}
    return feed | {Effect(kind, subject) for subject in formalised for kind in ("project", "engagement")}


async def _projections(system: Installation, name: str) -> list[Projection]:
    return [
        Projection(name, topic, str(row["id"]), row["sequence"])
        for topic, sql in PROJECTIONS[name].items()
        for row in await system.rows(name, sql)
    ]


async def _applied(system: Installation) -> dict[tuple[str, str, str], list[str]]:
    topics = {event.wire: event.topic for service in system.services.values() for event in service.publishes}
    applied: dict[tuple[str, str, str], list[str]] = {}
    for row in await system.rows("notifications", "select type, partitionkey, sequence from event order by id"):
        place = ("notifications", topics[row["type"]], row["partitionkey"])
        applied.setdefault(place, []).append(row["sequence"])
    return applied


async def _vitals(system: Installation, name: str) -> Vitals:
    service = name.partition("-")[0]
    asks = "select count(*) n from pg_stat_activity where datname = $1 and application_name like 'bandung-%'"
    replicas = sum(1 for each in system.processes if each.partition("-")[0] == service)
    [row] = await system.rows(service, asks, service)
    return Vitals(name, system.processes[name].memory_mb(), row["n"] // replicas)
