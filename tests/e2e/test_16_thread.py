"""Contract, section 16: the thread as one test, repeated, killed in its middle, restarted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.e2e.story import STEPS, Story
from tests.support.system import System

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture(loop_scope="session")
async def own_system(tmp_path: Path) -> AsyncIterator[System]:
    system = System(tmp_path / "mortal")
    await system.start()
    try:
        yield system
    finally:
        await system.end()


async def test_the_story_holds_and_repeating_every_post_changes_nothing(system: System) -> None:
    story = Story(system)
    await story.play()
    told = await story.holds()
    await story.repeat()
    assert await story.holds() == told


async def test_the_story_survives_kill_9_in_its_middle_and_a_restart_at_its_end(own_system: System) -> None:
    story = Story(own_system, killed=True)
    await story.play(*STEPS[:3])
    await own_system.restart(kill=True)  # between MatchFormalised and the project
    await story.repeat()
    await story.play(*STEPS[3:5])
    await own_system.restart(kill=True)
    await story.repeat()
    await story.play(*STEPS[5:])
    told = await story.holds()
    await own_system.restart()
    await story.repeat()
    assert await story.holds() == told
