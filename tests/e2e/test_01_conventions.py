"""Contract, section 1: what holds for every call."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.world import Member, World, capability_body, is_id, moment, need_body, words
from tests.support.system import ROOT, SERVICES, Caller, System, refused, succeeded
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio

LISTS = ("/institutions", "/capabilities", "/needs", "/matches", "/projects", "/practices")
ONE_OF_EACH = {
    "registry": "/needs",
    "matching": "/matches",
    "projects": "/projects",
    "notifications": "/inbox",
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lidi(world: World) -> Member:
    return await world.member()


def fresh_key() -> str:
    return f"test-{secrets.token_hex(8)}"


async def test_ids_are_uuid7_in_lower_case(lidi: Member) -> None:
    need = await lidi.need()
    assert is_id(lidi.id)
    assert is_id(need["id"])


@pytest.mark.parametrize(
    ("pointer", "wrong"),
    [
        ("/isic/0", {"isic": ["9999"]}),
        ("/isic/0", {"isic": ["tanning"]}),
        ("/hs/0", {"hs": ["9999"]}),
        ("/hs/0", {"hs": ["41071"]}),
        ("/sdg_targets/0", {"sdg_targets": ["9.99"]}),
        ("/language", {"language": "xx"}),
        ("/language", {"language": "eng"}),
        ("/country", {"country": "ETX"}),
        ("/country", {"country": "ET"}),
        ("/urgency", {"urgency": "whenever"}),
        ("/resource_kinds/0", {"resource_kinds": ["magic"]}),
        ("/resource_kinds", {"resource_kinds": []}),
        ("/isic", {"isic": []}),
        ("/deadline", {"deadline": "31.01.2027"}),
        ("/deadline", {"deadline": "2027-01-31T00:00:00Z"}),
        ("/title", {"title": "x" * 201}),
        ("/title", {"title": "  \n "}),
        ("/title", {"title": "a\u0000b"}),
        ("/title", {"title": 7}),
        ("/problem", {"problem": "x" * 5001}),
        ("/technologies", {"technologies": [f"technology {n}" for n in range(51)]}),
        ("/colour", {"colour": "red"}),
        ("/budget/currency", {"budget": {"amount": "1.00", "currency": "XYZ"}}),
        ("/budget/amount", {"budget": {"amount": "1.001", "currency": "USD"}}),
        ("/budget/amount", {"budget": {"amount": "1.5", "currency": "JPY"}}),
        ("/budget/amount", {"budget": {"amount": 450000, "currency": "USD"}}),
        ("/budget/amount", {"budget": {"amount": 4.5, "currency": "USD"}}),
        ("/budget/amount", {"budget": {"amount": "-1.00", "currency": "USD"}}),
        ("/budget/amount", {"budget": {"amount": "NaN", "currency": "USD"}}),
        ("/budget/amount", {"budget": {"amount": "1e3", "currency": "USD"}}),
        ("/partners_wanted", {"partners_wanted": 0}),
        ("/partners_wanted", {"partners_wanted": 21}),
        ("/post", {"post": "yes please"}),
    ],
)
async def test_a_faulty_member_is_named(lidi: Member, pointer: str, wrong: dict[str, Any]) -> None:
    answer = await lidi.post("/needs", need_body(**wrong))
    problem = refused(answer, 422, "validation_failed")
    found = [error["pointer"] for error in problem["errors"]]
    # money is one value: a fault of its amount may be told at the whole when amount and currency do not fit
    assert pointer in found or (pointer == "/budget/amount" and "/budget" in found), problem


@pytest.mark.parametrize("member", ["title", "problem", "resource_kinds", "isic", "urgency", "deadline"])
async def test_a_missing_member_is_named(lidi: Member, member: str) -> None:
    body = need_body()
    del body[member]
    problem = refused(await lidi.post("/needs", body), 422, "validation_failed", f"/{member}")
    assert {error["pointer"]: error["code"] for error in problem["errors"]}[f"/{member}"] == "missing"


@pytest.mark.parametrize(
    "right",
    [
        {"isic": ["C"]},
        {"isic": ["15"]},
        {"isic": ["151"]},
        {"hs": ["41", "4107", "410711"]},
        {"sdg_targets": ["9", "9.2", "17.6"]},
        {"budget": {"amount": "1500", "currency": "JPY"}},
        {"budget": {"amount": "0.5", "currency": "USD"}},
        {"title": "x" * 200, "problem": "y" * 5000},
        {"technologies": [f"technology {n}" for n in range(50)]},
        {"partners_wanted": 20},
    ],
)
async def test_what_the_rules_allow_is_taken(lidi: Member, right: dict[str, Any]) -> None:
    made = await lidi.make("/needs", need_body(post=False, **right))
    assert {name: made[name] for name in right if name != "budget"} == {n: v for n, v in right.items() if n != "budget"}


async def test_text_comes_back_as_given(lidi: Member) -> None:
    title = "የቆዳ ኢንዱስትሪ — “chrome” <b>&amp;</b> 𝄞 e\u0301 \u202e"
    made = await lidi.make("/needs", need_body(post=False, title=title))
    assert (await lidi.read(f"/needs/{made['id']}"))["title"] == title


async def test_times_are_utc_and_optional_members_are_null(lidi: Member) -> None:
    need = await lidi.need()
    moment(need["posted_at"])
    moment(need["updated_at"])
    assert need["budget"] is None
    assert need["funding_gap"] is None


# authentication


@pytest.mark.parametrize("service", SERVICES)
async def test_no_token_is_401(system: System, service: str) -> None:
    answer = await system.anonymous.get(ONE_OF_EACH[service])
    refused(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "invalid_token" not in answer.headers["www-authenticate"]


def unsigned(token: str, **header: Any) -> str:
    head = base64.urlsafe_b64encode(json.dumps({"typ": "at+jwt"} | header).encode()).rstrip(b"=").decode()
    return f"{head}.{token.split('.')[1]}."


def tampered(token: str) -> str:
    head, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    claims["roles"] = ["operator"]
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{head}.{forged}.{signature}"


@pytest.mark.parametrize("service", SERVICES)
async def test_a_bad_token_is_401_invalid_token(system: System, lidi: Member, service: str) -> None:
    good = (await lidi.headers())["Authorization"].removeprefix("Bearer ")
    bad = [
        "nonsense",
        "a.b.c",
        good[:-4] + "AAAA",
        tampered(good),
        unsigned(good, alg="none"),
        unsigned(good, alg="HS256"),
    ]
    for token in bad:
        headers = {"Authorization": f"Bearer {token}"}
        answer = await system.anonymous.request("GET", ONE_OF_EACH[service], headers=headers)
        refused(answer, 401, "unauthenticated")
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("path", ["/needs", "/suggestions", "/projects", "/webhooks"])
async def test_401_beats_a_bad_body(system: System, path: str) -> None:
    headers = {"Content-Type": "application/json"}
    refused(await system.anonymous.request("POST", path, content=b"{nonsense", headers=headers), 401, "unauthenticated")
    headers = {"Content-Type": "text/plain"}
    refused(
        await system.anonymous.request("POST", path, content=b"x" * 300_000, headers=headers), 401, "unauthenticated"
    )


@pytest.mark.parametrize("service", SERVICES)
async def test_the_description_of_the_api_is_public(system: System, service: str) -> None:
    document = succeeded(await system.client(service).get("/openapi.json"), 200)
    assert document["openapi"].startswith("3.1")
    assert (await system.client(service).get("/docs")).status_code == 200
    events = succeeded(await system.client(service).get("/asyncapi.json"), 200)
    assert events["asyncapi"].startswith("3.")


@pytest.mark.parametrize("service", SERVICES)
async def test_what_is_served_is_what_is_committed_but_for_the_addresses(system: System, service: str) -> None:
    for kind in ("openapi", "asyncapi"):
        served = succeeded(await system.client(service).get(f"/{kind}.json"), 200)
        committed = json.loads((ROOT / "shared" / "contracts" / kind / f"{service}.json").read_text())
        assert without_addresses(served) == without_addresses(committed)
        for operation in (o for name, o in served.get("operations", {}).items() if name.startswith("send.")):
            for message in operation["messages"]:
                name = message["$ref"].rpartition("/")[2]
                file = ROOT / "shared" / "contracts" / "schemas" / f"{name}.v1.json"
                schema = succeeded(await system.client(service).get(f"/schemas/{name}/1"), 200)
                assert schema == json.loads(file.read_text())


def without_addresses(document: dict[str, Any]) -> dict[str, Any]:
    """Only the servers and the token's address are of one installation."""
    document.pop("servers", None)
    schemes = document.get("components", {}).get("securitySchemes", {})
    if "apiKey" in schemes:
        del schemes["apiKey"]["flows"]["clientCredentials"]["tokenUrl"]
    return document


