"""The conventions of contract section 1, on the smallest service, over real HTTP and PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from tests.support.probe import Probe, Thing, running_probe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def probe(parts: Parts) -> AsyncIterator[Probe]:
    async with running_probe(parts) as running:
        yield running


async def test_a_made_thing_has_address_version_thread_and_request_id(probe: Probe) -> None:
    answer = await probe.client.post("/things", json={"title": "a"}, headers=probe.as_owner())
    assert answer.status_code == 201
    thing = answer.json()
    assert answer.headers["location"] == f"/things/{thing['id']}"
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["x-correlation-id"] == thing["id"]
    assert UUID(answer.headers["x-request-id"]).version == 7
    [date] = answer.headers.get_list("date")
    assert abs((parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()) < 30
    assert (await probe.client.get(answer.headers["location"], headers=probe.as_owner())).status_code == 200


async def test_every_fault_is_a_problem_document_with_the_same_members(probe: Probe) -> None:
    answer = await probe.client.get(f"/things/{uuid4()}", headers=probe.as_owner())
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:bandung:problem:not_found"
    assert problem["status"] == answer.status_code == 404
    assert problem["instance"] == str(answer.request.url.path)
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["errors"] == []


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        ("POST", "/things", {"content": b"{", "headers": {"content-type": "application/json"}}, 400, "malformed_json"),
        (
            "POST",
            "/things",
            {"content": b'{"title": NaN}', "headers": {"content-type": "application/json"}},
            400,
            "malformed_json",
        ),
        (
            "POST",
            "/things",
            {"content": b"[" * 5000 + b"]" * 5000, "headers": {"content-type": "application/json"}},
            400,
            "malformed_json",
        ),
        (
            "POST",
            "/things",
            {"content": b"\xff\xfe", "headers": {"content-type": "application/json"}},
            400,
            "malformed_json",
        ),
        (
            "POST",
            "/things",
            {"content": b"title=a", "headers": {"content-type": "text/plain"}},
            415,
            "unsupported_media_type",
        ),
        ("POST", "/things", {"content": b"title=a"}, 415, "unsupported_media_type"),
        ("POST", "/things", {"json": {"title": "x" * 300_000}}, 413, "body_too_large"),
        ("POST", "/things", {"json": {}}, 422, "validation_failed"),
        ("POST", "/things", {}, 422, "validation_failed"),
        ("POST", "/things", {"json": []}, 422, "validation_failed"),
        ("POST", "/things", {"json": {"title": "a", "colour": "red"}}, 422, "validation_failed"),
        ("POST", "/things", {"json": {"title": "a\x00b"}}, 422, "validation_failed"),
        (
            "POST",
            "/things",
            {"content": b'{"title": "\\ud800"}', "headers": {"content-type": "application/json"}},
            422,
            "validation_failed",
        ),
        ("POST", "/things", {"json": {"title": "   "}}, 422, "validation_failed"),
        ("GET", "/things?limit=0", {}, 422, "validation_failed"),
        ("GET", "/things?limit=201", {}, 422, "validation_failed"),
        ("GET", "/things?limit=x", {}, 422, "validation_failed"),
        ("GET", "/things?colour=red", {}, 422, "validation_failed"),
        ("GET", "/things?q=%00", {}, 422, "validation_failed"),
        ("GET", "/things?cursor=forged", {}, 400, "invalid_cursor"),
        ("GET", "/things?cursor=%C3%A9%00", {}, 422, "validation_failed"),
        ("GET", "/things/not-a-uuid", {}, 404, "not_found"),
        ("GET", "/nothing", {}, 404, "not_found"),
        ("DELETE", "/things", {}, 405, "method_not_allowed"),
        (
            "POST",
            "/things",
            {"json": {"title": "a"}, "headers": {"idempotency-key": "has space"}},
            400,
            "invalid_header",
        ),
        ("POST", "/things", {"json": {"title": "a"}, "headers": {"idempotency-key": "x" * 256}}, 400, "invalid_header"),
    ],
)
async def test_bad_requests_get_their_code(
    probe: Probe, method: str, path: str, options: dict, status: int, code: str
) -> None:
    headers = {**probe.as_owner(), **options.pop("headers", {})}
    answer = await probe.client.request(method, path, headers=headers, **options)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["x-request-id"]


async def test_errors_point_at_the_member_and_the_parameter(probe: Probe) -> None:
    answer = await probe.client.post("/things", json={"colour": "red"}, headers=probe.as_owner())
    assert {(e["pointer"], e["code"]) for e in answer.json()["errors"]} == {
        ("/title", "missing"),
        ("/colour", "unknown_member"),
    }
    answer = await probe.client.get("/things?limit=0", headers=probe.as_owner())
    assert [e["pointer"] for e in answer.json()["errors"]] == ["?limit"]


@pytest.mark.parametrize(
    "claims",
    [{"iss": "http://other"}, {"aud": "other"}, {"exp": 1}, {"roles": None}, {"institution_id": "x"}],
)
async def test_a_token_with_a_wrong_claim_is_refused(probe: Probe, claims: dict) -> None:
    headers = {"Authorization": f"Bearer {probe.issuer.token('owner', **claims)}"}
    answer = await probe.client.get("/me", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert answer.json()["code"] == "unauthenticated"


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer x", "Bearer a.b.c", "Basic eDp5", "Bearer e30.e30.", "Bearer \xff"]
)
async def test_authentication_beats_a_broken_body(probe: Probe, header: str) -> None:
    answer = await probe.client.post("/things", content=b"{", headers={"authorization": header.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_role_that_is_not_admitted_is_forbidden(probe: Probe) -> None:
    headers = probe.issuer.headers("reader", institution_id=uuid4())
    answer = await probe.client.post("/things", json={"title": "a"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_a_public_route_needs_no_token(probe: Probe) -> None:
    assert (await probe.client.get("/open")).status_code == 200


async def test_versions_428_412_400_and_star(probe: Probe) -> None:
    owner = probe.as_owner()
    made = (await probe.client.post("/things", json={"title": "a"}, headers=owner)).json()
    path = f"/things/{made['id']}/rename"

    async def rename(if_match: str | None) -> tuple[int, str | None]:
        headers = owner | ({"if-match": if_match} if if_match else {})
        answer = await probe.client.post(path, json={"title": "b"}, headers=headers)
        return answer.status_code, answer.headers.get("etag")

    assert (await rename(None))[0] == 428
    assert await rename('"7"') == (412, '"1"')
    assert (await rename('W/"1"'))[0] == 400
    assert (await rename("1"))[0] == 400
    assert await rename('"1"') == (200, '"2"')
    assert await rename("*") == (200, '"3"')


async def test_a_retry_with_its_key_gets_the_first_answer_without_the_secret(probe: Probe) -> None:
    headers = probe.as_owner(sub="key:retry") | {"idempotency-key": "k-1"}
    before = await probe.count(Thing)
    first = await probe.client.post("/things", json={"title": "a"}, headers=headers)
    again = await probe.client.post(
        "/things", content=b'{ "title" : "a" }', headers=headers | {"content-type": "application/json"}
    )
    assert first.json()["secret"] == "shown once"
    assert again.status_code == 201
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json() | {"secret": None}
    assert [again.headers[h] for h in ("etag", "location", "x-correlation-id")] == [
        first.headers[h] for h in ("etag", "location", "x-correlation-id")
    ]
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert await probe.count(Thing) == before + 1


async def test_a_key_belongs_to_one_request_and_one_subject(probe: Probe) -> None:
    headers = probe.as_owner(sub="key:reuse") | {"idempotency-key": "k-2"}
    assert (await probe.client.post("/things", json={"title": "a"}, headers=headers)).status_code == 201
    other = await probe.client.post("/things", json={"title": "b"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    stranger = probe.as_owner(sub="key:other") | {"idempotency-key": "k-2"}
    assert (await probe.client.post("/things", json={"title": "b"}, headers=stranger)).status_code == 201


async def test_a_key_is_forgotten_after_24_hours(probe: Probe) -> None:
    headers = probe.as_owner(sub="key:old") | {"idempotency-key": "k-5"}
    answers = []
    for hours in ("0 hours", "23 hours 59 minutes", "1 minute"):
        await probe.rows_committed(f"update idempotency set at = at - interval '{hours}' where sub = 'key:old'")  # noqa: S608 (our own)
        answers.append(await probe.client.post("/things", json={"title": "a"}, headers=headers))
    first, replayed, anew = answers
    assert replayed.json()["id"] == first.json()["id"]
    assert anew.status_code == 201
    assert anew.json()["id"] != first.json()["id"]
    assert "idempotency-replayed" not in anew.headers


async def test_refusals_are_not_kept(probe: Probe) -> None:
    headers = probe.as_owner(sub="key:refused") | {"idempotency-key": "k-3"}
    failing = {"title": "a", "fail_after_write": True}
    assert (await probe.client.post("/things", json=failing, headers=headers)).status_code == 403
    assert (await probe.client.post("/things", json={"title": "a"}, headers=headers)).status_code == 201


async def test_twenty_equal_keys_at_once_make_one_thing(probe: Probe) -> None:
    headers = probe.as_owner(sub="key:twenty") | {"idempotency-key": "k-4"}
    before = await probe.count(Thing)
    answers = await asyncio.gather(
        *(probe.client.post("/things", json={"title": "a"}, headers=headers) for _ in range(20))
    )
    codes = [a.status_code for a in answers]
    assert set(codes) <= {201, 409}
    assert codes.count(201) >= 1
    assert all(
        a.json()["code"] == "idempotency_in_flight" and a.headers["retry-after"] == "1"
        for a in answers
        if a.status_code == 409
    )
    assert len({a.json()["id"] for a in answers if a.status_code == 201}) == 1
    assert await probe.count(Thing) == before + 1


async def test_nothing_of_a_refused_request_stays(probe: Probe) -> None:
    before = await probe.count(Thing)
    outbox = probe.running.service.kernel.outbox
    events = await probe.count(outbox)
    await probe.client.post("/things", json={"title": "ghost", "fail_after_write": True}, headers=probe.as_owner())
    assert await probe.count(Thing) == before
    assert await probe.count(outbox) == events


async def test_pages_cover_everything_once_under_writes(probe: Probe) -> None:
    owner = probe.as_owner()
    wanted = [
        (await probe.client.post("/things", json={"title": f"page {n}"}, headers=owner)).json()["id"] for n in range(7)
    ]
    seen: list[str] = []
    target: str | None = "/things?q=page&limit=3"
    while target:
        answer = await probe.client.get(target, headers=owner)
        body = answer.json()
        seen += [item["id"] for item in body["items"]]
        target = answer.links.get("next", {}).get("url")
        assert (target is None) == (body["next"] is None)
        await probe.client.post("/things", json={"title": "page later"}, headers=owner)
    assert seen == wanted[::-1]


async def test_a_change_is_audited_with_its_request(probe: Probe) -> None:
    answer = await probe.client.post("/things", json={"title": "audited"}, headers=probe.as_owner(sub="key:audited"))
    rows = await probe.rows(
        "select sub, via, action, request_id from audit where subject = :subject",
        subject=f"things/{answer.json()['id']}",
    )
    assert [tuple(row) for row in rows] == [("key:audited", "api", "ThingMade", answer.headers["x-request-id"])]


async def test_health_version_metrics_and_schema_are_open(probe: Probe) -> None:
    assert (await probe.client.get("/livez")).json() == {"status": "alive"}
    assert (await probe.client.get("/version")).json()["service"] == "probe"
    assert "bandung_http_requests_total" in (await probe.client.get("/metrics")).text
    assert (await probe.client.get("/schemas/ThingMade/1")).json()["title"] == "ThingMade"
    assert (await probe.client.get("/schemas/Nothing/1")).status_code == 404
    assert "/things" in (await probe.client.get("/openapi.json")).json()["paths"]


async def test_a_limit_per_subject_is_429_with_retry_after(parts: Parts) -> None:
    async with running_probe(parts, rate_limit_per_minute=2) as limited:
        owner = limited.as_owner()
        codes = [(await limited.client.get("/me", headers=owner)).status_code for _ in range(3)]
        assert codes == [200, 200, 429]
        assert int((await limited.client.get("/me", headers=owner)).headers["retry-after"]) >= 1
        assert (await limited.client.get("/me", headers=limited.as_owner())).status_code == 200
