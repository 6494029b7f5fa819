"""A walk over every route with every kind of caller: nobody gets in where it should not, and nothing breaks."""

from __future__ import annotations

import pytest
import pytest_asyncio

from tests.e2e.routes import Everything, Route, all_routes, all_things
from tests.e2e.world import Member, World
from tests.support.system import Caller, System, is_problem, refused

pytestmark = pytest.mark.asyncio

__all__ = ["all_routes", "all_things"]

READERS_MAY = {"/inbox/{}/read", "/suggestions"}
KNOWN = {
    "registry": {"/institutions", "/capabilities", "/needs", "/keys"},
    "matching": {"/matches", "/suggestions"},
    "projects": {"/projects", "/practices"},
    "notifications": {"/inbox", "/webhooks", "/events"},
}


def bare(route: Route) -> str:
    """The template without the names of its parameters."""
    return "/".join("{}" if part.startswith("{") else part for part in route.template.split("/"))


async def call(caller: Caller, route: Route, things: Everything) -> int:
    """The status of the call, of which nothing but the path is right."""
    method, path = route.method.upper(), things.path(route)
    if method == "GET":
        answer = await caller.request(method, path, service=route.service)
    else:
        answer = await caller.request(method, path, {}, service=route.service, if_match="*")
    if answer.status_code >= 400 and route.template != "/token":
        is_problem(answer)
    return answer.status_code


async def statuses(caller: Caller, routes: list[Route], things: Everything) -> dict[str, int]:
    """What every route said."""
    return {str(route): await call(caller, route, things) for route in routes if not route.is_stream}


def wrong(found: dict[str, int], *allowed: int) -> dict[str, int]:
    """The answers that should not be."""
    return {route: status for route, status in found.items() if status not in allowed}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stranger(world: World) -> Member:
    return await world.member()


async def test_the_documents_name_the_routes_of_the_contract(all_routes: list[Route]) -> None:
    for service, known in KNOWN.items():
        assert known <= {route.template for route in all_routes if route.service == service}
    assert len(all_routes) > 60


async def test_nobody_gets_in_without_a_token(system: System, all_routes: list[Route], all_things: Everything) -> None:
    closed = [route for route in all_routes if not route.is_public]
    found = {str(route): 0 for route in closed}
    for route in closed:
        path = all_things.path(route)
        answer = await system.anonymous.request(route.method.upper(), path, service=route.service)
        found[str(route)] = answer.status_code
        if answer.status_code == 401:
            refused(answer, 401, "unauthenticated")
    assert not wrong(found, 401)


async def test_strangers_do_not_find_what_is_private(
    stranger: Member, all_routes: list[Route], all_things: Everything
) -> None:
    private = [route for route in all_routes if route.is_one_private_thing]
    reading = [route for route in private if route.method == "get"]
    assert len(reading) > 15
    assert not wrong(await statuses(stranger, reading, all_things), 404)
    writing = [route for route in private if route.method != "get"]
    assert not wrong(await statuses(stranger, writing, all_things), 404, 422)


async def test_strangers_change_nothing(stranger: Member, all_routes: list[Route], all_things: Everything) -> None:
    writing = [route for route in all_routes if route.method != "get" and "{" in route.template]
    assert not wrong(await statuses(stranger, writing, all_things), 403, 404, 422)


async def test_readers_change_nothing(all_routes: list[Route], all_things: Everything) -> None:
    reader = await all_things.owner.colleague("reader")
    writing = [route for route in all_routes if route.method != "get" and bare(route) not in READERS_MAY]
    closed = [route for route in writing if not route.is_public]
    assert not wrong(await statuses(reader, closed, all_things), 403, 404, 422)


async def test_owners_read_everything_that_is_theirs(all_routes: list[Route], all_things: Everything) -> None:
    reading = [route for route in all_routes if route.method == "get" and not route.is_public]
    known = [route for route in reading if all_things.path(route).count("01a20cda-0c07") == 0]
    found = await statuses(all_things.owner, known, all_things)
    # of what belongs to the platform an owner may be told that it is not for him
    assert not wrong({r: s for r, s in found.items() if s != 403}, 200)
    assert sum(status == 200 for status in found.values()) > 30


@pytest.mark.parametrize("role", ["operator", "verifier"])
async def test_the_platform_meets_no_fault(
    system: System, all_routes: list[Route], all_things: Everything, role: str
) -> None:
    reading = [route for route in all_routes if route.method == "get"]
    found = await statuses(system.platform(role), reading, all_things)
    assert not wrong(found, 200, 403, 404)
