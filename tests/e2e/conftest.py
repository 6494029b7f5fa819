"""One running system for the whole suite; what it printed stands beside every failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.e2e.world import World
from tests.support.system import LIVE, Receiver, SharedSystem, System

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def system(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> AsyncIterator[System]:
    """The system all tests share: they bring their own institutions, and break nothing."""
    base = tmp_path_factory.getbasetemp()
    shared = SharedSystem((base.parent if worker_id != "master" else base) / "system")
    try:
        yield await shared.acquire()
    finally:
        await shared.release()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(system: System) -> World:
    """Actors and stories on the shared system."""
    return World(system)


@pytest_asyncio.fixture(loop_scope="session")
async def receiver() -> AsyncIterator[Receiver]:
    """A partner's HTTP endpoint."""
    async with Receiver() as made:
        yield made


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Shows the end of the output of every running system with a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.failed and item.path.parent.name == "e2e":
        report.sections += [(f"output of {live.home.name}", live.tail()) for live in LIVE]