async def test_a_token_speaks_for_one_institution(world: World, lidi: Member) -> None:
    other = await world.registered()
    assert (await lidi.make("/needs", need_body(institution_id=lidi.id)))["institution"]["id"] == lidi.id
    refused(await lidi.post("/needs", need_body(institution_id=other.id)), 403, "wrong_institution")
    refused(await lidi.post("/capabilities", capability_body(institution_id=other.id)), 403, "wrong_institution")


async def test_an_operator_creates_for_any_institution(system: System, lidi: Member) -> None:
    need = await system.operator.make("/needs", need_body(institution_id=lidi.id))
    capability = await system.operator.make("/capabilities", capability_body(institution_id=lidi.id))
    assert need["institution"]["id"] == capability["institution"]["id"] == lidi.id


# versions


async def test_versions_start_at_one_and_grow_by_one(lidi: Member) -> None:
    answer = await lidi.post("/needs", need_body(post=False))
    need = succeeded(answer, 201)
    assert (need["version"], answer.headers["etag"]) == (1, '"1"')
    answer = await lidi.patch(f"/needs/{need['id']}", {"title": words(3)}, if_match='"1"')
    assert (succeeded(answer, 200)["version"], answer.headers["etag"]) == (2, '"2"')
    answer = await lidi.act(f"/needs/{need['id']}/post", if_match='"2"')
    assert (succeeded(answer, 200)["version"], answer.headers["etag"]) == (3, '"3"')
    answer = await lidi.get(f"/needs/{need['id']}")
    assert (succeeded(answer, 200)["version"], answer.headers["etag"]) == (3, '"3"')


