"""What must happen after one service's database was set back to a backup, so that the others accept it again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.messaging.envelope import CloudEvent, NotACloudEvent
from shared.messaging.kafka import stop_bounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.service import Running

READ_SECONDS = 30.0


async def newest_epoch(running: Running) -> int:
    """The highest epoch that this service has ever published in; 0 when it has published nothing.

    Every record after an epoch went up bears it, so the last record of each partition tells. Raises KafkaError or
    TimeoutError: without this answer a second restore could use an epoch that others have seen already.
    """
    settings = running.settings
    topics = {settings.topic_prefix + event.topic for event in running.service.publishes if event.topic}
    await running.ensure_topics()
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, enable_auto_commit=False)
    try:
        async with asyncio.timeout(READ_SECONDS):
            await consumer.start()
            return max([0, *[await _epoch(consumer, tp) for tp in await _partitions(consumer, sorted(topics))]])
    finally:
        await stop_bounded(consumer)


async def _partitions(consumer: AIOKafkaConsumer, topics: Sequence[str]) -> list[TopicPartition]:
    found = []
    for topic in topics:
        await consumer.topics()  # makes the client ask for what it does not know yet
        found += [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
    consumer.assign(found)
    return found


async def _epoch(consumer: AIOKafkaConsumer, tp: TopicPartition) -> int:
    """Of the last record that is an event; compaction and strangers may have left others behind it."""
    begin = (await consumer.beginning_offsets([tp]))[tp]
    end = (await consumer.end_offsets([tp]))[tp]
    step = 1
    while end > begin:
        at = max(begin, end - step)
        consumer.seek(tp, at)
        polled = (await consumer.getmany(tp, timeout_ms=1_000)).get(tp, [])
        for record in reversed(polled):
            try:
                return int(CloudEvent.from_record(record.headers, record.value).sequence.partition("-")[0])
            except (NotACloudEvent, ValueError):
                continue
        if at == begin:
            return 0
        step *= 10
    return 0
