"""The relay: takes unsent outbox rows to Kafka, in order per key, and marks exactly what was acknowledged.

One relay is active per service: it holds an advisory lock on a connection of its own, and marks rows through
that same connection, so that a session that lost the lock cannot mark. Rows are found by *unsent*, never by a
cursor, and marked by the list of acknowledged ids, never by a range (a range lost 13 % in a measurement).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, NotLeaderForPartitionError

from shared.data.database import direct_connection, is_passing
from shared.messaging.kafka import close_hard, partition_of, stop_bounded
from shared.messaging.published import PublishedLogs
from shared.ops.failpoints import reach
from shared.ops.faults import Fault
from shared.ops.waiting import wait_any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    import asyncpg

    from shared.messaging.envelope import CloudEvent
    from shared.messaging.outbox import Source
    from shared.ops.telemetry import Metrics

log = structlog.get_logger(__name__)

SLICE_ROWS = 500
BATCH_BYTES = 131_072
SLICE_SECONDS = 8.0
LOOK_BACK_SLICES = 16
IDLE_SECONDS = (0.025, 5.0)  # woken by whoever writes; the long wait is for who ended before it could wake us
TROUBLE_SECONDS = 1.0
LOOK_SECONDS = 10.0
MOST_BYTES = BATCH_BYTES * 4 - 4096
FOLLOW_SECONDS = 1.0
KNOCK_SECONDS = 0.025  # between two knocks, however much is written here
LEADERLESS_SECONDS = 3.0
LEADER_LOCK = 7_236_912  # of relay and scheduler; each service has a database of its own

_UNSENT = """
    select id, event_id, topic, key, sequence, type, subject, time, correlation, causation, traceparent, value
    from outbox where published_at is null and id > $1 order by id limit $2
