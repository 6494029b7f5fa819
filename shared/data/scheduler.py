"""Timers: small tasks that run on one process per service, the one that leads.

What is due is a condition on rows, not a memory of the scheduler, so a due row fires once also after downtime.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from shared.data.database import is_passing
from shared.ops.faults import Fault

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

log = structlog.get_logger(__name__)

TICK_SECONDS = 1.0
RETRY_SECONDS = 5.0
MOST_BATCHES = 50


@dataclass(frozen=True, slots=True)
class Task:
    """`run` does one small batch in the transaction it is given and returns how many rows it moved.

    It is called again at once while it returns more than zero, else after `every_seconds`; where nothing happens
    after `idle_seconds`.
    """

    name: str
    run: Callable[[Any], Awaitable[int]]
    every_seconds: float = 4.0
    idle_seconds: float = 12.0


@dataclass
class Scheduler:
    """Runs the tasks while `leading` is set."""

    tasks: list[Task]
    leading: asyncio.Event
    transaction: Callable[[], AbstractAsyncContextManager[Any]]
    fault: Fault = field(default_factory=lambda: Fault("scheduler"))
    _ran: dict[str, float] = field(default_factory=dict)
    _wait: dict[str, float] = field(default_factory=dict)
    _failing: dict[str, str] = field(default_factory=dict)

    def wake(self) -> None:
        """Something was changed in this process, so that something may be due: nobody waits longer than usual.

        A task that failed keeps its shorter wait: it would not be tried again before its next turn otherwise.
        """
        usual = {task.name: task.every_seconds for task in self.tasks}
        self._wait = {name: wait for name, wait in self._wait.items() if wait < usual[name]}

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; a failing task is tried again after RETRY_SECONDS, or sooner at its next turn."""
        while not stop.is_set():
            if self.leading.is_set():
                await self._turn(stop)
            try:
                async with asyncio.timeout(TICK_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue

    async def _turn(self, stop: asyncio.Event) -> None:
        now = asyncio.get_running_loop().time()
        for task in self.tasks:
            ran = self._ran.get(task.name)
            if stop.is_set() or (ran is not None and now < ran + self._wait.get(task.name, task.every_seconds)):
                continue
            self._ran[task.name] = now
            self._wait[task.name] = self._wait_after(task, await self._batches(task, stop))

    def _wait_after(self, task: Task, moved: int | None) -> float:
        if moved:
            return 0.0
        if moved is None:
            return min(task.every_seconds, RETRY_SECONDS)
        longest = max(task.every_seconds, task.idle_seconds)
        return min(longest, 2 * self._wait[task.name]) if self._wait.get(task.name) else task.every_seconds

    async def _batches(self, task: Task, stop: asyncio.Event) -> int | None:
        """Batch after batch while there are due rows, but not for ever: other tasks want their turn."""
        moved = await self._once(task)
        for _ in range(MOST_BATCHES):
            if not moved or stop.is_set():
                break
            moved = await self._once(task)
        return moved

    async def _once(self, task: Task) -> int | None:
        """How many rows it moved; None when it failed."""
        try:
            async with self.transaction() as tx:
                moved = await task.run(tx)
        except Exception as error:
            if not is_passing(error):
                log.exception("task_failed", task=task.name)
            self._failing[task.name] = f"{task.name}: {error}"[:200]
            self.fault.report(self._failing[task.name])
            return None
        self._failing.pop(task.name, None)
        if not self._failing:
            self.fault.clear()
        return moved
