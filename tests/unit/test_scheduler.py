"""When a timed task runs again."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from shared.data import scheduler as module
from shared.data.scheduler import Scheduler, Task
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio


async def test_a_rare_task_that_failed_is_soon_tried_again_also_when_something_was_changed_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.1)
    turns: list[str] = []

    async def away_at_first(_tx: object) -> int:
        turns.append("turn")
        if len(turns) == 1:
            raise ConnectionError("the database is away")
        return 0

    leading, stop = asyncio.Event(), asyncio.Event()
    leading.set()
    scheduler = Scheduler([Task("purge", away_at_first, 600)], leading, contextlib.nullcontext)
    running = asyncio.create_task(scheduler.run(stop))
    try:
        await eventually(scheduler.fault.words, 5)
        scheduler.wake()
        await eventually(lambda: scheduler.fault.words() is None, 5)
        assert len(turns) == 2
    finally:
        stop.set()
        await running
