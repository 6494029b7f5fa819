"""The dispatcher: sends what is due to webhooks, many at a time, and no webhook holds up another.

Claim (one transaction) -> send (outside any) -> record (another one). A claim is a lease that is kept alive until
the result is written; what a killed dispatcher had in hand is sent again, with the same `webhook-id`.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import Counter

from services.notifications.channels.webhook import Outcome
from services.notifications.commands.deliveries import forgive, record_failure, record_successes
from services.notifications.domain.retries import is_success
from services.notifications.signals import Signals
from services.notifications.store import deliveries, events, webhooks
from shared.data.database import is_passing
from shared.ops.failpoints import reach
from shared.ops.faults import Fault
from shared.ops.ids import new_id
from shared.ops.waiting import wait_any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from sqlalchemy import Row

    from services.notifications.channels.webhook import WebhookClient
    from services.notifications.tables import EventRow, WebhookRow
    from shared.messaging.outbox import Source
    from shared.service import Running

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=6)
KEEP_SECONDS = 2.0
POLL_SECONDS = 2.0
SOON = timedelta(minutes=1)  # a try so near has its own alarm: the next look may be two seconds late
FAULT_SECONDS = 1.0
CLAIM_ROWS = 200
RECORD_SECONDS = (0.2, 0.5, 1.0, 2.0)
DRAIN_SECONDS = 2.0
MOST_IN_HAND = 32
"""Of one quick webhook: claimed at once, so that a claim does not cost a transaction per event."""
QUICK_MS = 1000


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
class Lane:
    """What this dispatcher has in hand of one webhook. A quick one may have more in hand, a failing one has one."""

    each: int
    places: int
    in_hand: int = 0

    def __post_init__(self) -> None:
        self.sending = asyncio.Semaphore(self.each)

    def learn(self, outcome: Outcome) -> None:
        """Sets how much to claim the next time."""
        if not is_success(outcome.http_status):
            self.places = 1
        elif outcome.duration_ms > QUICK_MS:
            self.places = self.each
        else:
            self.places = min(max(self.places, self.each) * 2, MOST_IN_HAND)


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
    _lanes: dict[UUID, Lane] = field(default_factory=dict)
    _in_hand: set[UUID] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._sending = asyncio.Semaphore(self.total)
        self._done: asyncio.Queue[tuple[Job, Outcome]] = asyncio.Queue()
        self._empty = asyncio.Event()
        self._failures = asyncio.Semaphore(1)  # the consumer needs the connections more
        self._attempts = Counter(
            "bandung_webhook_attempts",
            "Requests to webhooks: delivered or failed",
            ["outcome"],
            registry=self.running.metrics.registry,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; then waits a little for what is on its way, the rest is sent again later."""
        helpers = [asyncio.create_task(self._keep_leases()), asyncio.create_task(self._record_all())]
        try:
            while not stop.is_set():
                self.signals.due.clear()
                if not await self._turn():
                    await wait_any(POLL_SECONDS, self.signals.due, stop)
            if self._in_hand:
                await wait_any(DRAIN_SECONDS, self._empty)
        finally:
            for task in [*self._tasks, *helpers]:
                task.cancel()
            await asyncio.gather(*self._tasks, *helpers, return_exceptions=True)
            await self.client.close()

    async def _turn(self) -> int:
        """How many deliveries were taken up."""
        try:
            jobs = await self._claim()
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

    async def _claim(self) -> list[Job]:
        now = self.running.clock.real()
        places = {hook_id: max(0, lane.places - lane.in_hand) for hook_id, lane in self._lanes.items()}
        async with self.running.database.background_session() as session:
            claims = await deliveries.claim(
                session, self._lease_id, now + LEASE, now, places=places, each=self.each, limit=CLAIM_ROWS
            )
            hooks = await webhooks.by_id(session, {claim.webhook_id for claim in claims}) if claims else {}
            known = await events.by_row(session, {claim.event_row for claim in claims}) if claims else {}
            jobs = [self._job(claim, hooks[claim.webhook_id], known[claim.event_row]) for claim in claims]
            await session.commit()
        return jobs

    def _job(self, claim: Row[Any], hook: WebhookRow, event: EventRow) -> Job:
        body = json.dumps(events.structured(event), separators=(",", ":")).encode()
        return Job(claim, hook.url, body, str(event.event_id), self._secrets(hook), hook.exhausted_since is not None)

    def _secrets(self, hook: WebhookRow) -> tuple[str, ...]:
        """The new one first; the old one as long as it is valid."""
        until = hook.previous_valid_until
        if hook.previous_secret and until and until > self.running.clock.real():
            return hook.secret, hook.previous_secret
        return (hook.secret,)

    def _start(self, job: Job) -> None:
        lane = self._lanes.setdefault(job.claim.webhook_id, Lane(self.each, self.each))
        lane.in_hand += 1
        self._in_hand.add(job.claim.id)
        self._empty.clear()
        task = asyncio.create_task(self._deliver(job, lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, job: Job, lane: Lane) -> None:
        handed_on = False
        try:
            async with lane.sending, self._sending:
                outcome = await self._send(job)
            reach("webhook.posted")
            self._attempts.labels("delivered" if is_success(outcome.http_status) else "failed").inc()
            lane.learn(outcome)
            if is_success(outcome.http_status):
                self._done.put_nowait((job, outcome))
                handed_on = True
                return
            async with self._failures:
                await self._persist(lambda: self._record_failure(job, outcome))
        finally:
            if not handed_on:  # or its lease would be kept alive for ever
                self._release([job])

    async def _send(self, job: Job) -> Outcome:
        """What came of it. A defect of ours counts as a failed attempt, so that it is tried again and ends some day."""
        begun = time.perf_counter()
        try:
            return await self.client.send(job.url, job.message_id, job.body, job.secrets)
        except Exception as error:
            log.exception("webhook_not_sent", delivery_id=str(job.claim.id))
            milliseconds = round((time.perf_counter() - begun) * 1000)
            return Outcome(None, milliseconds, f"could not be sent: {type(error).__name__}")

    async def _record_failure(self, job: Job, outcome: Outcome) -> None:
        async with self.running.transactions.background() as tx:
            again = await record_failure(tx, job.claim, self._lease_id, outcome, self.source)
            tx.after_commit(self.signals.intake.set)
        if again is not None and again < SOON:
            asyncio.get_running_loop().call_later(again.total_seconds(), self.signals.due.set)

    async def _record_all(self) -> None:
        """Writes down successes, as many at once as there are."""
        while True:
            done = [await self._done.get()]
            while not self._done.empty() and len(done) < CLAIM_ROWS:
                done.append(self._done.get_nowait())
            try:
                await self._persist(lambda done=done: self._record_successes(done))  # type: ignore[misc]
            finally:
                self._release([job for job, _ in done])

    async def _record_successes(self, done: list[tuple[Job, Outcome]]) -> None:
        async with self.running.transactions.background() as tx:
            await record_successes(tx, [(job.claim, outcome) for job, outcome in done], self._lease_id)
        for hook_id in {job.claim.webhook_id for job, _ in done if job.was_failing}:
            async with self.running.transactions.background() as tx:
                await forgive(tx, hook_id)

    async def _persist(self, work: Callable[[], Awaitable[None]]) -> None:
        """Tries again while the database is away; past that the lease ends and the event is sent again."""
        for seconds in RECORD_SECONDS:
            try:
                await work()
            except Exception as error:
                if not is_passing(error):
                    log.exception("delivery_not_recorded")
                    return
                await asyncio.sleep(seconds)
            else:
                return

    def _release(self, jobs: list[Job]) -> None:
        """Out of hand; asks for more when a lane has run half empty."""
        for job in jobs:
            self._in_hand.discard(job.claim.id)
            lane = self._lanes[job.claim.webhook_id]
            lane.in_hand -= 1
            if lane.in_hand <= lane.places // 2:
                self.signals.due.set()
        if not self._in_hand:
            self._empty.set()

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(KEEP_SECONDS)
            if not self._in_hand:
                continue
            try:
                until = self.running.clock.real() + LEASE
                async with self.running.transactions.background() as tx:
                    await deliveries.extend(tx.session, self._lease_id, list(self._in_hand), until)
            except Exception as error:  # noqa: BLE001 (the next turn tries again; a lost lease costs a repetition)
                self.fault.report(f"leases: {error}"[:200])
