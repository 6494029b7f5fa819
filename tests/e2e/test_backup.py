"""deploy/README.md: its backup and restore, as commands that were run, on four services with parts of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.e2e.world import World
from tests.support import guides
from tests.support.own_parts import OwnParts
from tests.support.parts import Parts
from tests.support.system import Caller, refused
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio

GUIDE = "deploy/README.md"
EVERYTHING = "registry matching projects notifications"
BY_BANDUNG = ("backup", "restore")
BY_POSTGRESQL = ("dump", "undump")


def block(name: str) -> str:
    """The commands of this name."""
    [found] = [found.text for found in guides.blocks(GUIDE) if found.name == name]
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OwnParts]:
    """Four services, one process each."""
    own = OwnParts(parts, tmp_path_factory.mktemp("backup"))
    try:
        await own.install()
        await own.go()
        yield own
    finally:
        await own.remove()


@pytest.mark.parametrize(("names", "way"), [("registry", BY_BANDUNG), (EVERYTHING, BY_POSTGRESQL)])
async def test_what_was_backed_up_is_there_again_and_work_goes_on(
    own: OwnParts, names: str, way: tuple[str, str]
) -> None:
    world = World(own)
    pair = await world.proposed()
    project = await world.matched()
    need, path = pair.need["id"], f"/needs/{pair.need['id']}"
    there, back = way
    await own.shell(block(there))
    lost = await pair.beneficiary.need()
    await pair.beneficiary.change(path, title="Written after the backup")
    await world.seen(pair.beneficiary, need, 2)

    await own.halt(*names.split())
    await own.shell(block(back), NAMES=names)
    await own.go(*names.split())

    # what was before the backup is there, what came after it is not, as the guide says
    assert (await pair.beneficiary.read(path))["title"] == pair.need["title"]
    refused(await pair.beneficiary.get(f"/needs/{lost['id']}"), 404, "not_found")
    assert (await project.now())["status"] == "pipeline"
    # what the restored service says from now on is heard: its next events are not taken for old ones
    await pair.beneficiary.change(path, title="Written after the restore", urgency="critical")
    await eventually(lambda: _tells(pair.beneficiary, need, "Written after the restore"))
    await world.seen(pair.beneficiary, need, 2)
    assert len(await _epochs(own, need)) == 2
    await pair.opened()
    completed = await (await world.matched()).completed()
    assert (await completed.now())["status"] == "completed"
    for name in EVERYTHING.split():
        checks = (await own.client(name).get("/readyz")).json()["checks"]
        assert checks["consumer"]["dead_letters"] == 0, name


async def _tells(caller: Caller, need_id: str, title: str) -> bool:
    """Whether the feed tells this title of the need."""
    found = await caller.items("/events", types="NeedUpdated", limit=200)
    return title in [event["data"]["need"]["title"] for event in found if event["partitionkey"] == need_id]


async def _epochs(own: OwnParts, need_id: str) -> list[str]:
    """The epochs in which registry told of a need."""
    records = await own.records(f"{own.env['BANDUNG_TOPIC_PREFIX']}registry.needs", thread=need_id)
    return sorted({record.sequence[:4] for record in records})
