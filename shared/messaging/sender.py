"""The Kafka client of a relay: what it sends, in which order, and how long one client is of use."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, NodeNotReadyError, NotLeaderForPartitionError

from shared.messaging.kafka import close_hard, stop_bounded
from shared.ops.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from shared.messaging.envelope import CloudEvent

    Part = Sequence[tuple[int, CloudEvent]]
    """Outbox ids and their events, for one partition, in id order."""

BATCH_BYTES = 131_072
MOST_BYTES = BATCH_BYTES * 4 - 4096
SLICE_SECONDS = 8.0
LEADERLESS_SECONDS = 3.0
CONNECTING_SECONDS = 10.0
"""What a client may take to connect again; after that it may be looking for brokers that are no more."""


class Sender:
    """Has one client at a time. The order per key comes from sending a partition's batches in turn."""

    def __init__(self, bootstrap: str, ensure_topics: Callable[[], Awaitable[object]]) -> None:
        self._bootstrap, self._ensure_topics = bootstrap, ensure_topics
        self._producer: AIOKafkaProducer | None = None
        self._leaderless_since: float | None = None
        self._failing_since: float | None = None
        self.fault = Fault("relay-kafka")

    async def send(self, parts: Mapping[tuple[str, int], Part]) -> list[int]:
        """Ids of the rows that Kafka acknowledged."""
        acknowledged: list[int] = []
        try:
            async with asyncio.timeout(SLICE_SECONDS):
                producer = await self.producer()
                outcome = await asyncio.gather(
                    *(_send_partition(producer, tp, part, acknowledged) for tp, part in parts.items()),
                    return_exceptions=True,
                )
            failures = [result for result in outcome if isinstance(result, BaseException)]
        except (KafkaError, TimeoutError, OSError) as error:
            failures = [error]
        if failures:
            await self.failed(next((error for error in failures if not _connects_again(error)), failures[0]))
        else:
            self._leaderless_since = None
            self.answered()
        return sorted(acknowledged)

    async def producer(self) -> AIOKafkaProducer:
        """The started client; raises KafkaError or OSError, with nothing left behind."""
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
            self.answered()
        return self._producer

    def answered(self) -> None:
        """Kafka is there, and this client reaches it."""
        self._failing_since = None
        self.fault.clear()

    async def failed(self, error: BaseException) -> None:
        """Says so, and drops a client that may be of no use any more."""
        now = asyncio.get_running_loop().time()
        leaderless = isinstance(error, NotLeaderForPartitionError)
        self._leaderless_since = (self._leaderless_since or now) if leaderless else None
        # a topic that was just made, or moves to another broker, has no leader for a moment: said when it lasts
        if self._leaderless_since is None or now - self._leaderless_since > LEADERLESS_SECONDS:
            self.fault.report(f"{type(error).__name__}: {error}"[:200])
        self._failing_since = self._failing_since or now
        if not _connects_again(error) or now - self._failing_since > CONNECTING_SECONDS:
            await self.drop()

    async def drop(self) -> None:
        """The next one to send gets a new client."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await stop_bounded(producer)


def _connects_again(error: BaseException) -> bool:
    """Whether a client is as good as new after it: with lost connections all the time, a new one would never start."""
    return isinstance(error, KafkaConnectionError | NodeNotReadyError)


async def _send_partition(producer: AIOKafkaProducer, tp: tuple[str, int], part: Part, acknowledged: list[int]) -> None:
    """Batches in id order; the first failure ends it, so later rows of the same key wait."""
    batch = producer.create_batch()
    ids: list[int] = []
    for row_id, event in part:
        if not _append(batch, event):
            await (await producer.send_batch(batch, tp[0], partition=tp[1]))
            acknowledged += ids
            batch, ids = producer.create_batch(), []
            if not _append(batch, event):
                msg = f"outbox row {row_id} is larger than a batch"
                raise ValueError(msg)
        ids.append(row_id)
    await (await producer.send_batch(batch, tp[0], partition=tp[1]))
    acknowledged += ids


def _append(batch: Any, event: CloudEvent) -> bool:  # noqa: ANN401 (aiokafka's BatchBuilder)
    key = event.partitionkey.encode()
    return batch.append(key=key, value=event.data, timestamp=None, headers=event.headers()) is not None
