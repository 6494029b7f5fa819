"""Nonsense to every route that takes a body: refused as a problem, never a fault of the server."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.e2e.routes import Everything, Route, all_routes, all_things
from tests.support.system import is_problem

pytestmark = pytest.mark.asyncio

__all__ = ["all_routes", "all_things"]

JSON = "application/json"
HOSTILE: dict[str, Any] = {
    "NUL": "a\u0000b",
    "lone surrogate": "a\ud800b",
    "number": 7,
    "huge number": 10**400,
    "float": 1e308,
    "list": ["x"],
    "nested list": [[["x"]]],
    "object": {"x": "y"},
    "true": True,
}
RAW: dict[str, bytes] = {
    "array": b"[]",
    "array of arrays": b"[[1],[2]]",
    "string": b'"hello"',
    "number": b"7",
    "not JSON": b"{nonsense",
    "not UTF-8": b"\xff\xfe\x00",
    "NaN": b'{"title": NaN}',
    "deep array": b"[" * 100_000,
    "deep object": b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
    "deep but whole": b"[" * 20_000 + b"]" * 20_000,
    "300 KB": b'{"title": "' + b"x" * 300_000 + b'"}',
    "twice the same member": b'{"title": "a", "title": 7}',
}


async def send(things: Everything, route: Route, content: bytes, kind: str = JSON) -> httpx.Response:
    """As the owner, or as the operator where only that role comes as far as the body."""
    for caller in (things.owner, things.owner.system.operator):
        answer = await caller.request(
            route.method.upper(),
            things.path(route),
            service=route.service,
            if_match="*",
            content=content,
            headers={"Content-Type": kind},
        )
        if answer.status_code != 403:
            break
    return answer


def taking_bodies(routes: list[Route]) -> list[Route]:
    return [route for route in routes if route.method in ("post", "patch") and route.template != "/token"]


def taking_json(routes: list[Route]) -> list[Route]:
    """Without those whose body is a file of another kind."""
    return [route for route in taking_bodies(routes) if route.takes_json]


def complaint(answer: httpx.Response, route: Route, what: str) -> str | None:
    """What is wrong with the refusal, if anything."""
    if not 400 <= answer.status_code < 500:
        return f"{route} {what}: {answer.status_code} {answer.text[:200]}"
    try:
        is_problem(answer)
    except (AssertionError, KeyError, ValueError) as error:
        return f"{route} {what}: {error!r}"[:400]
    return None


@pytest.mark.parametrize("what", RAW)
async def test_bodies_that_are_no_object(all_routes: list[Route], all_things: Everything, what: str) -> None:
    answers = [(await send(all_things, route, RAW[what]), route) for route in taking_json(all_routes)]
    assert len(answers) > 40
    assert [told for answer, route in answers if (told := complaint(answer, route, what))] == []
    if what == "300 KB":
        assert {answer.status_code for answer, _ in answers} == {413}
    if what in ("not JSON", "not UTF-8"):
        assert {answer.json()["code"] for answer, _ in answers} == {"malformed_json"}


@pytest.mark.parametrize("what", HOSTILE)
async def test_members_of_the_wrong_kind(all_routes: list[Route], all_things: Everything, what: str) -> None:
    complaints = []
    for route in taking_bodies(all_routes):
        members = dict.fromkeys(route.members(), HOSTILE[what]) | {"unheard_of": HOSTILE[what]}
        answer = await send(all_things, route, json.dumps(members).encode())
        complaints.append(complaint(answer, route, what))
    assert [told for told in complaints if told] == []


async def test_other_media_types(all_routes: list[Route], all_things: Everything) -> None:
    found = {str(r): await send(all_things, r, b"<x/>", "application/xml") for r in taking_bodies(all_routes)}
    assert {route: answer.status_code for route, answer in found.items() if answer.status_code != 415} == {}


@pytest.mark.parametrize("what", RAW)
async def test_nonsense_as_a_file_of_trade_flows(all_routes: list[Route], all_things: Everything, what: str) -> None:
    [route] = [route for route in taking_bodies(all_routes) if not route.takes_json]
    answer = await send(all_things, route, RAW[what], "text/csv")
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    is_problem(answer)


async def test_the_token_endpoint_refuses_nonsense(all_things: Everything) -> None:
    client = all_things.owner.system.client("registry")
    form = "application/x-www-form-urlencoded"
    bodies = [(form, b"\xff\xfe"), (form, b"grant_type=" + b"x" * 300_000), (form, b"grant_type=%00&client_id=%ff")]
    for kind, content in [*bodies, (JSON, b"{}"), (form, b"")]:
        answer = await client.post("/token", content=content, headers={"Content-Type": kind})
        assert 400 <= answer.status_code < 500, (kind, content[:20], answer.text)


async def test_hostile_paths_and_queries(all_routes: list[Route], all_things: Everything) -> None:
    reading = [route for route in all_routes if route.method == "get" and not route.is_stream]
    complaints = []
    for route in reading:
        path = all_things.path(route)
        for query in ("limit=%00", "cursor=%00", "q=%00", "updated_since=%FF", "limit=99999999999999999999"):
            answer = await all_things.owner.request("GET", f"{path}?{query}", service=route.service)
            if answer.status_code >= 500:
                complaints.append(f"{route}?{query}: {answer.status_code}")
        if "{" in route.template:
            for odd in ("%00", "%2e%2e", "x" * 3000, "%ff"):
                hostile = path.rpartition("/")[0] + "/" + odd
                answer = await all_things.owner.request("GET", hostile, service=route.service)
                if answer.status_code >= 500:
                    complaints.append(f"{hostile[:60]}: {answer.status_code}")
    assert complaints == []
