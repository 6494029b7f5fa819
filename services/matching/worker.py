"""The engine's loop: works off the queue, on the one process per service that leads."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog
from prometheus_client import Gauge, Histogram

from services.matching.bell import BELL
from services.matching.commands.reconcile import reconcile
from services.matching.commands.supply import absorb
from services.matching.loading import Keeper
from services.matching.store import queue
from shared.data.database import is_passing
from shared.ops.faults import Fault
from shared.ops.waiting import wait_any

if TYPE_CHECKING:
    from uuid import UUID

    from services.matching.ranking import Ranker
    from shared.service import Running

log = structlog.get_logger(__name__)

IDLE_SECONDS = 4.0  # the bell rings for work of this process; this is for what others left
NEEDS_READ = 50
MOST_CHANGES = 500
FLOOD_RECORDS = 1_000
PATIENCE_SECONDS = 60.0
COMPARE_SECONDS = 60.0
RETRY_SECONDS = 30.0


class Worker:
    """State first, rankings after: while changes of what is offered wait, no need is ranked.

    So a million imported capabilities do not rank a million times. One transaction per need; a need that cannot be
    worked off for a reason of its own is set aside for a while and does not hold up the others.
    """

    def __init__(self, running: Running, ranker: Ranker) -> None:
        self._running, self._ranker = running, ranker
        self._set_aside: dict[UUID, float] = {}
        self._compared = time.monotonic()
        self._flooded_since: float | None = None
        self._batch = MOST_CHANGES
        self._led = self._reload = False
        self._keeper = Keeper(ranker)
        self.fault = Fault("engine")
        registry = running.metrics.registry
        self._failing = Gauge("bandung_engine_failing", "1 while the match engine cannot work", registry=registry)
        self._seconds = Histogram("bandung_engine_need_seconds", "Time to review and rank one need", registry=registry)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; heals from passing faults by itself."""
        with BELL.listening() as woken:
            while not stop.is_set():
                woken.clear()
                try:
                    await self._turn(stop)
                    self._failing.set(0)
                    self.fault.clear()
                except Exception as error:
                    if not is_passing(error):
                        log.exception("engine_failed")
                    self._failing.set(1)
                    self.fault.report(f"{type(error).__name__}: {error}"[:200])
                    await wait_any(1.0, stop)
                await wait_any(IDLE_SECONDS, woken, stop)

    async def _turn(self, stop: asyncio.Event) -> None:
        """Works while there is work; followers only keep their index."""
        await self._take_over()
        while self._running.relay.leading.is_set() and not stop.is_set():
            if await self._absorb():
                continue
            if self._flooded() or not (await self._rank(stop) or await self._keep()):
                break
            await self._compare()
        if not self._running.relay.leading.is_set():
            self._ranker.open_needs.forget()
        await self._compare()

    async def _take_over(self) -> None:
        """Whoever begins to lead catches up first: what the one before took from the queue is in the rows alone."""
        leading = self._running.relay.leading.is_set()
        if leading and not self._led:
            async with self._running.transactions.background() as tx:
                await self._ranker.sync(tx)
            self._ranker.open_needs.forget()
        self._led = leading

    def _flooded(self) -> bool:
        """Whether so much news is still to come that rankings wait for it; they do not wait for ever."""
        lag = self._running.consumer.lag
        if lag is not None:  # while partitions are handed over it is as it was
            self._flooded_since = (self._flooded_since or time.monotonic()) if lag > FLOOD_RECORDS else None
        return self._flooded_since is not None and time.monotonic() - self._flooded_since < PATIENCE_SECONDS

    async def _absorb(self) -> bool:
        """Takes in what is offered; whether there was anything.

        A change that cannot be taken in is dropped alone, the nightly sweep tries again.
        """
        try:
            async with self._running.transactions.background() as tx:
                taken = await absorb(tx, self._ranker, self._batch)
                frozen = None if taken else await self._ranker.freeze_statistics(tx)
                if frozen is not None:
                    await queue.push_live_needs(tx)  # what their best reach by the old statistics says nothing now
            if frozen is not None:
                await self._ranker.use(frozen)
        except Exception as error:
            if is_passing(error) or self._batch > 1:
                self._batch = self._batch if is_passing(error) else 1
                raise
            log.exception("change_not_absorbed")
            async with self._running.transactions.background() as tx:
                await queue.take_supply(tx, 1)
            return True
        self._reload |= queue.RELOAD in taken
        if self._reload:
            await self._ranker.load(self._running.transactions)
            self._reload = False
        await self._ranker.settle()
        self._batch = MOST_CHANGES
        return bool(taken)

    async def _rank(self, stop: asyncio.Event) -> int:
        """Some needs, until something else changed; how many."""
        now = time.monotonic()
        self._set_aside = {need: until for need, until in self._set_aside.items() if until > now}
        async with self._running.transactions.background() as tx:
            waiting = await queue.next_needs(tx, NEEDS_READ, self._set_aside)
        for need_id in waiting:
            if stop.is_set() or not self._running.relay.leading.is_set():
                break
            await self._one(need_id)
        return len(waiting)

    async def _one(self, need_id: UUID) -> None:
        try:
            with self._seconds.time():
                async with self._running.transactions.background() as tx:
                    await reconcile(tx, self._ranker, need_id)
        except Exception as error:
            if is_passing(error):
                raise
            log.exception("need_not_ranked", need=str(need_id))
            self._set_aside[need_id] = time.monotonic() + RETRY_SECONDS

    async def _keep(self) -> bool:
        """When nothing waits, stores what capabilities say for the next start; whether anything was done."""
        if not self._keeper.due:
            return False
        try:
            async with self._running.transactions.background() as tx:
                await self._keeper.step(tx)
        except Exception as error:
            if is_passing(error):
                self._keeper.again()
                raise
            self._keeper.skip()  # only the next start suffers
            log.exception("readings_not_kept")
        return True

    async def _compare(self) -> None:
        """Once a minute, and only when no change waits, makes sure that the index is what the rows say."""
        if time.monotonic() - self._compared < COMPARE_SECONDS:
            return
        async with self._running.transactions.background() as tx:
            leading = self._running.relay.leading.is_set()
            if leading and await queue.waiting(tx):
                return
            self._compared = time.monotonic()
            if not await self._ranker.open_needs.agree(tx):
                self._ranker.open_needs.forget()
            if await self._ranker.agrees(tx) or (leading and await queue.waiting(tx)):
                return  # what came between the two looks is in the queue
            if leading:
                log.warning("index_differs")
            await self._ranker.sync(tx)
