"""The dispatcher: sends what is due to webhooks, many at a time, and no webhook holds up another.

Claim (one transaction) -> send (outside any) -> record (another one). A claim is a lease that is kept alive while
the request lasts; what a killed dispatcher had in hand is sent again, with the same `webhook-id`.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from services.notifications.commands.deliveries import forgive, record_outcome
from services.notifications.domain.retries import is_success
from services.notifications.signals import Signals, wait_any
from services.notifications.store import deliveries, events
from services.notifications.tables import WebhookRow
from shared.data.database import is_passing
from shared.ops.faults import Fault
from shared.ops.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncSession

    from services.notifications.channels.webhook import Outcome, WebhookClient
    from shared.messaging.outbox import Source
    from shared.service import Running

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=6)
KEEP_SECONDS = 2.0
POLL_SECONDS = 0.5
FAULT_SECONDS = 1.0
CLAIM_ROWS = 50
RECORD_SECONDS = (0.2, 0.5, 1.0, 2.0)
DRAIN_SECONDS = 2.0
RECORDERS = 2
"""Results written at the same time, so that the consumer keeps its share of the connections."""


@dataclass(frozen=True, slots=True)
class Job:
    """One claimed delivery with all that sending needs."""

    claim: Any
    url: str
    body: bytes
    message_id: str
    secrets: tuple[str, ...]
    was_failing: bool


@dataclass
class Dispatcher:
    """Runs for the life of the service, in every process."""

    running: Running
    signals: Signals
    client: WebhookClient
    source: Source
    total: int
    each: int
    fault: Fault = field(default_factory=lambda: Fault("dispatcher"))
    _lease_id: UUID = field(default_factory=new_id)
    _in_hand: dict[UUID, UUID] = field(default_factory=dict)
    _sending: set[asyncio.Task[None]] = field(default_factory=set)
    _recording: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(RECORDERS))

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; then waits a little for what is on its way, the rest is sent again later."""
        keeping = asyncio.create_task(self._keep_leases(stop))
        while not stop.is_set():
            self.signals.due.clear()
            if not await self._turn():
                await wait_any(POLL_SECONDS, self.signals.due, stop)
        if self._sending:
            await asyncio.wait(self._sending, timeout=DRAIN_SECONDS)
        await self._cancel([*self._sending, keeping])
        await self.client.close()

    async def _cancel(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _turn(self) -> int:
        """How many deliveries were taken up."""
        free = self.total - len(self._in_hand)
        if free <= 0:
            return 0
        try:
            jobs = await self._claim(min(free, CLAIM_ROWS))
        except Exception as error:
            if not is_passing(error):
                log.exception("dispatcher_failed")
            self.fault.report(f"{type(error).__name__}: {error}"[:200])
            await asyncio.sleep(FAULT_SECONDS)
            return 0
        self.fault.clear()
        for job in jobs:
            self._start(job)
        return len(jobs)

    async def _claim(self, limit: int) -> list[Job]:
        now = self.running.clock.real()
        async with self.running.database.background_session() as session:
            busy = Counter(self._in_hand.values())
            claims = await deliveries.claim(
                session, self._lease_id, now + LEASE, now, busy=busy, each=self.each, limit=limit
            )
            jobs = [await self._job(session, claim) for claim in claims]
            await session.commit()
        return jobs

    async def _job(self, session: AsyncSession, claim: Row[Any]) -> Job:
        hook = await session.get(WebhookRow, claim.webhook_id)
        event = await events.get(session, claim.event_row)
        if event is None or hook is None:
            raise LookupError(f"delivery {claim.id} has no event or webhook")
        body = json.dumps(events.structured(event), separators=(",", ":")).encode()
        return Job(claim, hook.url, body, str(event.event_id), self._secrets(hook), hook.exhausted_since is not None)

    def _secrets(self, hook: WebhookRow) -> tuple[str, ...]:
        """The new one first; the old one as long as it is valid."""
        until = hook.previous_valid_until
        if hook.previous_secret and until and until > self.running.clock.real():
            return hook.secret, hook.previous_secret
        return (hook.secret,)

    def _start(self, job: Job) -> None:
        self._in_hand[job.claim.id] = job.claim.webhook_id
        task = asyncio.create_task(self._deliver(job))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _deliver(self, job: Job) -> None:
        try:
            outcome = await self.client.send(job.url, job.message_id, job.body, job.secrets)
            await self._persist(lambda: self._record(job, outcome))
        except Exception:
            log.exception("delivery_failed", delivery_id=str(job.claim.id))
        finally:
            self._in_hand.pop(job.claim.id, None)
            self.signals.due.set()  # a place is free

    async def _record(self, job: Job, outcome: Outcome) -> None:
        async with self.running.transactions.background() as tx:
            await record_outcome(tx, job.claim, self._lease_id, outcome, self.source)
            tx.after_commit(self.signals.intake.set)
        if job.was_failing and is_success(outcome.http_status):
            async with self.running.transactions.background() as tx:
                await forgive(tx, job.claim.webhook_id)

    async def _persist(self, work: Callable[[], Awaitable[None]]) -> None:
        """Tries again while the database is away; past that the lease ends and the event is sent again."""
        for seconds in RECORD_SECONDS:
            try:
                async with self._recording:
                    await work()
            except Exception as error:
                if not is_passing(error):
                    raise
                await asyncio.sleep(seconds)
            else:
                return

    async def _keep_leases(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await wait_any(KEEP_SECONDS, stop)
            if not self._in_hand:
                continue
            try:
                until = self.running.clock.real() + LEASE
                async with self.running.transactions.background() as tx:
                    await deliveries.extend(tx.session, self._lease_id, list(self._in_hand), until)
            except Exception as error:  # noqa: BLE001 (the next turn tries again; a lost lease costs a repetition)
                self.fault.report(f"leases: {error}"[:200])