@pytest_asyncio.fixture(loop_scope="session")
async def need_path(lidi: Member) -> str:
    return f"/needs/{(await lidi.need())['id']}"


async def test_a_change_without_if_match_is_428(lidi: Member, need_path: str) -> None:
    refused(await lidi.patch(need_path, {"title": words(2)}, if_match=None), 428, "precondition_required")
    body = {"reason_code": "no_longer_needed"}
    refused(await lidi.act(f"{need_path}/withdraw", body, if_match=None), 428, "precondition_required")


async def test_a_stale_if_match_is_412_with_the_current_etag(lidi: Member, need_path: str) -> None:
    await lidi.change(need_path, title=words(2))
    answer = await lidi.patch(need_path, {"title": words(2)}, if_match='"1"')
    refused(answer, 412, "version_mismatch")
    assert answer.headers["etag"] == '"2"'
    answer = await lidi.act(f"{need_path}/withdraw", {"reason_code": "no_longer_needed"}, if_match='"1"')
    refused(answer, 412, "version_mismatch")
    assert answer.headers["etag"] == '"2"'


@pytest.mark.parametrize("header", ['W/"1"', "1", '"one"', '"1', "nonsense"])
async def test_a_weak_or_malformed_if_match_is_400(lidi: Member, need_path: str, header: str) -> None:
    refused(await lidi.patch(need_path, {"title": words(2)}, if_match=header), 400, "invalid_header")


async def test_428_beats_412_beats_409(lidi: Member, need_path: str) -> None:
    body = {"reason_code": "no_longer_needed"}
    await lidi.do(f"{need_path}/withdraw", body)
    again = f"{need_path}/withdraw"
    refused(await lidi.act(again, body, if_match=None), 428, "precondition_required")
    refused(await lidi.act(again, body, if_match='"1"'), 412, "version_mismatch")
    problem = refused(await lidi.act(again, body, if_match='"2"'), 409, "invalid_transition")
    assert problem["current_status"] == "withdrawn"
    assert problem["allowed"] == []


