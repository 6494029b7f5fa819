"""Webhooks against a real endpoint: signed, filtered, tried again, and never where they must not go."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from sqlalchemy import text
from standardwebhooks.webhooks import Webhook

from services.notifications.channels import webhook as channel
from services.notifications.channels.webhook import WebhookClient
from services.notifications.commands.webhooks import disable_failing
from services.notifications.dispatcher import Dispatcher
from shared.events import topics
from shared.events.matching import MatchProposed
from shared.events.registry import NeedPosted, NeedUpdated, VerificationSubmitted
from tests.support.kafka import types
from tests.support.receiver import Receiver, endless, silent, status
from tests.support.samples import CLRI, GIZ, LIDI, OPERATOR, SYSTEM, by, need, sample
from tests.support.stack import RunningService, running_service
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def s(parts: Parts) -> AsyncIterator[RunningService]:
    async with running_service(parts, "notifications") as service:
        yield service


@pytest_asyncio.fixture(loop_scope="session")
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as made:
        yield made


def owner(s: RunningService, one: UUID = LIDI) -> dict[str, str]:
    return s.token("owner", institution_id=one)


async def make(s: RunningService, url: str, who: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
    """A webhook, as the answer to its creation shows it."""
    wanted = {"url": url, "event_types": ["NeedPosted"]} | body
    answer = await s.client.post("/webhooks", headers=who or owner(s), json=wanted)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def post(s: RunningService, path: str, who: dict[str, str], *, match: str | None = "*", expect: int = 200) -> Any:
    headers = who | ({"If-Match": match} if match else {})
    answer = await s.client.post(path, headers=headers)
    assert answer.status_code == expect, answer.text
    return answer.json()


async def switch_off(s: RunningService, hook: dict[str, Any], who: dict[str, str] | None = None) -> None:
    """So that a later test's events go elsewhere."""
    await post(s, f"/webhooks/{hook['id']}/disable", who or owner(s))


