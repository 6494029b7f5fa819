"""Contract, section 17: facts a stranger will look for."""

from __future__ import annotations

import pytest

from tests.e2e.world import World
from tests.support.system import System, refused
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio

KIND = "south_south_industrial_cooperation"


async def test_centres_and_their_life(system: System, world: World) -> None:
    reader = await world.registered()
    found = {centre["host_country"]: centre for centre in await reader.items("/centres", kind=KIND)}
    assert {country: centre["status"] for country, centre in found.items()} == {
        "IND": "operating",
        "CHN": "to_be_established",
        "EGY": "under_negotiation",
        "BRA": "envisioned",
        "ZAF": "envisioned",
    }
    india = found["IND"]
    assert (india["since"], india["kind"]) == ("2007-01", KIND)
    assert {"id", "version", "name", "kind", "host_country", "status", "since", "source", "history"} <= set(india)
    assert india["source"]
    assert all(set(step) >= {"status", "since", "source"} for step in india["history"])
    assert await reader.read(f"/centres/{india['id']}") == india
    body = {"status": "envisioned", "since": "2008-05", "source": "a letter"}
    change = f"/centres/{india['id']}/change-status"
    refused(await system.operator.act(change, body), 409, "invalid_transition")
    refused(await reader.act(change, body | {"status": "suspended"}), 403, "forbidden")
    refused(
        await system.operator.act(change, body | {"status": "suspended"}, if_match=None), 428, "precondition_required"
    )
    await a_step_of_life_is_kept_and_told(system, found["CHN"]["id"])


async def a_step_of_life_is_kept_and_told(system: System, centre: str) -> None:
    for wrong in ({"since": "May 2008"}, {"since": "2008-13"}, {"status": "famous"}):
        body = {"status": "operating", "since": "2008-05", "source": "a letter"} | wrong
        answer = await system.operator.act(f"/centres/{centre}/change-status", body)
        refused(answer, 422, "validation_failed", f"/{next(iter(wrong))}")
    body = {"status": "operating", "since": "2008-05", "source": "a letter"}
    changed = await system.operator.do(f"/centres/{centre}/change-status", body)
    assert (changed["status"], changed["since"], changed["version"]) == ("operating", "2008-05", 2)
    assert {step["status"] for step in changed["history"]} >= {"to_be_established", "operating"}

    async def told() -> bool:
        found = [record for record in await system.records("registry.centres") if record.key == centre]
        return "CentreStatusChanged" in [record.type for record in found]

    await eventually(told)


@pytest.mark.parametrize(("day", "count"), [("2024-12-12", 45), ("2024-12-13", 44)])
async def test_the_least_developed_countries_on_a_day(world: World, day: str, count: int) -> None:
    reader = await world.registered()
    found = await reader.items("/countries", group="ldc", as_of=day, limit=200)
    assert len(found) == count


async def test_a_scheduled_graduation_changes_nothing_until_confirmed(world: World) -> None:
    found = await (await world.registered()).read("/countries/BGD", as_of="2026-11-25")
    assert found["groups"] == ["ldc"]
    scheduled = {"group": "ldc", "leaves_on": "2026-11-24", "source": "A/RES/76/8", "confirmed": False}
    assert found["scheduled"] == [scheduled]


async def test_odd_questions_about_countries(world: World) -> None:
    reader = await world.registered()
    refused(await reader.get("/countries/XXX"), 404, "not_found")
    refused(await reader.get("/countries", as_of="yesterday"), 422, "validation_failed", "?as_of")
    refused(await reader.get("/countries", group="best"), 422, "validation_failed", "?group")
    refused(await reader.get("/centres", kind="club"), 422, "validation_failed", "?kind")