async def test_of_two_changes_of_one_version_one_wins(lidi: Member, need_path: str) -> None:
    answers = await asyncio.gather(*(lidi.patch(need_path, {"title": words(2)}, if_match='"1"') for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200, *[412] * 7]


# idempotency


async def test_a_repeat_gives_the_first_answer(lidi: Member) -> None:
    key, body = fresh_key(), need_body()
    first = await lidi.post("/needs", body, key=key)
    again = await lidi.post("/needs", dict(reversed(body.items())), key=key)
    assert succeeded(again, 201) == succeeded(first, 201)
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    for name in ("etag", "location", "x-correlation-id"):
        assert again.headers[name] == first.headers[name]
    assert again.headers["x-request-id"] != first.headers["x-request-id"]


async def test_a_repeat_of_a_state_change_gives_the_first_answer(lidi: Member, need_path: str) -> None:
    key, path, body = fresh_key(), f"{need_path}/withdraw", {"reason_code": "no_longer_needed"}
    first = await lidi.act(path, body, if_match='"1"', key=key)
    for if_match in ('"1"', "*"):
        again = await lidi.act(path, body, if_match=if_match, key=key)
        assert succeeded(again, 200) == succeeded(first, 200)
        assert again.headers["idempotency-replayed"] == "true"
    assert (await lidi.read(need_path))["version"] == 2


async def test_another_body_path_or_query_under_a_used_key_is_422(system: System, world: World, lidi: Member) -> None:
    key, body = fresh_key(), need_body()
    await lidi.make("/needs", body, key=key)
    refused(await lidi.post("/needs", body | {"urgency": "low"}, key=key), 422, "idempotency_key_reused")
    refused(await lidi.post("/capabilities", capability_body(), key=key), 422, "idempotency_key_reused")
    key, body = fresh_key(), world.institution_body()
    await system.operator.make("/institutions", body, key=key)
    refused(await system.operator.post("/institutions?force=true", body, key=key), 422, "idempotency_key_reused")


async def test_a_key_belongs_to_one_caller(lidi: Member) -> None:
    colleague, key, body = await lidi.colleague("owner"), fresh_key(), need_body()
    mine, theirs = await lidi.make("/needs", body, key=key), await colleague.make("/needs", body, key=key)
    assert mine["id"] != theirs["id"]


async def test_a_key_belongs_to_one_service(lidi: Member) -> None:
    key = fresh_key()
    await lidi.make("/needs", need_body(), key=key)
    body = need_body()
    del body["post"]
    assert (await lidi.post("/suggestions", body, key=key)).status_code == 200


async def test_refusals_are_not_kept(lidi: Member, need_path: str) -> None:
    key = fresh_key()
    refused(await lidi.post("/needs", need_body(urgency="never"), key=key), 422, "validation_failed")
    await lidi.make("/needs", need_body(), key=key)
    key, path, body = fresh_key(), f"{need_path}/post", {}
    refused(await lidi.act(path, body, key=key), 409, "invalid_transition")
    problem = refused(await lidi.act(path, body, key=key), 409, "invalid_transition")
    assert problem["current_status"] == "open"


async def test_twenty_equal_requests_at_once_have_one_effect(lidi: Member) -> None:
    key, body = fresh_key(), need_body()
    answers = await asyncio.gather(*(lidi.post("/needs", body, key=key) for _ in range(20)))
    done = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.json()["id"] for answer in done}) == 1
    for answer in answers:
        if answer not in done:
            refused(answer, 409, "idempotency_in_flight")
            assert answer.headers["retry-after"] == "1"
    assert len([n for n in await lidi.items("/needs", limit=200) if n["title"] == body["title"]]) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "two words", "tab\there"])
async def test_a_key_that_is_no_key_is_400(lidi: Member, key: str) -> None:
    refused(await lidi.post("/needs", need_body(), key=key), 400, "invalid_header")


