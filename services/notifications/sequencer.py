"""The sequencer: gives committed rows their places, so that feed, streams and webhooks have one order.

One is active per service: it runs where the relay leads. Elsewhere it only watches, so that the streams of that
process are woken.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from services.notifications.commands.deliveries import stamp
from services.notifications.signals import Signals
from services.notifications.store import positions
from shared.data.database import is_passing
from shared.ops.faults import Fault
from shared.ops.waiting import wait_any

if TYPE_CHECKING:
    from shared.service import Running

log = structlog.get_logger(__name__)

BATCH = 500
IDLE_SECONDS = (0.05, 3.0)  # woken in this process; the long wait is for what another one left
FAULT_SECONDS = 1.0


@dataclass
class Sequencer:
    """Runs for the life of the service."""

    running: Running
    signals: Signals
    fault: Fault = field(default_factory=lambda: Fault("sequencer"))
    _seen: dict[str, int] = field(default_factory=dict)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; heals from passing faults by itself."""
        idle = IDLE_SECONDS[0]
        while not stop.is_set():
            self.signals.intake.clear()
            moved = await self._turn()
            idle = IDLE_SECONDS[0] if moved else min(idle * 2, IDLE_SECONDS[1])
            if moved < BATCH:
                await wait_any(idle, self.signals.intake, stop)

    async def _turn(self) -> int:
        try:
            moved = await (self._stamp() if self.running.relay.leading.is_set() else self._watch())
        except Exception as error:
            if not is_passing(error):
                log.exception("sequencer_failed")
            self.fault.report(f"{type(error).__name__}: {error}"[:200])
            await asyncio.sleep(FAULT_SECONDS)
            return 0
        self.fault.clear()
        return moved

    async def _stamp(self) -> int:
        """Events first: what waits longest is a webhook. Each in a transaction of its own, under its counter."""
        async with self.running.database.background_session() as session:
            events, entries = await positions.waiting(session)
        stamped = await self._stamp_events() if events else 0
        told = await self._stamp_entries() if entries else 0
        if stamped or told:
            self.signals.stamped.ring()
        return max(stamped, told)

    async def _stamp_events(self) -> int:
        async with self.running.transactions.background() as tx:
            stamped, made = await stamp(tx, BATCH)
        if made:
            self.signals.due.set()
        return stamped

    async def _stamp_entries(self) -> int:
        async with self.running.transactions.background() as tx:
            after = await positions.lock(tx.session, positions.INBOX)
            return await positions.stamp_entries(tx.session, after, BATCH)

    async def _watch(self) -> int:
        """Rings when another process has stamped."""
        if not len(self.signals.stamped):
            return 0
        async with self.running.database.background_session() as session:
            seen = await positions.lasts(session)
        if seen != self._seen:
            self._seen = seen
            self.signals.stamped.ring()
        return 0
