"""Contract, section 16, played against the containers while each of them is killed for real."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.compose.containers import PARTS
from tests.e2e.story import STEPS, Story
from tests.e2e.world import RANDOM
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.compose.containers import Containers, Killed

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIRST_POST, LAST_POST = 1, 17
"""Of those that follow the first step: between these many a part is killed (the whole has 20)."""


async def test_the_story_holds_and_repeating_every_post_changes_nothing(stack: Containers) -> None:
    idle, begun = stack.usage(), time.monotonic()
    story, measured = Story(stack), asyncio.create_task(asyncio.to_thread(stack.usage))
    await story.play()
    told, busy = await story.holds(), await measured
    await story.repeat()
    assert await story.holds() == told
    print(f"\nthe story: {len(story.posts)} posts, {len(told['records'])} records, {time.monotonic() - begun:.1f} s")
    print("idle, and while it is played: % of a core, MB")
    for service in PARTS:
        figures = (*idle[service], *busy[service])
        print(f"{service:<16}" + "".join(f"{figure:>8.1f}" for figure in figures))


async def test_the_story_survives_kill_9_of_every_part(stack: Containers) -> None:
    """One story per part, since a story must be whole, whatever dies while it runs."""
    before, table = stack.restarts(), []
    for service in PARTS:
        story = Story(stack, killed=True)
        await story.play(STEPS[0])  # issues the keys; an answer that holds a secret comes once only
        told, row = await killed_in_its_middle(stack, story, service)
        table.append(row)
        await story.repeat()
        assert await story.holds() == told, service
    print("\n" + "\n".join(["killed           at post   repeated   ready again after", *table]))
    assert stack.restarts() == {service: count + 1 for service, count in before.items()}


async def killed_in_its_middle(stack: Containers, story: Story, service: str) -> tuple[object, str]:
    """Plays the rest while `service` is killed at a random post; what holds in the end, and a line about it."""
    at, repeated = len(story.posts) + RANDOM.randint(FIRST_POST, LAST_POST), stack.repeated()
    playing = asyncio.create_task(story.play(*STEPS[1:]))

    async def kill() -> Killed:
        await eventually(lambda: playing.done() or len(story.posts) >= at)
        assert not playing.done(), f"the story ended before {service} was killed"
        return await stack.kill9(service)

    killed = await kill()
    assert not playing.done(), f"the story ended before {service} was killed"
    await stack.restarted(killed)
    await stack.kafka_answers()
    await stack.all_ready()
    seconds = time.monotonic() - killed.at
    await playing
    told = await story.holds()
    return told, f"{service:<16} {at:>7}   {stack.repeated() - repeated:>8}   {seconds:>15.1f} s"
