"""Contract, section 15: what a partner with direct access to Kafka meets."""

from __future__ import annotations

import json
from typing import Any

import httpx
import jsonschema
import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests.e2e.world import ISIC, RANDOM, Pair, World, is_id, moment
from tests.support.system import TOPICS, Record, System, succeeded
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio

KEYS = {
    "registry.institutions": "institution",
    "registry.capabilities": "capability",
    "registry.needs": "need",
    "matching.matches": "match",
    "projects.practices": "practice",
}
MEMBERS = {
    "Institution": "institution",
    "Verification": "verification",
    "Capability": "capability",
    "Need": "need",
    "Match": "match",
    "Facilitator": "match",
    "Agreement": "agreement",
    "Contribution": "contribution",
    "Milestone": "milestone",
    "Report": "report",
    "Project": "project",
    "Partner": "project",
    "Practice": "practice",
    "Webhook": "webhook",
}
COMPACT = {
    "registry.institutions",
    "registry.capabilities",
    "registry.centres",
    "registry.networks",
    "registry.countries",
    "registry.trade",
    "registry.accounts",
}
DELETED = {"registry.reviews", "notifications.webhooks"}
Told = tuple[Pair, list[Record]]
VIA = {"api", "console", "import", "system"}
FOURTEEN_DAYS_MS = str(14 * 24 * 3600 * 1000)


async def proposed_by_its_need(world: World) -> Pair:
    """A pair whose capability is known before its need is posted, so that the need is what caused the match."""
    beneficiary, provider = await world.two()
    isic, serves = [RANDOM.choice(ISIC)], {"all_south": False, "countries": [beneficiary.country], "blocs": []}
    offered = await provider.capability(isic=isic, serves=serves)
    await world.offered(beneficiary, isic, offered["id"])
    wanted = await beneficiary.need(isic=isic)
    match = await world.match(beneficiary, wanted["id"], offered["id"])
    return Pair(beneficiary, provider, offered, wanted, match)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def settled(world: World) -> Told:
    """A pair with a project, and everything on Kafka once that is there too."""
    pair = await (await proposed_by_its_need(world)).opened()
    contact = {"name": "Ada Secret", "email": "ada@secret.example", "phone": "+251 11 000"}
    await pair.provider.change(pair.provider.path, contact=contact)

    async def told() -> list[Record]:
        records = await world.system.records(*TOPICS)
        ours = {record.type for record in records if record.correlation == pair.need["id"]}
        assert {"NeedPosted", "MatchFormalised", "ProjectOpened", "NeedEngaged"} <= ours, ours
        return records

    return pair, await eventually(told)


async def test_every_record_has_the_headers_of_a_cloud_event(settled: Told, system: System) -> None:
    _, records = settled
    for record in (record for record in records if record.value is not None):
        headers, service = record.headers, record.topic.partition(".")[0]
        assert headers["ce_specversion"] == "1.0"
        assert is_id(headers["ce_id"])
        assert headers["ce_source"] == f"urn:bandung:local:{service}"
        assert headers["ce_type"] == f"org.bandung.{record.type}.v1"
        assert headers["ce_subject"].count("/") == 1
        moment(headers["ce_time"])
        assert headers["ce_partitionkey"] == record.key
        assert headers["content-type"] == "application/json"
        assert headers["ce_dataschema"].endswith(f"/schemas/{record.type}/1")
        assert headers["ce_dataschema"].startswith(system.local["endpoints"][service])
        assert headers["traceparent"].count("-") == 3
        assert headers["ce_correlationid"]


async def test_every_id_is_unique_and_every_sequence_whole(settled: Told) -> None:
    _, records = settled
    assert len({(record.headers["ce_source"], record.id) for record in records}) == len(records)
    sequences: dict[tuple[str, str], list[str]] = {}
    for record in records:
        sequences.setdefault((record.topic, record.key), []).append(record.sequence)
    for key, found in sequences.items():
        assert found == [f"0001-{n:010d}" for n in range(1, len(found) + 1)], key


async def test_every_value_is_valid_by_the_schema_it_names(settled: Told) -> None:
    _, records = settled
    schemas: dict[str, Any] = {}
    async with httpx.AsyncClient(trust_env=False) as client:
        for url in {record.headers["ce_dataschema"] for record in records}:
            schemas[url] = succeeded(await client.get(url), 200)
            jsonschema.Draft202012Validator.check_schema(schemas[url])
    for record in records:
        jsonschema.Draft202012Validator(schemas[record.headers["ce_dataschema"]]).validate(record.data)


async def test_every_value_holds_its_aggregate_and_who_did_it(settled: Told) -> None:
    _, records = settled
    for record in records:
        member = next((name for start, name in MEMBERS.items() if record.type.startswith(start)), None)
        if member is None:
            continue
        state = record.data[member]
        assert is_id(state["id"]), record
        by = record.data["by"]
        assert by["via"] in VIA
        assert set(by) == {"institution_id", "via"}
        if record.topic in KEYS:
            assert record.key == record.data[KEYS[record.topic]]["id"]


