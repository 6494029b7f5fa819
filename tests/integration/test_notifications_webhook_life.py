"""The life of a webhook: made, changed, given a new secret, switched off and on, and by whom."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from standardwebhooks.webhooks import Webhook

from shared.events.registry import NeedPosted
from tests.support.receiver import Receiver
from tests.support.samples import CLRI, LIDI, SYSTEM, sample
from tests.support.stack import RunningService, running_service
from tests.support.waiting import eventually
from tests.support.webhooks import delivery, make, owner, post, sql, switch_off

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
