"""Reading what stands on Kafka, and writing as another service would."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from shared.events.topics import TOPICS
from shared.messaging.envelope import CloudEvent, Event, short
from shared.messaging.kafka import admin, ensure_topics, partition_of, stop_bounded
from shared.ops.clock import Clock
from shared.ops.ids import new_id
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

PARTITIONS = {topic.name: topic.partitions for topic in TOPICS}


async def read_topic(bootstrap: str, topic: str) -> list[CloudEvent]:
    """Every record of a topic from its beginning to its present end, in the order of each partition."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        tps = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        ends = await consumer.end_offsets(tps)
        events: list[CloudEvent] = []
        for tp in tps:
            await consumer.seek_to_beginning(tp)
        while any([await consumer.position(tp) < ends[tp] for tp in tps]):
            polled = await consumer.getmany(timeout_ms=200)
            events += [CloudEvent.from_record(r.headers, r.value) for rs in polled.values() for r in rs]
        return events
    finally:
        await stop_bounded(consumer)


async def end_offsets(bootstrap: str, topic: str) -> dict[int, int]:
    """Where each partition of a topic ends at present."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        tps = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        return {tp.partition: end for tp, end in (await consumer.end_offsets(tps)).items()}
    finally:
        await stop_bounded(consumer)


def types(events: Iterable[CloudEvent]) -> list[str]:
    """`["NeedPosted", ...]`."""
    return [short(event.type) for event in events]


class Foreign:
    """Publishes events of services that do not run in this test, as their relays would."""

    def __init__(self, bootstrap: str, prefix: str, instance: str = "test", *, cleans: bool = False) -> None:
        self._cleans = cleans
        self._bootstrap, self._prefix, self._instance = bootstrap, prefix, instance
        self._sequences: dict[tuple[str, str], int] = defaultdict(int)
        self.sent: set[UUID] = set()
        self._clock = Clock()

    async def __aenter__(self) -> Self:
        await eventually(self._made_topics)
        self._producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks="all")
        await self._producer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._producer.stop()
        if self._cleans:
            # thousands of left-over partitions would slow down the broker that all tests share; a few harm nobody
            with contextlib.suppress(KafkaError, TimeoutError):
                async with admin(self._bootstrap) as client:
                    await client.delete_topics([self._prefix + topic.name for topic in TOPICS])

    async def _made_topics(self) -> bool:
        """A service tries for ever; so does this, for as long as a test may wait."""
        with contextlib.suppress(KafkaError, TimeoutError):
            return bool(await ensure_topics(self._bootstrap, TOPICS, prefix=self._prefix, replication=1))
        return False

    async def send(self, event: Event, **values: Any) -> CloudEvent:
        """One record, acknowledged; `values` as in `record`."""
        record = self.record(event, **values)
        await self.send_record(event.topic, record)
        return record

    def record(
        self,
        event: Event,
        *,
        correlation: UUID | str | None = None,
        causation: UUID | None = None,
        sequence: int | None = None,
        event_id: UUID | None = None,
    ) -> CloudEvent:
        """An event as it stands on Kafka. `sequence` goes up by itself per topic and key."""
        key = str(event.key())
        if sequence is None:
            self._sequences[event.topic, key] += 1
            sequence = self._sequences[event.topic, key]
        service = event.topic.partition(".")[0]
        return CloudEvent(
            id=event_id or new_id(),
            source=f"urn:bandung:{self._instance}:{service}",
            type=event.wire,
            subject=event.subject(),
            time=self._clock.now(),
            sequence=f"0001-{sequence:010d}",
            partitionkey=key,
            correlationid=str(correlation or event.correlation()),
            causationid=str(causation) if causation else None,
            dataschema=f"http://127.0.0.1/schemas/{event.short_name()}/1",
            traceparent=None,
            data=event.model_dump_json().encode(),
        )

    async def send_record(self, topic: str, record: CloudEvent) -> None:
        """A record as it is, e.g. a second time."""
        self.sent.add(record.id)
        partition = partition_of(record.partitionkey.encode(), PARTITIONS[topic])
        await self._producer.send_and_wait(
            self._prefix + topic,
            record.data,
            key=record.partitionkey.encode(),
            headers=record.headers(),
            partition=partition,
        )

    async def send_bytes(
        self, topic: str, value: bytes | None, *, key: bytes = b"k", headers: list[tuple[str, bytes]] | None = None
    ) -> None:
        """Anything at all."""
        async with asyncio.timeout(30):
            await self._producer.send_and_wait(
                self._prefix + topic,
                value,
                key=key,
                headers=headers or [],
                partition=partition_of(key, PARTITIONS[topic]),
            )