async def test_no_personal_data_and_no_free_text_about_people(settled: Told) -> None:
    _, records = settled
    for record in records:
        if record.topic != "registry.accounts":
            assert b"secret" not in (record.value or b"").lower(), record
            assert b'"contact"' not in record.value
            assert b'"messages"' not in record.value
            assert b"client_secret" not in record.value


async def test_match_proposed_carries_both_sides_and_titles(settled: Told) -> None:
    pair, records = settled
    ours = {record.type: record for record in records if record.key == pair.match["id"]}
    proposed, posted = ours["MatchProposed"], next(r for r in records if r.key == pair.need["id"])
    match = proposed.data["match"]
    assert (match["need_title"], match["capability_title"]) == (pair.need["title"], pair.capability["title"])
    assert match["beneficiary"]["institution_id"] == pair.beneficiary.id
    assert match["provider"]["institution_id"] == pair.provider.id
    assert proposed.data["by"] == {"institution_id": None, "via": "system"}
    assert proposed.headers["ce_subject"] == f"matches/{pair.match['id']}"
    assert proposed.headers["ce_causationid"] == posted.id
    assert (posted.type, posted.sequence) == ("NeedPosted", "0001-0000000001")
    assert posted.data["by"] == {"institution_id": pair.beneficiary.id, "via": "api"}


async def test_need_posted_carries_the_public_need(settled: Told) -> None:
    pair, records = settled
    need = next(r for r in records if r.key == pair.need["id"]).data["need"]
    shown = {name: value for name, value in pair.need.items() if name not in ("actions", "institution", "created_at")}
    assert {name: need.get(name) for name in shown} == shown
    assert need["institution"].items() >= {"id": pair.beneficiary.id, "type": "research_institute"}.items()
    assert "actions" not in need


async def test_match_formalised_carries_what_a_project_needs(settled: Told) -> None:
    pair, records = settled
    data = next(r for r in records if r.key == pair.match["id"] and r.type == "MatchFormalised").data
    assert (data["match"]["status"], data["match"]["expires_at"]) == ("formalised", None)
    project = data["project"]
    assert project["id"] == data["match"]["project_id"] == pair.match["project_id"]
    assert (project["title"], project["language"]) == (pair.need["title"], "en")
    assert [(p["institution_id"], p["role"]) for p in project["partners"]] == [
        (pair.beneficiary.id, "beneficiary"),
        (pair.provider.id, "pivotal"),
    ]
    assert {"resource_kinds", "isic", "hs", "sdg_targets", "budget", "funding_gap"} <= set(project)


async def test_reasons_travel_as_codes_alone(world: World) -> None:
    pair = await world.proposed()
    await pair.provider.do(f"{pair.path}/decline", {"reason_code": "other", "text": "Mrs Secret is ill"})

    async def told() -> bool:
        found = await world.system.records("matching.matches", thread=pair.need["id"])
        declined = next((r for r in found if r.type == "MatchDeclined"), None)
        assert declined is not None
        assert declined.data["match"]["reason"] == {"code": "other"}
        return True

    await eventually(told)


async def test_kafka_timestamps_are_real(settled: Told) -> None:
    _, records = settled
    for record in records:
        assert abs(record.timestamp_ms / 1000 - moment(record.headers["ce_time"]).timestamp()) < 120


async def test_topics_have_six_partitions_and_the_right_clean_up(system: System) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=system.local["kafka"])
    await admin.start()
    try:
        described = await admin.describe_topics(list(TOPICS))
        asked = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in TOPICS]
        configs = await admin.describe_configs(asked)
    finally:
        await admin.close()
    assert {topic["topic"]: len(topic["partitions"]) for topic in described} == dict.fromkeys(TOPICS, 6)
    settings = {res[3]: {entry[0]: entry[1] for entry in res[4]} for answer in configs for res in answer.resources}
    for topic in TOPICS:
        found = settings[topic]
        assert found["cleanup.policy"] == ("compact" if topic in COMPACT else "delete"), topic
        if topic in COMPACT:
            assert found["min.compaction.lag.ms"] == FOURTEEN_DAYS_MS, topic
        else:
            assert found["retention.ms"] == (FOURTEEN_DAYS_MS if topic in DELETED else "-1"), topic


async def test_topics_are_not_made_by_accident(system: System) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=system.local["kafka"])
    await admin.start()
    try:
        (answer,) = await admin.describe_topics(["no.such.topic"])
        assert answer["error_code"] != 0
        assert "no.such.topic" not in await admin.list_topics()
    finally:
        await admin.close()


async def test_the_registry_of_schemas_is_public(system: System) -> None:
    client = system.client("registry")
    found = succeeded(await client.get("/schemas/NeedPosted/1"), 200)
    assert json.dumps(found)
    assert (await client.get("/schemas/NeedEaten/1")).status_code == 404