async def test_a_secret_is_not_repeated(system: System, lidi: Member) -> None:
    key, body = fresh_key(), {"name": "second", "institution_id": lidi.id, "role": "editor"}
    first = await system.operator.make("/keys", body, key=key)
    again = await system.operator.post("/keys", body, key=key)
    assert again.headers["idempotency-replayed"] == "true"
    assert succeeded(again, 201) == first | {"client_secret": None}


# lists


async def test_a_list_is_walked_by_its_cursor(world: World) -> None:
    owner = await world.registered()
    made = [(await owner.make("/keys", {"name": f"key {n}", "role": "reader"}))["id"] for n in range(5)]
    found: list[str] = []
    cursor: dict[str, str] = {}
    while cursor != {"cursor": None}:
        answer = await owner.get("/keys", limit=2, **cursor)
        page = succeeded(answer, 200)
        assert len(page["items"]) <= 2
        found += [item["id"] for item in page["items"]]
        cursor = {"cursor": page["next"]}
        assert ('rel="next"' in answer.headers.get("link", "")) == (page["next"] is not None)
    assert found[:5] == list(reversed(made)), "newest first"
    assert len(found) == len(set(found)) == 6, "each once, with the key that asks"


async def test_the_link_to_the_next_page_works(lidi: Member) -> None:
    for _ in range(2):
        await lidi.need()
    answer = await lidi.get("/needs", limit=1)
    link = answer.headers["link"]
    assert link.endswith('rel="next"')
    target = link.partition("<")[2].partition(">")[0]
    following = await lidi.system.client("registry").get(target, headers=await lidi.headers())
    assert succeeded(following, 200)["items"][0]["id"] != answer.json()["items"][0]["id"]


@pytest.mark.parametrize("path", LISTS)
async def test_lists_have_bounds(lidi: Member, path: str) -> None:
    for limit in ("0", "201", "-1", "many"):
        refused(await lidi.get(path, limit=limit), 422, "validation_failed", "?limit")
    refused(await lidi.get(path, cursor="bm9uc2Vuc2U"), 400, "invalid_cursor")
    refused(await lidi.get(path, colour="red"), 422, "validation_failed", "?colour")
    refused(await lidi.get(path, updated_since="yesterday"), 422, "validation_failed", "?updated_since")
    page = succeeded(await lidi.get(path, limit=200), 200)
    assert set(page) >= {"items", "next"}


async def test_a_cursor_that_was_changed_is_refused(lidi: Member) -> None:
    for _ in range(2):
        await lidi.need()
    cursor = (await lidi.read("/needs", limit=1))["next"]
    middle = len(cursor) // 2
    forged = cursor[:middle] + ("A" if cursor[middle] != "A" else "B") + cursor[middle + 1 :]
    refused(await lidi.get("/needs", limit=1, cursor=forged), 400, "invalid_cursor")


