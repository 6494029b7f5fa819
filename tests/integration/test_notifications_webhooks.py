"""Webhooks against a real endpoint: signed, filtered, tried again, and never where they must not go."""

from __future__ import annotations

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
from tests.support.notifications import told_of
from tests.support.receiver import Receiver, endless, silent, status
from tests.support.samples import CLRI, GIZ, OPERATOR, SYSTEM, by, need, sample
from tests.support.stack import RunningService, running_service
from tests.support.waiting import eventually
from tests.support.webhooks import deliveries, delivery, make, owner, post, sql, switch_off

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


PUBLIC = ["NeedPosted", "NeedPosted", "NeedUpdated"]


async def in_the_feed(s: RunningService, *ids: UUID) -> bool:
    answer = await s.client.get("/events?limit=200", headers=s.token("operator"))
    return all(str(one) in answer.text for one in ids)


async def decided(s: RunningService, hook: dict[str, Any], who: dict[str, str] | None = None) -> list[str]:
    """The types of all events that go to this webhook."""
    return sorted(one["event_type"] for one in await deliveries(s, hook, who))


async def test_types_filters_and_visibility_decide(s, receiver):
    async with Receiver() as strangers:
        mine = await make(s, receiver.url, event_types=["MatchProposed", "NeedPosted"], filters={"isic": ["15"]})
        theirs = await make(s, strangers.url, owner(s, GIZ), event_types=["*"])
        await s.foreign.send(sample(VerificationSubmitted, OPERATOR))
        sent = [
            await s.foreign.send(sample(NeedUpdated, SYSTEM)),
            await s.foreign.send(sample(NeedPosted, SYSTEM, need=need(isic=["1610"]))),
            await s.foreign.send(sample(MatchProposed, SYSTEM)),
            await s.foreign.send(sample(NeedPosted, SYSTEM, need=need(isic=["1520"]))),
        ]
        await eventually(lambda: in_the_feed(s, *(one.id for one in sent)))  # all is decided, though not yet sent
        assert await eventually(lambda: len(strangers.got) == len(PUBLIC) and receiver.got)
        assert sorted(strangers.names()) == PUBLIC == await decided(s, theirs, owner(s, GIZ))
        # a match carries no class, so it does not pass a filter by class
        assert receiver.names() == ["NeedPosted"] == await decided(s, mine)
        assert receiver.got[0].headers["webhook-id"] == str(sent[-1].id)
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
    await eventually(lambda: in_the_feed(s, earlier.id))
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
    # counted from the end of the attempt, and once the webhook's row is locked
    longest = timedelta(seconds=6 + 2, milliseconds=failed["duration_ms"])
    assert timedelta(seconds=5) <= wait <= longest
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
        entry = await told_of(s, who, record.id)
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
        sent = [await s.foreign.send(sample(NeedPosted, SYSTEM))]
        assert await eventually(lambda: receiver.got)  # events flow: the service may have started just now
        sent += [await s.foreign.send(sample(NeedPosted, SYSTEM)) for _ in range(20)]
        # sooner than the first request to the slow one is given up
        assert await eventually(lambda: len(receiver.got) == 21, seconds=channel.TOTAL_SECONDS - 3)
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
        await disable_failing(tx, source)  # or the service's own, which may come first

    async def switched_off() -> Any:
        shown = (await s.client.get(f"/webhooks/{hook['id']}", headers=owner(s))).json()
        return shown["reason"] if shown["status"] == "disabled" else None

    assert await eventually(switched_off) == {"code": "endpoint_failing"}


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


async def test_nothing_is_left_behind(s):
    signals = s.running.state["parts"].signals
    assert len(signals.stamped) == 0

    async def ready() -> bool:
        answer = await s.client.get("/readyz")
        assert answer.json()["status"] == "ready", answer.text
        return True

    await eventually(ready)