async def deliveries(
    s: RunningService, hook: dict[str, Any], who: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    answer = await s.client.get(f"/webhooks/{hook['id']}/deliveries", headers=who or owner(s))
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def delivery(
    s: RunningService, hook: dict[str, Any], state: str, who: dict[str, str] | None = None
) -> dict[str, Any]:
    """The newest delivery, once it is in this state."""

    async def find() -> dict[str, Any] | None:
        found = await deliveries(s, hook, who)
        return found[0] if found and found[0]["status"] == state else None

    return await eventually(find)


async def sql(s: RunningService, statement: str, **values: Any) -> None:
    async with s.running.database.background_session() as session:
        await session.execute(text(statement), values)
        await session.commit()


async def test_a_webhook_is_made_and_shows_its_secret_once(s, receiver):
    who = owner(s)
    body = {
        "url": receiver.url, "description": "ERP", "event_types": ["NeedPosted", "MatchProposed"],
        "filters": {"countries": ["ETH"], "isic": [], "institution_ids": []},
    }  # fmt: skip
    headers = who | {"Idempotency-Key": str(uuid4())}
    answer = await s.client.post("/webhooks", headers=headers, json=body)
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["location"] == f"/webhooks/{made['id']}"
    assert made == made | body | {"version": 1, "status": "enabled", "actions": ["test", "rotate-secret", "disable"]}
    assert made["secret"].startswith("whsec_")
    again = await s.client.post("/webhooks", headers=headers, json=body)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert again.json() == made | {"secret": None}
    shown = await s.client.get(answer.headers["location"], headers=who)
    assert shown.json() == made | {"secret": None}
    listed = await s.client.get("/webhooks?status=enabled", headers=who)
    assert made["id"] in {item["id"] for item in listed.json()["items"]}
    assert made["secret"] not in listed.text
    await switch_off(s, made)


async def test_an_event_arrives_signed_and_equal_to_the_feed(s, receiver):
    hook = await make(s, receiver.url)
    sent = await s.foreign.send(sample(NeedPosted, by(CLRI)))
    (got,) = await eventually(lambda: receiver.got)
    assert got.headers["content-type"] == "application/cloudevents+json"
    assert got.headers["webhook-id"] == str(sent.id)
    assert abs(int(got.headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 10
    assert Webhook(hook["secret"]).verify(got.body, got.headers) == got.event == sent.structured()
    done = await delivery(s, hook, "succeeded")
    assert done == done | {
        "event_id": str(sent.id), "event_type": "NeedPosted", "attempt": 1, "http_status": 200, "response_excerpt": "",
        "next_attempt_at": None,
    }  # fmt: skip
    assert done["duration_ms"] >= 0
    await switch_off(s, hook)


async def test_types_filters_and_visibility_decide(s, receiver):
    async with Receiver() as strangers:
        mine = await make(s, receiver.url, event_types=["MatchProposed", "NeedPosted"], filters={"isic": ["15"]})
        theirs = await make(s, strangers.url, owner(s, GIZ), event_types=["*"])
        await s.foreign.send(sample(VerificationSubmitted, OPERATOR))
        await s.foreign.send(sample(NeedUpdated, SYSTEM))
        await s.foreign.send(sample(NeedPosted, SYSTEM, need=need(isic=["1610"])))
        await s.foreign.send(sample(MatchProposed, SYSTEM))
        last = await s.foreign.send(sample(NeedPosted, SYSTEM, need=need(isic=["1520"])))
        assert await eventually(lambda: str(last.id) in {one.headers["webhook-id"] for one in strangers.got})
        assert await eventually(lambda: str(last.id) in {one.headers["webhook-id"] for one in receiver.got})
        assert sorted(strangers.names()) == ["NeedPosted", "NeedPosted", "NeedUpdated"]
        assert receiver.names() == ["NeedPosted"]  # a match carries no class, so it does not pass a filter by class
        await switch_off(s, mine)
        await switch_off(s, theirs, owner(s, GIZ))


async def test_a_party_gets_what_is_not_public(s, receiver):
    hook = await make(s, receiver.url, event_types=["MatchProposed"], filters={"countries": ["IND"]})
    sent = await s.foreign.send(sample(MatchProposed, SYSTEM))
    (got,) = await eventually(lambda: receiver.got)
    assert got.headers["webhook-id"] == str(sent.id)
    await switch_off(s, hook)


async def test_a_new_webhook_gets_no_earlier_events(s, receiver):
    earlier = await s.foreign.send(sample(NeedPosted, SYSTEM))

    async def stamped() -> bool:
        answer = await s.client.get("/events?limit=200", headers=s.token("operator"))
        return str(earlier.id) in answer.text

    await eventually(stamped)
    hook = await make(s, receiver.url)
    later = await s.foreign.send(sample(NeedPosted, SYSTEM))
    assert await eventually(lambda: receiver.got)
    assert [one.headers["webhook-id"] for one in receiver.got] == [str(later.id)]
    await switch_off(s, hook)


async def test_a_failed_delivery_is_tried_again_after_five_seconds_with_the_same_id(s, receiver):
    receiver.answers = [status(500, body=b"boom")]
    hook = await make(s, receiver.url)
    sent = await s.foreign.send(sample(NeedPosted, SYSTEM))
    failed = await delivery(s, hook, "failed")
    assert (failed["attempt"], failed["http_status"], failed["response_excerpt"]) == (1, 500, "boom")
    wait = datetime.fromisoformat(failed["next_attempt_at"]) - datetime.fromisoformat(failed["attempted_at"])
    assert timedelta(seconds=5) <= wait <= timedelta(seconds=6.5)
    done = await delivery(s, hook, "succeeded")
    assert (done["id"], done["attempt"]) == (failed["id"], 2)
    first, second = receiver.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == str(sent.id)
    assert Webhook(hook["secret"]).verify(second.body, second.headers) == first.event
    await switch_off(s, hook)


async def test_gone_disables_at_once_and_is_told(s, receiver):
    receiver.answer = status(410)
    hook = await make(s, receiver.url + "/in-path?token=in-query")
    await s.foreign.send(sample(NeedPosted, SYSTEM))
    await delivery(s, hook, "exhausted")
    shown = (await s.client.get(f"/webhooks/{hook['id']}", headers=owner(s))).json()
    assert (shown["status"], shown["version"], shown["reason"]) == ("disabled", 2, {"code": "endpoint_gone"})
    assert shown["actions"] == ["test", "rotate-secret", "enable"]

    async def published() -> Any:
        found = [r for r in await s.records(topics.WEBHOOKS) if r.partitionkey == hook["id"]]
        return found or None

    (record,) = await eventually(published)
    assert types([record]) == ["WebhookDisabled"]
    assert receiver.got[0].path == "/hook/in-path?token=in-query"
    assert record.structured()["data"]["webhook"]["url"] == "http://127.0.0.1"
    for who in (s.token("operator"), owner(s)):
        page = (await s.client.get("/inbox", headers=who)).json()
        entry = next(item for item in page["items"] if item["event_id"] == str(record.id))
        assert entry["event_type"] == "WebhookDisabled"
        assert "410" in entry["text"]
        assert "http://127.0.0.1 " in entry["text"]
        assert "in-path" not in entry["text"]

    async def in_the_feed() -> bool:
        answer = await s.client.get("/events?types=WebhookDisabled&limit=200", headers=owner(s))
        return record.structured() in answer.json()["items"]

    assert await eventually(in_the_feed)


async def test_a_defect_of_ours_is_a_failed_attempt_and_nothing_stays_in_hand(parts, receiver):
    async with running_service(parts, "notifications") as own:
        dispatcher = next(one for one in own.running.workers if isinstance(one, Dispatcher))
        hook = await make(own, receiver.url)
        await dispatcher.client.close()  # a closed client raises what no endpoint can cause
        await own.foreign.send(sample(NeedPosted, SYSTEM))
        failed = await delivery(own, hook, "failed")
        assert (failed["attempt"], failed["http_status"]) == (1, None)
        assert failed["response_excerpt"] == "could not be sent: RuntimeError"
        assert await eventually(lambda: not dispatcher._in_hand)
        assert [lane.in_hand for lane in dispatcher._lanes.values()] == [0]
        assert await eventually(lambda: not dispatcher._tasks)
        dispatcher.client = WebhookClient(own.running.state["parts"].guard)
        assert (await delivery(own, hook, "succeeded"))["attempt"] == 2
    assert len(receiver.got) == 1


async def test_too_many_requests_waits_as_long_as_asked(s, receiver):
    receiver.answer = status(429, retry_after="3600")
    hook = await make(s, receiver.url)
    await s.foreign.send(sample(NeedPosted, SYSTEM))
    failed = await delivery(s, hook, "failed")
    wait = datetime.fromisoformat(failed["next_attempt_at"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < wait <= timedelta(minutes=60)
    await switch_off(s, hook)


async def test_redirects_are_not_followed(s, receiver):
    async with Receiver() as inside:
        receiver.answer = status(302, location=inside.url)
        hook = await make(s, receiver.url)
        await s.foreign.send(sample(NeedPosted, SYSTEM))
        assert (await delivery(s, hook, "failed"))["http_status"] == 302
        assert inside.got == []
        await switch_off(s, hook)


async def test_an_endless_answer_is_cut(s, receiver):
    receiver.answer = endless
    hook = await make(s, receiver.url)
    await s.foreign.send(sample(NeedPosted, SYSTEM))
    done = await delivery(s, hook, "succeeded")
    assert done["response_excerpt"] == "x" * 1024
    await switch_off(s, hook)


async def test_any_bytes_can_be_an_answer(s, receiver):
    receiver.answer = status(500, body=b"\x00\xff\xfe<b>")
    hook = await make(s, receiver.url)
    await s.foreign.send(sample(NeedPosted, SYSTEM))
    assert (await delivery(s, hook, "failed"))["response_excerpt"].endswith("<b>")
    await switch_off(s, hook)


async def test_a_silent_endpoint_is_given_up(s, receiver, monkeypatch):
    monkeypatch.setattr(channel, "TOTAL_SECONDS", 0.3)
    receiver.answer = silent
    hook = await make(s, receiver.url)
    await s.foreign.send(sample(NeedPosted, SYSTEM))
    failed = await delivery(s, hook, "failed")
    assert failed["http_status"] is None
    assert failed["response_excerpt"].startswith("no answer within")
    await switch_off(s, hook)


async def test_a_closed_port_is_a_failure_like_others(s):
    async with Receiver() as gone:
        url = gone.url
    hook = await make(s, url)
    await s.foreign.send(sample(NeedPosted, SYSTEM))
    failed = await delivery(s, hook, "failed")
    assert failed["http_status"] is None
    assert "ConnectError" in failed["response_excerpt"]
    await switch_off(s, hook)


async def test_a_slow_endpoint_does_not_hold_up_another(s, receiver):
    async with Receiver(answer=silent) as slow:
        stuck = await make(s, slow.url)
        hook = await make(s, receiver.url)
        sent = [await s.foreign.send(sample(NeedPosted, SYSTEM)) for _ in range(20)]
        assert await eventually(lambda: len(receiver.got) == 20, seconds=5)
        assert {one.headers["webhook-id"] for one in receiver.got} == {str(one.id) for one in sent}
        assert slow.busiest == s.running.settings.webhook_concurrency_each
        await switch_off(s, stuck)
        await switch_off(s, hook)


async def test_after_the_last_attempt_it_is_exhausted_and_after_five_days_switched_off(s, receiver):
    receiver.answer = status(503)
    hook = await make(s, receiver.url)
    await s.foreign.send(sample(NeedPosted, SYSTEM))
    failed = await delivery(s, hook, "failed")
    await sql(s, "update delivery set attempt = 7, next_attempt_at = now() where id = :id", id=UUID(failed["id"]))
    ended = await delivery(s, hook, "exhausted")
    assert (ended["attempt"], ended["next_attempt_at"]) == (8, None)
    source = s.running.state["parts"].source
    async with s.running.transactions.background() as tx:
        assert await disable_failing(tx, source) == 0
    five_days_ago = datetime.now(UTC) - timedelta(days=5, seconds=1)
    await sql(s, "update webhook set exhausted_since = :at where id = :id", at=five_days_ago, id=UUID(hook["id"]))
    async with s.running.transactions.background() as tx:
        assert await disable_failing(tx, source) == 1
    shown = (await s.client.get(f"/webhooks/{hook['id']}", headers=owner(s))).json()
    assert (shown["status"], shown["reason"]) == ("disabled", {"code": "endpoint_failing"})


async def test_a_success_starts_the_five_days_anew(s, receiver):
    hook = await make(s, receiver.url)
    await sql(s, "update webhook set exhausted_since = now() where id = :id", id=UUID(hook["id"]))
    await s.foreign.send(sample(NeedPosted, SYSTEM))
    await delivery(s, hook, "succeeded")

    async def forgiven() -> bool:
        async with s.running.database.background_session() as session:
            found = text("select exhausted_since is null from webhook where id = :id")
            return bool(await session.scalar(found, {"id": UUID(hook["id"])}))

    assert await eventually(forgiven)
    await switch_off(s, hook)


async def test_both_secrets_sign_after_a_rotation(s, receiver):
    hook = await make(s, receiver.url)
    rotated = await post(s, f"/webhooks/{hook['id']}/rotate-secret", owner(s))
    assert rotated["secret"] not in (None, hook["secret"])
    left = datetime.fromisoformat(rotated["previous_valid_until"]) - datetime.now(UTC)
    assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=24)
    await s.foreign.send(sample(NeedPosted, SYSTEM))
    (got,) = await eventually(lambda: receiver.got)
    assert len(got.headers["webhook-signature"].split()) == 2
    for secret in (hook["secret"], rotated["secret"]):
        assert Webhook(secret).verify(got.body, got.headers) == got.event
    await sql(s, "update webhook set previous_valid_until = now() where id = :id", id=UUID(hook["id"]))
    await s.foreign.send(sample(NeedPosted, SYSTEM))
    assert await eventually(lambda: len(receiver.got) == 2)
    assert len(receiver.got[1].headers["webhook-signature"].split()) == 1
    assert Webhook(rotated["secret"]).verify(receiver.got[1].body, receiver.got[1].headers)
    await switch_off(s, hook)


async def test_disabled_gets_nothing_and_enabled_what_comes_then(s, receiver):
    hook = await make(s, receiver.url)
    who = owner(s)
    off = await post(s, f"/webhooks/{hook['id']}/disable", who, match='"1"')
    assert (off["status"], off["version"]) == ("disabled", 2)
    missed = await s.foreign.send(sample(NeedPosted, SYSTEM))

    async def stamped() -> bool:
        answer = await s.client.get("/events?limit=200&types=NeedPosted", headers=who)
        return str(missed.id) in answer.text

    await eventually(stamped)
    refused = await s.client.post(f"/webhooks/{hook['id']}/disable", headers=who | {"If-Match": "*"})
    assert (refused.status_code, refused.json()["code"]) == (409, "invalid_transition")
    on = await post(s, f"/webhooks/{hook['id']}/enable", who, match='"2"')
    assert on["status"] == "enabled"
    sent = await s.foreign.send(sample(NeedPosted, SYSTEM))
    assert await eventually(lambda: receiver.got)
    assert [one.headers["webhook-id"] for one in receiver.got] == [str(sent.id)]
    await switch_off(s, hook)


async def test_a_trial_delivery(s, receiver):
    hook = await make(s, receiver.url, event_types=["NeedPosted"], filters={"countries": ["ETH"]})
    accepted = await post(s, f"/webhooks/{hook['id']}/test", owner(s), match=None, expect=202)
    (got,) = await eventually(lambda: receiver.got)
    assert got.name == "WebhookTest"
    assert got.event["data"]["webhook"]["id"] == hook["id"]
    assert hook["secret"] not in got.body.decode()
    assert Webhook(hook["secret"]).verify(got.body, got.headers)
    done = await delivery(s, hook, "succeeded")
    assert (done["id"], done["event_type"]) == (accepted["delivery_id"], "WebhookTest")
    feed = await s.client.get("/events?limit=200", headers=s.token("operator"))
    assert "WebhookTest" not in feed.text
    await switch_off(s, hook)
    await post(s, f"/webhooks/{hook['id']}/test", owner(s), match=None, expect=202)
    assert await eventually(lambda: len(receiver.got) == 2)


async def test_a_replay_is_a_new_delivery_of_the_same_message(s, receiver):
    hook = await make(s, receiver.url)
    await s.foreign.send(sample(NeedPosted, SYSTEM))
    first = await delivery(s, hook, "succeeded")
    replayed = await post(s, f"/deliveries/{first['id']}/replay", owner(s), match=None, expect=202)
    assert await eventually(lambda: len(receiver.got) == 2)
    assert replayed["delivery_id"] != first["id"]
    assert receiver.got[0].headers["webhook-id"] == receiver.got[1].headers["webhook-id"]
    assert receiver.got[0].body == receiver.got[1].body
    assert len(await deliveries(s, hook)) == 2
    shown = await s.client.get(f"/deliveries/{replayed['delivery_id']}", headers=owner(s))
    assert shown.json()["event_id"] == first["event_id"]
    await switch_off(s, hook)


async def test_what_a_killed_dispatcher_had_in_hand_is_sent_again(parts, receiver):
    url = await parts.new_database("notifications")
    prefix = f"k{uuid4().hex[:8]}."
    receiver.answer = silent
    async with running_service(parts, "notifications", database_url=url, prefix=prefix) as first:
        hook = await make(first, receiver.url)
        sent = await first.foreign.send(sample(NeedPosted, SYSTEM))
        assert await eventually(lambda: receiver.got)
        for task in [task for name, task in first.loops.tasks.items() if name.startswith("worker")]:
            task.cancel()  # it ends with no chance to write anything down
    receiver.answer = status(200)
    async with running_service(parts, "notifications", database_url=url, prefix=prefix) as second:
        done = await delivery(second, hook, "succeeded")
        assert done["event_id"] == str(sent.id)
    assert [one.headers["webhook-id"] for one in receiver.got] == [str(sent.id)] * 2


async def test_changes_need_the_version_that_was_read(s, receiver):
    hook = await make(s, receiver.url)
    who, path = owner(s), f"/webhooks/{hook['id']}"
    patch = {"description": "New", "filters": {"countries": ["ETH"]}}
    assert (await s.client.patch(path, headers=who, json=patch)).status_code == 428
    stale = await s.client.patch(path, headers=who | {"If-Match": '"7"'}, json=patch)
    assert (stale.status_code, stale.headers["etag"]) == (412, '"1"')
    done = await s.client.patch(path, headers=who | {"If-Match": '"1"'}, json=patch)
    assert (done.status_code, done.headers["etag"]) == (200, '"2"')
    shown = done.json()
    assert shown == hook | patch | {
        "version": 2, "secret": None, "updated_at": shown["updated_at"],
        "filters": {"countries": ["ETH"], "isic": [], "institution_ids": []},
    }  # fmt: skip
    cleared = await s.client.patch(path, headers=who | {"If-Match": "*"}, json={"filters": None, "description": None})
    assert (cleared.json()["filters"]["countries"], cleared.json()["description"]) == ([], "")
    for body in ({"url": None}, {"event_types": None}, {"event_types": []}, {"secret": "x"}):
        answer = await s.client.patch(path, headers=who | {"If-Match": "*"}, json=body)
        assert answer.status_code == 422, body
    inside = await s.client.patch(path, headers=who | {"If-Match": "*"}, json={"url": "https://10.0.0.1/"})
    assert (inside.status_code, inside.json()["code"]) == (422, "webhook_url_forbidden")
    for action in ("disable", "rotate-secret"):
        assert (await s.client.post(f"{path}/{action}", headers=who)).status_code == 428
        assert (await s.client.post(f"{path}/{action}", headers=who | {"If-Match": '"1"'})).status_code == 412
        assert (await s.client.post(f"{path}/{action}", headers=who | {"If-Match": 'W/"3"'})).status_code == 400
    await switch_off(s, hook)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"url": "http://example.org/"}, "webhook_url_forbidden"),
        ({"url": "https://10.0.0.1/"}, "webhook_url_forbidden"),
        ({"url": "https://user:pw@example.org/"}, "webhook_url_forbidden"),
        ({"url": "nonsense"}, "webhook_url_forbidden"),
        ({"url": "https://\ud800.example/"}, "validation_failed"),
        ({"url": ""}, "validation_failed"),
        ({"url": 7}, "validation_failed"),
        ({"url": "https://e.example/" + "x" * 2000}, "validation_failed"),
        ({"event_types": ["NoSuchEvent"]}, "validation_failed"),
        ({"event_types": []}, "validation_failed"),
        ({"event_types": None}, "validation_failed"),
        ({"filters": {"countries": ["XXX"]}}, "validation_failed"),
        ({"filters": {"isic": ["99999"]}}, "validation_failed"),
        ({"filters": {"institution_ids": ["nonsense"]}}, "validation_failed"),
        ({"filters": {"words": []}}, "validation_failed"),
        ({"description": "x" * 5001}, "validation_failed"),
        ({"secret": "mine"}, "validation_failed"),
    ],
)
async def test_bad_webhooks_are_refused(s, body, code):
    wanted = {"url": "https://hooks.example/", "event_types": ["*"]} | body
    answer = await s.client.post(
        "/webhooks", headers=owner(s) | {"Content-Type": "application/json"}, content=json.dumps(wanted)
    )
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert answer.json()["errors"][0]["pointer"].startswith("/" + next(iter(body)))


