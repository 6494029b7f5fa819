"""Contract, section 14: health of every service and the console."""

from __future__ import annotations

import pytest

from tests.e2e.world import World
from tests.support.system import SERVICES, System, succeeded
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio

ALL_FIVE = (*SERVICES, "console")


@pytest.mark.parametrize("service", ALL_FIVE)
async def test_alive(system: System, service: str) -> None:
    assert succeeded(await system.client(service).get("/livez"), 200)["status"] == "alive"


@pytest.mark.parametrize("service", SERVICES)
async def test_ready_with_causes(system: System, service: str) -> None:
    async def ready() -> bool:
        shown = succeeded(await system.client(service).get("/readyz"), 200)
        assert shown["status"] == "ready", shown
        assert {name: check["status"] for name, check in shown["checks"].items()}.items() >= {
            "database": "ok",
            "migrations": "ok",
            "kafka": "ok",
            "outbox": "ok",
        }.items()
        return bool(shown["checks"]["outbox"]["unsent"] == 0)

    await eventually(ready)


async def test_the_console_is_ready(system: System) -> None:
    assert succeeded(await system.client("console").get("/readyz"), 200)["status"] in ("ready", "degraded")


@pytest.mark.parametrize("service", ALL_FIVE)
async def test_metrics_are_prometheus_text(system: System, service: str) -> None:
    answer = await system.client(service).get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert "# TYPE " in answer.text


@pytest.mark.parametrize("service", ALL_FIVE)
async def test_the_version_says_what_runs(system: System, service: str) -> None:
    shown = succeeded(await system.client(service).get("/version"), 200)
    assert (shown["service"], shown["instance"]) == (service, "local")
    assert shown["version"]
    assert "commit" in shown


async def test_everything_told_is_sent_and_heard(system: System, world: World) -> None:
    await (await world.proposed()).opened()

    async def quiet() -> bool:
        for service in SERVICES:
            checks = succeeded(await system.client(service).get("/readyz"), 200)["checks"]
            assert checks["outbox"]["unsent"] == 0, (service, checks)
            assert checks["consumer"]["dead_letters"] == 0, (service, checks)
        return True

    await eventually(quiet)