"""
_CHANNEL = "outbox"
_KNOCK = f"notify {_CHANNEL}"
_MARK = "update outbox set published_at = now() where id = any($1::bigint[])"

Row = Any  # asyncpg.Record


def _append(batch: Any, event: CloudEvent) -> bool:  # noqa: ANN401 (aiokafka's BatchBuilder)
    key = event.partitionkey.encode()
    return batch.append(key=key, value=event.data, timestamp=None, headers=event.headers()) is not None


class Relay:
    """Runs for the life of the service; `leading` is set while this process holds the lock."""

    def __init__(
        self,
        *,
        database_url: str,
        bootstrap: str,
        source: Source,
        prefix: str,
        partitions: Mapping[str, int],
        ensure_topics: Callable[[], Awaitable[object]],
        metrics: Metrics,
        publishes: Collection[str],
    ) -> None:
        self._url, self._bootstrap, self._source = database_url, bootstrap, source
        self._prefix, self._partitions, self._ensure_topics = prefix, partitions, ensure_topics
        self._metrics = metrics
        self._logs = PublishedLogs(publishes, prefix)
        self._blocked: dict[tuple[str, str], str] = {}
        self._producer: AIOKafkaProducer | None = None
        self._leaderless_since: float | None = None
        self._woken = asyncio.Event()
        self.leading = asyncio.Event()
        self.kafka_fault = Fault("relay-kafka")
        self.database_fault = Fault("relay")
        self.row_fault = Fault("outbox-row")

    def wake(self) -> None:
        """A transaction with events has committed in this process."""
        self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Leads whenever it can, until `stop` is set; never raises for a fault of Kafka or PostgreSQL."""
        while not stop.is_set():
            try:
                async with direct_connection(self._url, "relay") as connection:
                    await self._lead(connection, stop)
            except Exception as error:
                if not is_passing(error):
                    log.exception("relay_failed")
                self.database_fault.report(f"{type(error).__name__}: {error}"[:200])
                await wait_any(1.0, stop)  # a wake meanwhile is kept for whoever leads then
        await self._drop_producer()

    async def _lead(self, connection: asyncpg.Connection, stop: asyncio.Event) -> None:
        while not await connection.fetchval("select pg_try_advisory_lock($1)", LEADER_LOCK):
            self.database_fault.clear()
            await self._follow(connection, stop)
            if stop.is_set():
                return
        self.database_fault.clear()
        self.leading.set()
        try:
            await connection.add_listener(_CHANNEL, lambda *_: self.wake())
            await self._publish_until(connection, stop)
        finally:
            self.leading.clear()  # at once: somebody else may lead from now on

    async def _follow(self, connection: asyncpg.Connection, stop: asyncio.Event) -> None:
        """For a second, in which the relay that leads is told of what this process commits."""
        until = asyncio.get_running_loop().time() + FOLLOW_SECONDS
        while not stop.is_set() and (left := until - asyncio.get_running_loop().time()) > 0:
            if await self._pause(left, stop):
                await connection.execute(_KNOCK)
                await wait_any(KNOCK_SECONDS, stop)

    async def _publish_until(self, connection: asyncpg.Connection, stop: asyncio.Event) -> None:
        idle, look_at = IDLE_SECONDS[0], 0.0
        while not stop.is_set():
            self._woken.clear()
            if await self._publish_backlog(connection, stop):
                idle = IDLE_SECONDS[0]
                continue
            now = asyncio.get_running_loop().time()
            if now > look_at:  # also when nothing is written, or what was lost would stay lost until then
                look_at = now + LOOK_SECONDS
                if not await self._same_logs(connection):
                    continue
            woken = await self._pause(idle, stop)
            longest = TROUBLE_SECONDS if self.kafka_fault.since else IDLE_SECONDS[1]
            idle = IDLE_SECONDS[0] if woken else min(idle * 2, longest)

    async def _publish_backlog(self, connection: asyncpg.Connection, stop: asyncio.Event) -> int:
        """Slices from the oldest unsent row on; reads the next slice while Kafka acknowledges this one."""
        done = 0
        self._blocked.clear()
        rows = await connection.fetch(_UNSENT, 0, SLICE_ROWS)
        if rows and not await self._same_logs(connection):
            await self._pause(0.5, stop)
            return 0
        for _ in range(LOOK_BACK_SLICES):
            if not rows or stop.is_set():
                break
            reach("relay.read")
            parts = self._split(rows)
            sending = asyncio.create_task(self._send(parts))
            try:
                # a lower id that commits later belongs to another key and is met when we look back to zero
                ahead = await connection.fetch(_UNSENT, rows[-1]["id"], SLICE_ROWS) if len(rows) == SLICE_ROWS else []
            finally:
                acknowledged = await sending
            done += await self._mark(connection, acknowledged)
            if len(acknowledged) < sum(map(len, parts.values())):
                await self._pause(0.5, stop)
                break
            rows = ahead
        self._say_blocked()
        return done

    async def _mark(self, connection: asyncpg.Connection, acknowledged: list[int]) -> int:
        """How many rows were marked: none when their log may be gone already, then they are sent again."""
        if not acknowledged or not await self._same_logs(connection):
            return 0
        reach("relay.acknowledged")
        await connection.execute(_MARK, acknowledged)
        reach("relay.marked")
        self._metrics.relayed.inc(len(acknowledged))
        return len(acknowledged)

    async def _same_logs(self, connection: asyncpg.Connection) -> bool:
        """Whether Kafka answers and is the one that was published to before."""
        try:
            async with asyncio.timeout(SLICE_SECONDS):
                producer = await self._connected()
            changed = await self._logs.are_new(connection, producer.client)
        except (KafkaError, TimeoutError, OSError) as error:
            await self._failed(error)
            return False
        self.kafka_fault.clear()
        return not changed

    async def _send(self, parts: dict[tuple[str, int], list[tuple[Row, CloudEvent]]]) -> list[int]:
        """Ids of the rows that Kafka acknowledged; after any error the producer is replaced."""
        acknowledged: list[int] = []
        try:
            async with asyncio.timeout(SLICE_SECONDS):
                producer = await self._connected()
                outcome = await asyncio.gather(
                    *(self._send_partition(producer, tp, part, acknowledged) for tp, part in parts.items()),
                    return_exceptions=True,
                )
            failures = [result for result in outcome if isinstance(result, BaseException)]
        except (KafkaError, TimeoutError, OSError) as error:
            failures = [error]
        if failures:
            await self._failed(failures[0])
        else:
            self._leaderless_since = None
            self.kafka_fault.clear()
        return sorted(acknowledged)

    async def _failed(self, error: BaseException) -> None:
        now = asyncio.get_running_loop().time()
        leaderless = isinstance(error, NotLeaderForPartitionError)
        self._leaderless_since = (self._leaderless_since or now) if leaderless else None
        # a topic that was just made, or moves to another broker, has no leader for a moment: said when it lasts
        if self._leaderless_since is None or now - self._leaderless_since > LEADERLESS_SECONDS:
            self.kafka_fault.report(f"{type(error).__name__}: {error}"[:200])
        await self._drop_producer()

    def _split(self, rows: Sequence[Row]) -> dict[tuple[str, int], list[tuple[Row, CloudEvent]]]:
        """What can be sent, by partition. A row that can never be holds up its own key alone."""
        parts: dict[tuple[str, int], list[tuple[Row, CloudEvent]]] = {}
        for row in rows:
            key = (row["topic"], row["key"])
            if key in self._blocked:
                continue
            try:
                event = self._source.cloud_event(row)
                self._refuse_oversized(event)
                # the declared number, so that a key stays where it is when an operator adds partitions
                partition = partition_of(row["key"].encode(), self._partitions[row["topic"]])
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                self._blocked[key] = f"row {row['id']} ({row['type']}) cannot be sent: {type(error).__name__} {error}"
                continue
            parts.setdefault((self._prefix + row["topic"], partition), []).append((row, event))
        return parts

    @staticmethod
    def _refuse_oversized(event: CloudEvent) -> None:
        size = len(event.data) + sum(len(name) + len(value) for name, value in event.headers())
        if size > MOST_BYTES:
            raise ValueError(f"{size} bytes")

    def _say_blocked(self) -> None:
        if self._blocked:
            self.row_fault.report(f"{len(self._blocked)} keys wait: {next(iter(self._blocked.values()))}"[:200])
        else:
            self.row_fault.clear()

    async def _send_partition(
        self,
        producer: AIOKafkaProducer,
        tp: tuple[str, int],
        part: Sequence[tuple[Row, CloudEvent]],
        acknowledged: list[int],
    ) -> None:
        """Batches in id order; the first failure ends it, so later rows of the same key wait."""
        batch = producer.create_batch()
        ids: list[int] = []
        for row, event in part:
            if not _append(batch, event):
                await (await producer.send_batch(batch, tp[0], partition=tp[1]))
                acknowledged += ids
                batch, ids = producer.create_batch(), []
                if not _append(batch, event):
                    msg = f"outbox row {row['id']} is larger than a batch"
                    raise ValueError(msg)
            ids.append(row["id"])
        await (await producer.send_batch(batch, tp[0], partition=tp[1]))
        acknowledged += ids

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            await self._ensure_topics()
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                acks="all",
                # an idempotent one that outlives a wiped broker is acknowledged without a write
                enable_idempotence=False,
                linger_ms=0,
                max_batch_size=BATCH_BYTES * 4,
                request_timeout_ms=30_000,
            )
            try:
                await producer.start()
            except BaseException:
                await close_hard(producer)
                raise
            # no second attempt of its own (private name: the version is pinned): it would not notice a new log
            producer._message_accumulator._batch_ttl = 0  # noqa: SLF001
            self._producer = producer
        return self._producer

    async def _drop_producer(self) -> None:
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await stop_bounded(producer)

    async def _pause(self, seconds: float, stop: asyncio.Event) -> bool:
        """Waits for a wake, for `stop`, or for the time to pass; whether it was a wake, which ends one pause only."""
        await wait_any(seconds, self._woken, stop)
        woken = self._woken.is_set()
        self._woken.clear()
        return woken