async def test_a_host_that_does_not_resolve_yet_is_accepted(s):
    hook = await make(s, "https://hooks.invalid/here")
    await post(s, f"/webhooks/{hook['id']}/test", owner(s), match=None, expect=202)
    failed = await delivery(s, hook, "failed")
    assert "does not resolve" in failed["response_excerpt"]
    await switch_off(s, hook)


async def test_who_may_do_what(s, receiver):
    hook = await make(s, receiver.url)
    path = f"/webhooks/{hook['id']}"
    sent = await post(s, f"{path}/test", owner(s), match=None, expect=202)
    body = {"url": receiver.url, "event_types": ["*"]}
    for role in ("editor", "reader"):
        colleague = s.token(role, institution_id=LIDI)
        assert (await s.client.post("/webhooks", headers=colleague, json=body)).status_code == 403
        shown = await s.client.get(path, headers=colleague)
        assert (shown.status_code, shown.json()["actions"]) == (200, [])
        for action in ("test", "rotate-secret", "disable", "enable"):
            await post(s, f"{path}/{action}", colleague, expect=403)
        assert (await s.client.patch(path, headers=colleague | {"If-Match": "*"}, json={})).status_code == 403
        await post(s, f"/deliveries/{sent['delivery_id']}/replay", colleague, expect=403)
    for who in (owner(s, CLRI), s.token("verifier")):
        for target in (path, f"{path}/deliveries", f"/deliveries/{sent['delivery_id']}"):
            assert (await s.client.get(target, headers=who)).status_code == 404
        for action in ("test", "rotate-secret", "disable", "enable"):
            await post(s, f"{path}/{action}", who, expect=404)
        await post(s, f"/deliveries/{sent['delivery_id']}/replay", who, expect=404)
        assert hook["id"] not in (await s.client.get("/webhooks", headers=who)).text
    operator = s.token("operator")
    assert (await s.client.post("/webhooks", headers=operator, json=body)).status_code == 403
    assert (await s.client.get(path, headers=operator)).json()["actions"] == ["disable"]
    await post(s, f"{path}/rotate-secret", operator, expect=403)
    other = await s.client.post("/webhooks", headers=owner(s), json=body | {"institution_id": str(CLRI)})
    assert (other.status_code, other.json()["code"]) == (403, "wrong_institution")
    await switch_off(s, hook, operator)
    for target in (f"/webhooks/{uuid4()}", "/webhooks/nonsense", "/deliveries/nonsense"):
        assert (await s.client.get(target, headers=owner(s))).status_code == 404


async def test_the_schemas_of_own_events_are_served(s):
    for name in ("WebhookDisabled", "WebhookTest"):
        answer = await s.client.get(f"/schemas/{name}/1")
        assert answer.status_code == 200
        assert "webhook" in answer.json()["properties"]


async def test_nothing_is_left_behind(s):
    signals = s.running.state["parts"].signals
    assert len(signals.stamped) == 0
    answer = await s.client.get("/readyz")
    assert answer.json()["status"] == "ready", answer.text
    await asyncio.sleep(0)
