"""Timers: small tasks that run on one process per service, the one that leads.

What is due is a condition on rows, not a memory of the scheduler, so a due row fires once also after downtime.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from shared.data.database import is_passing
from shared.ops.faults import Fault
from shared.ops.waiting import wait_any

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

log = structlog.get_logger(__name__)

LOOK_SECONDS = 60.0
RETRY_SECONDS = 5.0
MOST_BATCHES = 50


@dataclass(frozen=True, slots=True)
class Task:
    """`run` does one small batch in the transaction it is given and returns how many rows it moved.

    Where that is zero it has changed nothing, and the next task is given the same transaction. It is called again at
    once while it returns more than zero, else after `every_seconds`; where nothing happens after `idle_seconds`.
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
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Something was changed in this process, so that something may be due: nobody waits longer than usual.

        A task that failed keeps its shorter wait: it would not be tried again before its next turn otherwise.
        """
        usual = {task.name: task.every_seconds for task in self.tasks}
        if any(wait > usual[name] for name, wait in self._wait.items()):
            self._woken.set()
        self._wait = {name: wait for name, wait in self._wait.items() if wait < usual[name]}

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; a failing task is tried again after RETRY_SECONDS, or sooner at its next turn."""
        while not stop.is_set():
            self._woken.clear()
            if self.leading.is_set():
                await self._turn(stop)
                await wait_any(self._until_next(), stop, self._woken)
            else:
                await wait_any(LOOK_SECONDS, stop, self.leading)

    def _until_next(self) -> float:
        now = asyncio.get_running_loop().time()
        return max(0.0, min(map(self._due_at, self.tasks), default=now + LOOK_SECONDS) - now)

    def _due_at(self, task: Task) -> float:
        ran = self._ran.get(task.name)
        return 0.0 if ran is None else ran + self._wait.get(task.name, task.every_seconds)

    async def _turn(self, stop: asyncio.Event) -> None:
        now = asyncio.get_running_loop().time()
        due = deque(task for task in self.tasks if self._due_at(task) <= now)
        while due and not stop.is_set():
            moving = await self._first_that_moves(due)
            if moving is not None:
                self._settle(moving, await self._batches(moving, stop))

    async def _first_that_moves(self, due: deque[Task]) -> Task | None:
        """Works off `due` in one transaction up to the first that moves rows, or fails: most turns need only this."""
        task = due.popleft()
        try:
            async with self.transaction() as tx:
                while not await task.run(tx):
                    self._settle(task, 0)
                    if not due:
                        return None
                    task = due.popleft()
        except Exception as error:  # noqa: BLE001 (reported, and tried again)
            self._report(task, error)
            self._settle(task, None)
            return None
        return task

    async def _batches(self, task: Task, stop: asyncio.Event) -> int | None:
        """Batch after batch while there are due rows, but not for ever: other tasks want their turn."""
        moved: int | None = 1
        for _ in range(MOST_BATCHES):
            if not moved or stop.is_set():
                break
            moved = await self._once(task)
        return moved

    async def _once(self, task: Task) -> int | None:
        """How many rows it moved; None when it failed."""
        try:
            async with self.transaction() as tx:
                return await task.run(tx)
        except Exception as error:  # noqa: BLE001 (reported, and tried again)
            self._report(task, error)
            return None

    def _report(self, task: Task, error: Exception) -> None:
        if not is_passing(error):
            log.error("task_failed", task=task.name, exc_info=error)
        self._failing[task.name] = f"{task.name}: {error}"[:200]
        self.fault.report(self._failing[task.name])

    def _settle(self, task: Task, moved: int | None) -> None:
        """When it runs again, after it moved so many rows or, with None, failed."""
        self._ran[task.name] = asyncio.get_running_loop().time()
        self._wait[task.name] = self._wait_after(task, moved)
        if moved is not None:
            self._failing.pop(task.name, None)
            if not self._failing:
                self.fault.clear()

    def _wait_after(self, task: Task, moved: int | None) -> float:
        if moved:
            return 0.0
        if moved is None:
            return min(task.every_seconds, RETRY_SECONDS)
        longest = max(task.every_seconds, task.idle_seconds)
        return min(longest, 2 * self._wait[task.name]) if self._wait.get(task.name) else task.every_seconds
