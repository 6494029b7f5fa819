"""Contract, section 13: events by webhook, by feed and by thread."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from cloudevents.core.bindings.http import HTTPMessage, from_structured
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks import Webhook

from tests.e2e.test_12_inbox import first, stream
from tests.e2e.world import Member, World, due_diligence, moment, need_body
from tests.support.system import Caller, Received, Receiver, System, refused, succeeded
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio

NO_FILTER: dict[str, list[str]] = {"countries": [], "isic": [], "institution_ids": []}


def hook(url: str, *types: str, **filters: list[str]) -> dict[str, Any]:
    return {"url": url, "description": "ERP", "event_types": list(types or ["*"]), "filters": NO_FILTER | filters}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def owner(world: World) -> Member:
    return await world.registered()


async def test_a_webhook_is_registered(world: World, receiver: Receiver) -> None:
    owner = await world.registered()
    body = hook(receiver.url(), "NeedPosted", "MatchProposed", countries=["ETH"])
    answer = await owner.post("/webhooks", body)
    made = succeeded(answer, 201)
    assert {name: made[name] for name in body} == body
    assert (made["version"], made["status"]) == (1, "enabled")
    assert set(made["actions"]) == {"test", "rotate-secret", "disable"}
    assert (answer.headers["etag"], answer.headers["location"]) == ('"1"', f"/webhooks/{made['id']}")
    assert made["secret"].startswith("whsec_")
    shown = await owner.read(f"/webhooks/{made['id']}")
    assert shown.get("secret") is None
    assert made["secret"] not in (await owner.get("/webhooks")).text


@pytest.mark.parametrize(
    ("pointer", "wrong"),
    [
        ("/event_types/0", {"event_types": ["NeedEaten"]}),
        ("/event_types", {"event_types": []}),
        ("/url", {"url": "nonsense"}),
        ("/filters/countries/0", {"filters": NO_FILTER | {"countries": ["XXX"]}}),
    ],
)
async def test_faulty_webhooks(owner: Member, receiver: Receiver, pointer: str, wrong: dict[str, Any]) -> None:
    answer = await owner.post("/webhooks", hook(receiver.url()) | wrong)
    problem = refused_somehow(answer)
    if problem["code"] == "validation_failed":
        assert pointer in [error["pointer"] for error in problem["errors"]]


def refused_somehow(answer: Any) -> dict[str, Any]:
    """A 422, which for an odd url may also be `webhook_url_forbidden`."""
    code = answer.json().get("code", "")
    assert code in ("validation_failed", "webhook_url_forbidden"), answer.text
    return refused(answer, 422, code)


@pytest.mark.parametrize(
    "url",
    [
        "http://erp.example/hooks",
        "http://93.184.215.14/hooks",
        "https://10.0.0.1/hooks",
        "https://192.168.1.1/hooks",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/hooks",
        "https://[fe80::1]/hooks",
        "https://[::ffff:10.0.0.1]/hooks",
        "https://[64:ff9b::a00:1]/hooks",
        "https://0.0.0.0/hooks",
        "https://224.0.0.1/hooks",
        "https://100.64.0.1/hooks",
        "https://user:secret@93.184.215.14/hooks",
        "https://167772161/hooks",
        "ftp://93.184.215.14/hooks",
        "file:///etc/passwd",
    ],
)
async def test_forbidden_addresses(owner: Member, url: str) -> None:
    refused(await owner.post("/webhooks", hook(url)), 422, "webhook_url_forbidden")


async def test_only_owners_register_webhooks(world: World, receiver: Receiver) -> None:
    owner = await world.registered()
    for role in ("editor", "reader"):
        refused(await (await owner.colleague(role)).post("/webhooks", hook(receiver.url())), 403, "forbidden")


async def test_webhooks_are_private(world: World, receiver: Receiver) -> None:
    owner, stranger = await world.registered(), await world.registered()
    path = f"/webhooks/{(await owner.make('/webhooks', hook(receiver.url())))['id']}"
    for suffix in ("", "/deliveries"):
        refused(await stranger.get(path + suffix), 404, "not_found")
    for action in ("disable", "rotate-secret", "test"):
        refused(await stranger.act(f"{path}/{action}"), 404, "not_found")
    assert await stranger.items("/webhooks") == []


async def test_a_posted_need_arrives_signed_as_a_cloud_event(world: World, receiver: Receiver) -> None:
    owner, lidi = await world.registered(), await world.member()
    made = await owner.make("/webhooks", hook(receiver.url(), "NeedPosted", institution_ids=[lidi.id]))
    need = await lidi.need()
    got = (await eventually(lambda: receiver.of("NeedPosted")))[0]
    assert got.headers["content-type"].partition(";")[0] == "application/cloudevents+json"
    Webhook(made["secret"]).verify(got.body, got.headers)
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    key = base64.b64decode(made["secret"].removeprefix("whsec_"))
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{signature}"
    assert abs(int(got.headers["webhook-timestamp"]) - time.time()) < 60
    event = got.event
    assert got.headers["webhook-id"] == event["id"]
    assert event["data"]["need"]["id"] == event["partitionkey"] == event["correlationid"] == need["id"]
    assert (event["type"], event["subject"]) == ("org.bandung.NeedPosted.v1", f"needs/{need['id']}")
    assert (event["specversion"], event["datacontenttype"]) == ("1.0", "application/json")


async def test_the_official_library_reads_the_event(world: World, receiver: Receiver) -> None:
    owner, lidi = await world.registered(), await world.member()
    await owner.make("/webhooks", hook(receiver.url(), "NeedPosted", institution_ids=[lidi.id]))
    need = await lidi.need()
    got = (await eventually(lambda: receiver.of("NeedPosted")))[0]
    event = from_structured(HTTPMessage(headers=got.headers, body=got.body), JSONFormat())
    assert event.get_subject() == f"needs/{need['id']}"


async def test_types_and_filters_choose(world: World, receiver: Receiver) -> None:
    owner, lidi = await world.registered(), await world.member(country="ETH")
    other = await world.member(country="KEN")
    wanted = {
        "/type": hook(receiver.url("/type"), "NeedWithdrawn", institution_ids=[lidi.id]),
        "/country": hook(receiver.url("/country"), "NeedPosted", "NeedWithdrawn", countries=["ETH"]),
        "/isic": hook(receiver.url("/isic"), "NeedPosted", isic=["30"], institution_ids=[lidi.id, other.id]),
    }
    for body in wanted.values():
        await owner.make("/webhooks", body)
    mine, theirs = await lidi.need(isic=["1512"]), await other.need(isic=["3091"])
    await lidi.do(f"/needs/{mine['id']}/withdraw", {"reason_code": "duplicate"})
    await eventually(lambda: receiver.of("NeedWithdrawn", "/type") and receiver.of("NeedPosted", "/isic"))
    await eventually(lambda: receiver.of("NeedWithdrawn", "/country"))
    ids = {path: {(g.type, g.event["data"]["need"]["id"]) for g in receiver.got if g.path == path} for path in wanted}
    assert ids["/type"] == {("NeedWithdrawn", mine["id"])}
    assert ids["/isic"] == {("NeedPosted", theirs["id"])}
    assert ("NeedPosted", theirs["id"]) not in ids["/country"]
    assert {g.event["data"]["need"]["country"] for g in receiver.got if g.path == "/country"} == {"ETH"}


async def test_private_and_others_events_never_leave(world: World, system: System, receiver: Receiver) -> None:
    pair = await world.proposed()
    stranger = await world.registered()
    for owner, path in ((pair.provider, "/party"), (stranger, "/stranger")):
        await owner.make("/webhooks", hook(receiver.url(path), "*"))
    owner = await world.registered()
    submitted = await system.operator.make(f"{owner.path}/verifications", due_diligence())
    await eventually(lambda: _is_in_the_inbox(system.verifier, submitted["id"]))  # the fence is on another topic
    await pair.confirmed()
    fence = await stranger.need()
    for path in ("/party", "/stranger"):
        await eventually(
            lambda path=path: fence["id"] in [e.event["partitionkey"] for e in receiver.of("NeedPosted", path)]
        )
    # deliveries may overtake one another
    await eventually(lambda: {"MatchAccepted", "MatchConfirmed"} <= _kinds(receiver, "/party", pair.match["id"]))
    # the stranger's own need may have been proposed a partner by now: that match is its own
    told = [each for each in receiver.got if each.path == "/stranger" and not _is_of(each, fence["id"])]
    kinds = {each.type for each in told}
    assert not {kind for kind in kinds if kind.startswith(("Match", "Verification", "Account", "Agreement"))}, kinds
    assert not receiver.of("VerificationSubmitted")


async def _is_in_the_inbox(caller: Caller, subject_id: str) -> bool:
    return subject_id in [entry["subject"]["id"] for entry in await caller.items("/inbox", limit=200)]


def _kinds(receiver: Receiver, path: str, key: str) -> set[str]:
    return {got.type for got in receiver.got if got.path == path and got.event["partitionkey"] == key}


def _is_of(got: Received, need_id: str) -> bool:
    match: dict[str, Any] = got.event["data"].get("match", {})
    return match.get("need_id") == need_id


async def test_a_test_event_is_sent_on_demand(world: World, receiver: Receiver) -> None:
    owner = await world.registered()
    made = await owner.make("/webhooks", hook(receiver.url(), "InstitutionSuspended"))
    path = f"/webhooks/{made['id']}"
    answer = await owner.post(f"{path}/test")
    delivery_id = succeeded(answer, 202)["delivery_id"]
    await eventually(lambda: receiver.of("WebhookTest"))

    async def noted() -> dict[str, Any]:
        found = next(d for d in await owner.items(f"{path}/deliveries") if d["id"] == delivery_id)
        assert found["status"] == "succeeded", found
        return found

    delivery = await eventually(noted)
    assert (delivery["event_type"], delivery["attempt"], delivery["http_status"]) == ("WebhookTest", 1, 200)
    assert delivery["next_attempt_at"] is None
    assert delivery["duration_ms"] >= 0


async def test_a_rotated_secret_signs_beside_the_old_one(world: World, receiver: Receiver) -> None:
    owner = await world.registered()
    made = await owner.make("/webhooks", hook(receiver.url(), "InstitutionSuspended"))
    path = f"/webhooks/{made['id']}"
    refused(await owner.act(f"{path}/rotate-secret", if_match=None), 428, "precondition_required")
    rotated = await owner.do(f"{path}/rotate-secret")
    assert rotated["secret"] != made["secret"]
    assert rotated["previous_valid_until"].endswith("Z")
    succeeded(await owner.post(f"{path}/test"), 202)
    got = (await eventually(lambda: receiver.of("WebhookTest")))[0]
    assert len(got.headers["webhook-signature"].split(" ")) == 2
    for secret in (made["secret"], rotated["secret"]):
        Webhook(secret).verify(got.body, got.headers)


async def test_a_disabled_webhook_is_silent_until_enabled(world: World, receiver: Receiver) -> None:
    owner, lidi = await world.registered(), await world.member()
    made = await owner.make("/webhooks", hook(receiver.url(), "NeedPosted", institution_ids=[lidi.id]))
    path = f"/webhooks/{made['id']}"
    assert (await owner.do(f"{path}/disable"))["status"] == "disabled"
    refused(await owner.act(f"{path}/disable"), 409, "invalid_transition")
    await owner.make("/webhooks", hook(receiver.url("/fence"), "NeedPosted", institution_ids=[lidi.id]))
    silent = await lidi.need()
    await eventually(lambda: receiver.of("NeedPosted", "/fence"))
    assert (await owner.do(f"{path}/enable"))["status"] == "enabled"
    heard = await lidi.need()
    await eventually(lambda: receiver.of("NeedPosted", "/hooks"))
    ids = {got.event["partitionkey"] for got in receiver.of("NeedPosted", "/hooks")}
    assert ids == {heard["id"]}
    assert silent["id"] not in ids


async def test_410_disables_at_once(world: World, receiver: Receiver) -> None:
    receiver.status = 410
    owner = await world.registered()
    made = await owner.make("/webhooks", hook(receiver.url(), "InstitutionSuspended"))
    succeeded(await owner.post(f"/webhooks/{made['id']}/test"), 202)

    async def disabled() -> bool:
        return (await owner.read(f"/webhooks/{made['id']}"))["status"] == "disabled"

    await eventually(disabled)

    async def operators_are_told() -> bool:
        found = await world.system.operator.items("/inbox", limit=200)
        return made["id"] in [e["subject"]["id"] for e in found if e["event_type"] == "WebhookDisabled"]

    await eventually(operators_are_told)


async def test_a_failure_is_tried_again_after_five_seconds(world: World, receiver: Receiver) -> None:
    receiver.status = 500
    owner, lidi = await world.registered(), await world.member()
    made = await owner.make("/webhooks", hook(receiver.url(), "NeedPosted", institution_ids=[lidi.id]))
    await lidi.need()
    await eventually(lambda: receiver.got)
    path = f"/webhooks/{made['id']}/deliveries"

    async def failed() -> dict[str, Any]:
        found = await owner.items(path)
        assert [each["status"] for each in found] == ["failed"], found
        return dict(found[0])

    failure = await eventually(failed)
    assert (failure["http_status"], failure["attempt"]) == (500, 1)
    ended = moment(failure["attempted_at"]) + timedelta(milliseconds=failure["duration_ms"])
    wait = moment(failure["next_attempt_at"]) - ended
    # rounded to milliseconds, and counted from when its webhook was locked
    assert timedelta(seconds=4.99) <= wait < timedelta(seconds=6 + 4)
    receiver.status = 200
    await eventually(lambda: len(receiver.got) == 2)
    one, two = receiver.got
    assert 4 <= two.at - one.at < 60, "when it is due, and when the next look finds it"
    assert one.headers["webhook-id"] == two.headers["webhook-id"]

    async def succeeded_at_last() -> bool:
        return "succeeded" in [each["status"] for each in await owner.items(path)]

    await eventually(succeeded_at_last)


async def test_a_redirect_is_not_followed(world: World, receiver: Receiver) -> None:
    receiver.status, receiver.location = 302, receiver.url("/inside")
    owner = await world.registered()
    # of nobody else: what other tests suspended a moment ago would be delivered here too
    made = await owner.make("/webhooks", hook(receiver.url(), "InstitutionSuspended", institution_ids=[owner.id]))
    succeeded(await owner.post(f"/webhooks/{made['id']}/test"), 202)

    async def failed() -> bool:
        found = await owner.items(f"/webhooks/{made['id']}/deliveries")
        return [each["http_status"] for each in found] == [302]

    await eventually(failed)
    assert "/inside" not in [got.path for got in receiver.got]


async def test_a_delivery_is_replayed_with_the_same_id(world: World, receiver: Receiver) -> None:
    owner, lidi = await world.registered(), await world.member()
    made = await owner.make("/webhooks", hook(receiver.url(), "NeedPosted", institution_ids=[lidi.id]))
    await lidi.need()
    await eventually(lambda: receiver.got)
    path = f"/webhooks/{made['id']}/deliveries"
    delivery = (await eventually(lambda: owner.items(path)))[0]
    refused(await (await world.registered()).post(f"/deliveries/{delivery['id']}/replay"), 404, "not_found")
    answer = await owner.post(f"/deliveries/{delivery['id']}/replay")
    assert answer.status_code == 202, answer.text
    await eventually(lambda: len(receiver.got) == 2)
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert receiver.got[0].event == receiver.got[1].event
    await eventually(lambda: owner_has(owner, path, 2))


async def owner_has(owner: Member, path: str, count: int) -> bool:
    return len(await owner.items(path)) == count


# feed


async def walk(caller: Any, cursor: str | None = None, **params: Any) -> tuple[list[dict[str, Any]], str]:
    """The feed to its present end, and the cursor behind it."""
    found: list[dict[str, Any]] = []
    while True:
        page = await caller.read("/events", limit=200, **params, **({"cursor": cursor} if cursor else {}))
        assert page["next"], "next is always set"
        cursor = page["next"]
        if not page["items"]:
            return found, str(cursor)
        found += page["items"]


async def test_the_feed_is_followed_by_its_cursor(world: World) -> None:
    reader, lidi = await world.registered(), await world.member()
    _, cursor = await walk(reader)
    needs = [(await lidi.need())["id"] for _ in range(3)]

    async def arrived() -> list[str]:
        found, _ = await walk(reader, cursor, types="NeedPosted")
        mine = [event["partitionkey"] for event in found if event["partitionkey"] in needs]
        assert len(mine) >= 3
        return mine

    assert sorted(await eventually(arrived)) == sorted(needs), "each once"


async def test_the_feed_has_one_order_for_every_reader(world: World) -> None:
    pair = await world.proposed()
    await pair.provider.told("MatchProposed")
    mine, end = await walk(pair.provider)
    theirs, _ = await walk(await world.registered(), types="NeedPosted,InstitutionRegistered")
    assert len({event["id"] for event in mine}) == len(mine)
    again, _ = await walk(pair.provider)
    assert [event["id"] for event in again][: len(mine)] == [event["id"] for event in mine]
    common = {event["id"] for event in theirs} & {event["id"] for event in mine}
    assert [e["id"] for e in mine if e["id"] in common] == [e["id"] for e in theirs if e["id"] in common]
    assert end


async def test_the_feed_shows_public_events_and_those_of_the_party(world: World) -> None:
    pair, stranger = await world.proposed(), await world.registered()
    await pair.provider.told("MatchProposed")

    async def seen() -> bool:
        found, _ = await walk(pair.provider, types="MatchProposed,NeedPosted")
        return {pair.match["id"], pair.need["id"]} <= {event["partitionkey"] for event in found}

    await eventually(seen)
    found, _ = await walk(stranger)
    assert pair.need["id"] in {event["partitionkey"] for event in found}
    assert not {event["type"] for event in found if ".Match" in event["type"] or ".Verification" in event["type"]}


async def test_the_feed_refuses_nonsense(world: World) -> None:
    owner = await world.registered()
    refused(await owner.get("/events", cursor="nonsense"), 400, "invalid_cursor")
    refused(await owner.get("/events", types="NeedEaten"), 422, "validation_failed", "?types")
    refused(await owner.get("/events", limit="201"), 422, "validation_failed", "?limit")


async def test_the_feed_streams_from_now_and_resumes(world: World) -> None:
    reader, lidi = await world.registered(), await world.member()
    async with stream(reader, "/events?types=NeedPosted") as found:
        await asyncio.gather(*(lidi.make("/needs", need_body()) for _ in range(2)))
        one, *_ = await first(found, 2)
    event = json.loads(one["data"])
    assert event["type"] == "org.bandung.NeedPosted.v1"
    async with stream(reader, "/events?types=NeedPosted", one["id"]) as found:
        (two,) = await first(found, 1)
    assert two["id"] != one["id"]
    page = await reader.read("/events", cursor=one["id"], types="NeedPosted")
    assert page["items"][0]["id"] == json.loads(two["data"])["id"], "the id of a message is the cursor"


# threads


async def test_a_thread_is_told_to_those_who_may_see_it(world: World) -> None:
    pair, stranger = await world.proposed(), await world.registered()
    await pair.interested()

    async def told() -> list[dict[str, Any]]:
        items = await pair.provider.items(f"/threads/{pair.need['id']}")
        assert [item["type"] for item in items] == ["NeedPosted", "MatchProposed", "MatchInterestExpressed"]
        return items

    items = await eventually(told)
    assert items[0]["subject"] == {"type": "need", "id": pair.need["id"]}
    assert items[0]["institution_id"] == pair.beneficiary.id
    assert all(item["summary"] for item in items)
    public = await stranger.items(f"/threads/{pair.need['id']}")
    assert [item["type"] for item in public] == ["NeedPosted"]


async def test_an_unknown_thread_is_404(world: World) -> None:
    owner = await world.registered()
    refused(await owner.get("/threads/01a20cda-0b06-7006-8006-000000000006"), 404, "not_found")
