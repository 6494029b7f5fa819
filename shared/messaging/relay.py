"""The relay: takes unsent outbox rows to Kafka, in order per key, and marks exactly what was acknowledged.

One relay is active per service: it holds an advisory lock on a connection of its own, and marks rows through
that same connection, so that a session that lost the lock cannot mark. Rows are found by *unsent*, never by a
cursor, and marked by the list of acknowledged ids, never by a range (a range lost 13 % in a measurement).
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka.errors import KafkaError

from shared.data.database import direct_connection, is_passing
from shared.messaging.kafka import partition_of
from shared.messaging.published import PublishedLogs
from shared.messaging.sender import MOST_BYTES, SLICE_SECONDS, Sender
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
LOOK_BACK_SLICES = 16
IDLE_SECONDS = (0.025, 5.0)  # woken by whoever writes; the long wait is for who ended before it could wake us
TROUBLE_SECONDS = 1.0
AGAIN_SECONDS = (0.1, 0.9)
"""After a failure: never the same time, or faults that come in a rhythm could meet every attempt."""
LOOK_SECONDS = 10.0
FOLLOW_SECONDS = 1.0
KNOCK_SECONDS = 0.025  # between two knocks, however much is written here
LEADER_LOCK = 7_236_912  # of relay and scheduler; each service has a database of its own

_UNSENT = """
    select id, event_id, topic, key, sequence, type, subject, time, correlation, causation, traceparent, value
    from outbox where published_at is null and id > $1 order by id limit $2
"""
_CHANNEL = "outbox"
_KNOCK = f"notify {_CHANNEL}"
_MARK = "update outbox set published_at = now() where id = any($1::bigint[])"

Row = Any  # asyncpg.Record


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
        self._url, self._source = database_url, source
        self._prefix, self._partitions = prefix, partitions
        self._metrics = metrics
        self._logs = PublishedLogs(publishes, prefix)
        self._blocked: dict[tuple[str, str], str] = {}
        self._woken = asyncio.Event()
        self.leading = asyncio.Event()
        self.sender = Sender(bootstrap, ensure_topics)
        self.kafka_fault = self.sender.fault
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
        await self.sender.drop()

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
            await self._take_breath(stop)
            return 0
        for _ in range(LOOK_BACK_SLICES):
            if not rows or stop.is_set():
                break
            reach("relay.read")
            parts = self._split(rows)
            sending = asyncio.create_task(self.sender.send(parts))
            try:
                # a lower id that commits later belongs to another key and is met when we look back to zero
                ahead = await connection.fetch(_UNSENT, rows[-1]["id"], SLICE_ROWS) if len(rows) == SLICE_ROWS else []
            finally:
                acknowledged = await sending
            done += await self._mark(connection, acknowledged)
            if len(acknowledged) < sum(map(len, parts.values())):
                self._logs.forget()
                await self._take_breath(stop)
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
                producer = await self.sender.producer()
            asked_at = self._logs.asked_at
            changed = await self._logs.are_new(connection, producer.client)
        except (KafkaError, TimeoutError, OSError) as error:
            await self.sender.failed(error)
            self._logs.forget()
            return False
        if self._logs.asked_at > asked_at:
            self.sender.answered()
        return not changed

    def _split(self, rows: Sequence[Row]) -> dict[tuple[str, int], list[tuple[int, CloudEvent]]]:
        """What can be sent, by partition. A row that can never be holds up its own key alone."""
        parts: dict[tuple[str, int], list[tuple[int, CloudEvent]]] = {}
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
            parts.setdefault((self._prefix + row["topic"], partition), []).append((row["id"], event))
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

    async def _take_breath(self, stop: asyncio.Event) -> None:
        await self._pause(random.uniform(*AGAIN_SECONDS), stop)  # noqa: S311 (jitter)

    async def _pause(self, seconds: float, stop: asyncio.Event) -> bool:
        """Waits for a wake, for `stop`, or for the time to pass; whether it was a wake, which ends one pause only."""
        await wait_any(seconds, self._woken, stop)
        woken = self._woken.is_set()
        self._woken.clear()
        return woken
