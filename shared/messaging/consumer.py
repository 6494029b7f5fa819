"""The consumer loop: every event has its effect once, in order per key, whatever breaks in between.

Slices of a partition are delivered in one transaction each. A fault of the infrastructure is tried again for ever; a
record that cannot be handled is found by replaying its slice one by one, and buried alone.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from shared.data.database import is_passing
from shared.messaging.kafka import admin, stop_bounded
from shared.messaging.logs import Log, change_of, find_logs
from shared.messaging.subscription import START_SECONDS, started
from shared.messaging.watchdog import MustRebuild, Watchdog
from shared.ops.faults import Fault
from shared.ops.waiting import backoff, wait_any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from prometheus_client import Gauge

    from shared.messaging.delivery import Delivery, Record

log = structlog.get_logger(__name__)

SLICE_RECORDS = 500
UNKNOWN_POLL_MS, POLL_MS, QUIET_POLL_MS = 20, 1_000, 4_000
"""What waits comes at once. How long to look otherwise: until it is known what waits, so that `/readyz` soon tells;
while partitions are behind, paused or not told to Kafka; and when all is quiet."""
POLL_SECONDS = 30.0
COMMIT_EVERY_SECONDS = 0.2
COMMIT_SECONDS = 2.0
COMMIT_AGAIN_SECONDS = 5.0
DEAD_LETTER_STREAK = 20
LOOK_SECONDS = 10.0


@dataclass
class _Lane:
    """One assigned partition."""

    failures: int = 0
    resume_at: float = 0.0
    stopped: bool = False


@dataclass
class Consumer:
    """Runs for the life of the service."""

    bootstrap: str
    group: str
    prefix: str
    delivery: Delivery
    lag_gauge: Gauge
    ensure_topics: Callable[[], Awaitable[object]]
    broker_away: Callable[[], bool]
    slot: str = "0"
    fault: Fault = field(default_factory=lambda: Fault("consumer"))
    kafka_fault: Fault = field(default_factory=lambda: Fault("consumer-kafka"))
    limit_fault: Fault = field(default_factory=lambda: Fault("consumer-dead-letters"))
    lag: int | None = None
    watchdog: Watchdog = field(default_factory=Watchdog)
    _lanes: dict[TopicPartition, _Lane] = field(default_factory=dict)
    _logs: dict[str, Log] = field(default_factory=dict)
    _looked_at: float = 0.0
    _unpositioned: bool = False
    _assignments: int = 0
    _committed_at: float = 0.0
    _committed: dict[TopicPartition, int] = field(default_factory=dict)
    _offsets: dict[TopicPartition, int] = field(default_factory=dict)
    _ends: dict[TopicPartition, int] = field(default_factory=dict)  # at the assignment
    _streaks: dict[TopicPartition, int] = field(default_factory=dict)
    _attempt: int = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Consumes until `stop` is set; a new client after every fault, since they cannot be restarted."""
        while not stop.is_set() and self.delivery.handlers.topics:
            consumer: AIOKafkaConsumer | None = None
            try:
                consumer = await self._started()
                await self._consume(consumer, stop)
            except (KafkaError, TimeoutError, OSError) as error:
                self.kafka_fault.report(f"{type(error).__name__}: {error}"[:200])
            except MustRebuild as error:
                self.fault.report(str(error)[:200])
            except Exception:
                log.exception("consumer_failed")
                self.fault.report("unexpected failure, see the log")
            finally:
                self.lag = None
                if consumer is not None:
                    await stop_bounded(consumer)
            self._attempt += 1
            await wait_any(backoff(self._attempt), stop)

    async def _started(self) -> AIOKafkaConsumer:
        # a topic made after the subscription would be met only at the next metadata refresh
        await self.ensure_topics()
        topics = [self.prefix + topic for topic in self.delivery.handlers.topics]
        async with admin(self.bootstrap) as client:
            self._logs = await find_logs(client._client, topics)  # noqa: SLF001 (the version is pinned)
        self._lanes.clear()
        self._offsets.clear()
        self._committed = {}
        self._unpositioned = False
        return await started(
            self.bootstrap,
            group=self.prefix + self.group,
            slot=self.slot,
            logs=self._logs,
            assigned=self._position,
            revoked=self._forget,
        )

    async def _position(self, consumer: AIOKafkaConsumer, assigned: Sequence[TopicPartition]) -> None:
        """Seeks each assigned partition to where the database says; called on every assignment."""
        try:
            known = await self.delivery.positions({topic: each.id for topic, each in self._logs.items()})
            async with asyncio.timeout(START_SECONDS):
                first, last = await asyncio.gather(consumer.beginning_offsets(assigned), consumer.end_offsets(assigned))
        except Exception as error:  # noqa: BLE001 (the listener must not raise: aiokafka would read on from Kafka's own offsets)
            self._unpositioned = True
            self.fault.report(f"positions unreadable: {type(error).__name__} {error}"[:200])
            return
        for tp in assigned:
            self._lanes[tp] = _Lane()
            # what retention has taken away is not behind us, or the lag would never end
            self._offsets[tp] = max(known.get((tp.topic, tp.partition), 0), first[tp])
            consumer.seek(tp, self._offsets[tp])
            consumer.resume(tp)
        self._ends = dict(last)
        self._assignments += 1
        self.watchdog.begin(asyncio.get_running_loop().time())
        log.info("assigned", partitions=len(assigned))

    def _forget(self, revoked: Sequence[TopicPartition]) -> None:
        """These partitions are somebody else's now."""
        self.lag = None
        for tp in revoked:
            self._lanes.pop(tp, None)
            self._offsets.pop(tp, None)

    async def _consume(self, consumer: AIOKafkaConsumer, stop: asyncio.Event) -> None:
        now = asyncio.get_running_loop().time
        self.watchdog.begin(now())
        while not stop.is_set():
            polled, assignments = await self._poll(consumer, stop, self._patience(consumer))
            self.kafka_fault.clear()
            self._attempt = 0
            if self._unpositioned:
                raise MustRebuild(self.fault.detail or "positions unreadable")
            for tp, records in polled.items():
                await self._work_off(consumer, tp, records, assignments)
            self._resume(consumer)
            self._measure(consumer)
            if self.lag is not None and not any(lane.failures for lane in self._lanes.values()):
                self.fault.clear()
            self.watchdog.look(consumer, now(), waiting=self.lag or 0, advanced=bool(polled), away=self.broker_away())
            await self._commit(consumer)
            await self._look(consumer)

    def _patience(self, consumer: AIOKafkaConsumer) -> int:
        if self.lag is None:
            return UNKNOWN_POLL_MS
        return QUIET_POLL_MS if self._quiet(consumer) else POLL_MS

    async def _poll(
        self, consumer: AIOKafkaConsumer, stop: asyncio.Event, patience_ms: int
    ) -> tuple[Mapping[TopicPartition, Sequence[Record]], int]:
        """What has come, and under which assignment; nothing when the time has passed or `stop` is set first.

        Raises TimeoutError when it hangs.
        """

        async def polled() -> tuple[Mapping[TopicPartition, Sequence[Record]], int]:
            found = await consumer.getmany(timeout_ms=patience_ms, max_records=SLICE_RECORDS * 6)
            return found, self._assignments  # nothing comes between: later it may be another one

        polling = asyncio.ensure_future(polled())
        stopping = asyncio.ensure_future(stop.wait())
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await asyncio.wait([polling, stopping], return_when=asyncio.FIRST_COMPLETED)
            return polling.result() if polling.done() else ({}, self._assignments)
        finally:
            polling.cancel()
            stopping.cancel()

    def _quiet(self, consumer: AIOKafkaConsumer) -> bool:
        return self.lag == 0 and not consumer.paused() and self._offsets == self._committed

    async def _work_off(
        self, consumer: AIOKafkaConsumer, tp: TopicPartition, records: Sequence[Record], assignments: int
    ) -> None:
        """Slice by slice, unless the position was sought after they were read.

        They come from where another share had come to. Ahead of a restored database, it would move the position past
        what that has not seen; so it is read again, from where the database is.
        """
        for start in range(0, len(records), SLICE_RECORDS):
            if tp not in self._lanes:  # not sought yet, or somebody else's now
                return
            if assignments != self._assignments:
                consumer.seek(tp, self._offsets[tp])
                return
            if not await self._work(consumer, tp, records[start : start + SLICE_RECORDS]):
                return

    async def _work(self, consumer: AIOKafkaConsumer, tp: TopicPartition, records: Sequence[Record]) -> bool:
        """Whether the slice was dealt with; if not, the partition is set back and paused."""
        lane = self._lanes[tp]
        done = await self._slice(tp, records, lane)
        if done == len(records):
            lane.failures = 0
            return True
        consumer.seek(tp, records[done].offset)
        consumer.pause(tp)
        lane.failures += 1
        lane.resume_at = asyncio.get_running_loop().time() + backoff(lane.failures)
        return False

    async def _slice(self, tp: TopicPartition, records: Sequence[Record], lane: _Lane) -> int:
        """How many records from the start were dealt with."""
        try:
            await self._handle(tp, records)
        except Exception as error:  # noqa: BLE001 (classified below)
            if is_passing(error):
                self._passing(error)
                return 0
        else:
            self._recovered(tp)
            return len(records)
        return await self._one_by_one(tp, records, lane)

    async def _one_by_one(self, tp: TopicPartition, records: Sequence[Record], lane: _Lane) -> int:
        for done, record in enumerate(records):
            try:
                await self._handle(tp, [record])
                self._recovered(tp)
            except Exception as error:  # noqa: BLE001 (classified here)
                if is_passing(error) or not await self._bury(tp, record, error, lane):
                    self._passing(error)
                    return done
        return len(records)

    async def _handle(self, tp: TopicPartition, records: Sequence[Record]) -> None:
        self._moved(tp, await self.delivery.handle(self._logs[tp.topic].id, tp, records))

    def _moved(self, tp: TopicPartition, offset: int) -> None:
        """Unless it became somebody else's meanwhile: a position would say that it is read."""
        if tp in self._lanes:
            self._offsets[tp] = offset

    async def _bury(self, tp: TopicPartition, record: Record, error: Exception, lane: _Lane) -> bool:
        """Whether the record is now a dead letter; False when the budget of its partition is used up."""
        # counted beside the lanes: it outlives a rebuild, or every broker blip would bury twenty more
        if self._streaks.get(tp, 0) >= DEAD_LETTER_STREAK:
            lane.stopped = True
            self.limit_fault.report(
                f"{tp.topic}/{tp.partition} stopped after {DEAD_LETTER_STREAK} dead letters in a row: {error}"[:200]
            )
            return False
        self._moved(tp, await self.delivery.bury(self._logs[tp.topic].id, tp, record, error))
        self._streaks[tp] = self._streaks.get(tp, 0) + 1
        return True

    def _recovered(self, tp: TopicPartition) -> None:
        """A record of this partition was handled, so its budget is whole again."""
        if self._streaks.pop(tp, None) and not any(lane.stopped for lane in self._lanes.values()):
            self.limit_fault.clear()

    async def _look(self, consumer: AIOKafkaConsumer) -> None:
        """Raises `MustRebuild` when a topic is another log by now, or has more partitions than were shared out."""
        now = asyncio.get_running_loop().time()
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        if change := await change_of(consumer._client, self._logs):  # noqa: SLF001 (the version is pinned)
            raise MustRebuild(change)

    def _passing(self, error: Exception) -> None:
        if self.limit_fault.since is None:
            self.fault.report(f"{type(error).__name__}: {error}"[:200])

    def _resume(self, consumer: AIOKafkaConsumer) -> None:
        now = asyncio.get_running_loop().time()
        assigned = consumer.assignment()
        for tp in consumer.paused():
            lane = self._lanes.get(tp)
            if tp in assigned and lane is not None and not lane.stopped and lane.resume_at <= now:
                consumer.resume(tp)

    def _measure(self, consumer: AIOKafkaConsumer) -> None:
        """Unknown while partitions are handed over: then nobody knows what waits, and zero would say it is read."""
        assigned = consumer.assignment()
        self.lag = None
        if not (assigned <= self._offsets.keys()):
            return
        # until a fetch is answered, the end is the one at the assignment
        ends = {tp: consumer.highwater(tp) or self._ends[tp] for tp in assigned}
        self.lag = sum(max(0, end - self._offsets[tp]) for tp, end in ends.items())
        self.lag_gauge.set(self.lag)

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        """Tells Kafka for the sake of lag tools only; the truth is in the database, so that it may fail.

        It does while the group shares out its partitions, for as long as another member takes to join.
        """
        now = asyncio.get_running_loop().time()
        offsets = {tp: offset for tp, offset in self._offsets.items() if tp in consumer.assignment()}
        if not offsets or offsets == self._committed or now - self._committed_at < COMMIT_EVERY_SECONDS:
            return
        self._committed_at = now
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                await consumer.commit(offsets)
        except (KafkaError, TimeoutError) as error:
            log.debug("not_committed", error=f"{type(error).__name__}: {error}")
            self._committed_at = now + COMMIT_AGAIN_SECONDS
            return
        self._committed = offsets