async def test_updated_since_is_inclusive_and_in_order_of_change(lidi: Member) -> None:
    first, second = await lidi.need(), await lidi.need()
    changed = await lidi.change(f"/needs/{first['id']}", title=words(2))
    found = await lidi.items("/needs", updated_since=second["updated_at"], limit=200)
    ids = [item["id"] for item in found]
    assert ids.index(second["id"]) < ids.index(first["id"])
    keys = [(moment(item["updated_at"]), item["id"]) for item in found]
    assert keys == sorted(keys)
    later = (moment(changed["updated_at"]) + timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
    assert first["id"] not in [item["id"] for item in await lidi.items("/needs", updated_since=later)]


# tracing, bodies, unknown things


@pytest.mark.parametrize("service", SERVICES)
async def test_every_answer_has_the_servers_own_request_id(system: System, lidi: Member, service: str) -> None:
    mine = "11111111-1111-4111-8111-111111111111"
    answer = await lidi.request("GET", ONE_OF_EACH[service], headers={"X-Request-Id": mine})
    assert answer.headers["x-request-id"] not in ("", mine)
    other = await system.anonymous.get(ONE_OF_EACH[service])
    assert other.headers["x-request-id"] != answer.headers["x-request-id"]


async def test_answers_about_a_thread_name_it(lidi: Member) -> None:
    created = await lidi.post("/needs", need_body())
    need = succeeded(created, 201)
    read = await lidi.get(f"/needs/{need['id']}")
    assert created.headers["x-correlation-id"] == read.headers["x-correlation-id"] == need["id"]
    assert created.headers["location"] == f"/needs/{need['id']}"


async def send(caller: Caller, content: bytes, kind: str) -> Any:
    return await caller.request("POST", "/needs", content=content, headers={"Content-Type": kind})


async def test_bodies_that_are_none(lidi: Member) -> None:
    refused(await send(lidi, b"{nonsense", "application/json"), 400, "malformed_json")
    refused(await send(lidi, b"\xff\xfe", "application/json"), 400, "malformed_json")
    refused(await send(lidi, b"title=x", "application/x-www-form-urlencoded"), 415, "unsupported_media_type")
    refused(await send(lidi, json.dumps(need_body()).encode(), "text/plain"), 415, "unsupported_media_type")
    huge = json.dumps(need_body(problem="x" * 300_000)).encode()
    refused(await send(lidi, huge, "application/json"), 413, "body_too_large")
    refused(await send(lidi, b"[]", "application/json"), 422, "validation_failed")
    lone = json.dumps(need_body(title="a\ud800b")).encode()
    refused(await send(lidi, lone, "application/json"), 422, "validation_failed")


async def test_no_body_equals_an_empty_object(lidi: Member) -> None:
    for body in ({}, None):
        need = await lidi.make("/needs", need_body(post=False))
        more: dict[str, Any] = {"json": body} if body is not None else {}
        answer = await lidi.request("POST", f"/needs/{need['id']}/post", if_match="*", **more)
        assert succeeded(answer, 200)["status"] == "open"


async def test_a_patch_may_call_itself_a_merge_patch(lidi: Member, need_path: str) -> None:
    headers = {"Content-Type": "application/merge-patch+json"}
    content = json.dumps({"budget": {"amount": "10.00", "currency": "USD"}}).encode()
    answer = await lidi.request("PATCH", need_path, content=content, headers=headers, if_match="*")
    assert succeeded(answer, 200)["budget"]["currency"] == "USD"
    assert (await lidi.change(need_path, budget=None))["budget"] is None


@pytest.mark.parametrize("service", SERVICES)
async def test_unknown_paths_and_methods(lidi: Member, service: str) -> None:
    path = ONE_OF_EACH[service]
    refused(await lidi.request("GET", "/nonsense", service=service), 404, "not_found")
    refused(await lidi.request("GET", f"{path}/", service=service), 404, "not_found")
    refused(await lidi.request("DELETE", path, if_match="*"), 405, "method_not_allowed")


@pytest.mark.parametrize(
    "path",
    ["/institutions/x", "/needs/1", "/capabilities/x", "/matches/x", "/projects/x", "/practices/x", "/webhooks/x"],
)
async def test_an_id_that_is_none_is_404(lidi: Member, path: str) -> None:
    refused(await lidi.get(path), 404, "not_found")
    absent = path.rpartition("/")[0] + "/01a20cda-0c07-7007-8007-000000000007"
    refused(await lidi.get(absent), 404, "not_found")


async def test_actions_are_what_this_caller_may_do_now(lidi: Member, world: World) -> None:
    need = await lidi.need()
    assert need["actions"] == ["withdraw"]
    path = f"/needs/{need['id']}"
    stranger, reader = await world.registered(), await lidi.colleague("reader")
    assert (await stranger.read(path))["actions"] == []
    assert (await reader.read(path))["actions"] == []
    await lidi.do(f"{path}/withdraw", {"reason_code": "no_longer_needed"})
    assert (await lidi.read(path))["actions"] == []


async def test_a_trace_goes_on_through_kafka(lidi: Member) -> None:
    trace = secrets.token_hex(16)
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    need = await lidi.make("/needs", need_body(), headers=headers)

    async def traced() -> bool:
        found = await lidi.system.records("registry.needs", thread=need["id"])
        return any(record.headers.get("traceparent", "").split("-")[1] == trace for record in found)

    await eventually(traced)
