"""The loop of rounds: works out what was ordered and carries out what was approved, on the process that leads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from services.matching.bell import BELL
from services.matching.commands import allocation, market
from services.matching.domain.rounds import APPROVED, COMPUTING
from services.matching.store import rounds
from shared.data.database import is_passing
from shared.ops.faults import Fault
from shared.ops.waiting import wait_any

if TYPE_CHECKING:
    from uuid import UUID

    from services.matching.ranking import Ranker
    from shared.service import Running

log = structlog.get_logger(__name__)

IDLE_SECONDS = 5.0


class Allocator:
    """One round at a time; a kill at any moment loses nothing, since what is done stands in the rows."""

    def __init__(self, running: Running, ranker: Ranker) -> None:
        self._running, self._ranker = running, ranker
        self.fault = Fault("rounds")

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; heals from passing faults by itself."""
        with BELL.listening() as woken:
            while not stop.is_set():
                woken.clear()
                try:
                    while self._running.relay.leading.is_set() and not stop.is_set() and await self._turn():
                        pass
                    self.fault.clear()
                except Exception as error:
                    if not is_passing(error):
                        log.exception("round_failed")
                    self.fault.report(f"{type(error).__name__}: {error}"[:200])
                    await wait_any(1.0, stop)
                await wait_any(IDLE_SECONDS, woken, stop)

    async def _turn(self) -> bool:
        """One step of one round; whether there was any."""
        transactions = self._running.transactions
        async with transactions.background() as tx:
            approved, ordered = await rounds.next_with(tx, APPROVED), await rounds.next_with(tx, COMPUTING)
        if approved is not None:
            await self._carry_out(approved)
        elif ordered is not None:
            await self._work_out(ordered)
        return approved is not None or ordered is not None

    async def _work_out(self, round_id: UUID) -> None:
        """No transaction is open while the solver works."""
        async with self._running.transactions.background() as tx:
            found = await market.look(tx, self._ranker)
        best = await allocation.work_out(found)
        async with self._running.transactions.background() as tx:
            await allocation.keep(tx, self._ranker, round_id, found, best)

    async def _carry_out(self, round_id: UUID) -> None:
        """The next need of an approved round, or its end."""
        async with self._running.transactions.background() as tx:
            need_id = await rounds.waiting_need(tx, round_id)
            if need_id is None:
                await allocation.complete(tx, round_id)
            else:
                await allocation.carry_out(tx, self._ranker, round_id, need_id)
