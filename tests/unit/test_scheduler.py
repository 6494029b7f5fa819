"""When a timed task runs again."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from shared.data import scheduler as module
from shared.data.scheduler import Scheduler, Task
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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


class Recorded:
    """Transactions that say what was done in them, and how they ended."""

    def __init__(self) -> None:
        self.all: list[list[str]] = []

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[list[str]]:
        done: list[str] = []
        self.all.append(done)
        try:
            yield done
        except ConnectionError:
            done.append("rolled back")
            raise


def counted(name: str, outcomes: list[int | Exception]) -> Task:
    """Returns, or raises, one after the other; zero when there is none left."""

    async def work(done: list[str]) -> int:
        done.append(name)
        outcome = outcomes.pop(0) if outcomes else 0
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return Task(name, work, 600)


async def turned(tasks: list[Task]) -> tuple[Scheduler, list[list[str]]]:
    """What happened in the transactions of one turn."""
    recorded, stop, leading = Recorded(), asyncio.Event(), asyncio.Event()
    leading.set()
    scheduler = Scheduler(tasks, leading, recorded.open)
    running = asyncio.create_task(scheduler.run(stop))
    await eventually(lambda: any(tasks[-1].name in done for done in recorded.all), 5)
    stop.set()
    await running
    return scheduler, recorded.all


async def test_what_finds_nothing_to_do_shares_one_transaction() -> None:
    _, transactions = await turned([counted(name, []) for name in "abc"])
    assert transactions == [["a", "b", "c"]]


async def test_what_moves_rows_ends_the_transaction_and_goes_on_in_its_own() -> None:
    _, transactions = await turned([counted("a", []), counted("b", [5, 5]), counted("c", [])])
    assert transactions == [["a", "b"], ["b"], ["b"], ["c"]]


async def test_a_task_that_fails_takes_nothing_from_the_others() -> None:
    scheduler, transactions = await turned(
        [counted("a", []), counted("b", [ConnectionError("away")]), counted("c", [])]
    )
    assert transactions == [["a", "b", "rolled back"], ["c"]]
    assert "b: away" in (scheduler.fault.words() or "")


async def test_a_task_that_never_ends_lets_the_others_have_their_turn() -> None:
    _, transactions = await turned([counted("a", [1] * 10_000), counted("b", [])])
    assert transactions.index(["b"]) == module.MOST_BATCHES + 1


async def test_a_wake_lets_nobody_wait_longer_than_usual() -> None:
    leading = asyncio.Event()
    tasks = [Task(name, _nothing, 4.0, 12.0) for name in ("usual", "slow", "failed")]
    scheduler = Scheduler(tasks, leading, contextlib.nullcontext)
    scheduler._wait = {"usual": 4.0, "slow": 12.0, "failed": 1.0}
    scheduler.wake()
    assert scheduler._wait == {"failed": 1.0}
    assert scheduler._woken.is_set()
    scheduler._woken.clear()
    scheduler._wait = {"usual": 4.0}
    scheduler.wake()
    assert scheduler._wait == {}
    assert not scheduler._woken.is_set(), "its turn comes anyhow"


async def _nothing(_tx: object) -> int:
    return 0
