"""What Kafka itself does to the topics, as they are declared, when half a year has passed."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from shared.events.topics import TOPICS
from shared.local import kafka
from shared.local.parts import LocalParts
from shared.messaging.kafka import ensure_topics, stop_bounded
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.asyncio, pytest.mark.long]
DAY_MS = 24 * 3600 * 1000
HALF_A_YEAR, RECENT, NOW = 181, 13, 0
WRITTEN = [
    *[(HALF_A_YEAR, "a", n) for n in range(10)],
    *[(HALF_A_YEAR, "b", n) for n in range(10)],
    *[(RECENT, "a", n) for n in range(10, 15)],
    *[(NOW, "a", n) for n in range(15, 20)],
]
"""(days ago, key, number) of each record; such a step in time ends a segment, and Kafka looks at ended ones only."""
STILL = {
    "keep": WRITTEN,
    "delete": [record for record in WRITTEN if record[0] < HALF_A_YEAR],
    "compact": [record for record in WRITTEN if record[0] < HALF_A_YEAR or record[2] == 9],
}
"""By cleanup: all for ever; a fortnight; every event of a fortnight, and before that the last state of each key."""
IMPATIENT = """
log.retention.check.interval.ms=500
log.initial.task.delay.ms=500
log.cleaner.backoff.ms=500
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A Kafka that looks twice a second for what may go, and not every five minutes; otherwise as it always is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kafka, "_SETTINGS", kafka._SETTINGS + IMPATIENT)
        async with LocalParts(tmp_path_factory.mktemp("retention"), say=lambda _line: None) as parts:
            yield parts.kafka.bootstrap


async def written(bootstrap: str) -> None:
    """The same records on every topic."""
    now = int(time.time() * 1000)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        for topic in TOPICS:
            for days, key, number in WRITTEN:
                at = now - days * DAY_MS
                value = f"{days} {key} {number}".encode()
                await producer.send_and_wait(topic.name, value, key=key.encode(), partition=0, timestamp_ms=at)
    finally:
        await producer.stop()


async def found(bootstrap: str) -> dict[str, list[tuple[int, str, int]]]:
    """Topic -> what stands on it, in order."""
    tps = [TopicPartition(topic.name, 0) for topic in TOPICS]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    records: dict[str, list[tuple[int, str, int]]] = defaultdict(list)
    try:
        consumer.assign(tps)
        await consumer.seek_to_beginning(*tps)
        ends = await consumer.end_offsets(tps)
        while any([await consumer.position(tp) < ends[tp] for tp in tps]):
            for tp, polled in (await consumer.getmany(timeout_ms=200)).items():
                for record in polled:
                    days, key, number = record.value.decode().split()
                    records[tp.topic].append((int(days), key, int(number)))
    finally:
        await stop_bounded(consumer)
    return records


async def test_half_a_year_later_every_topic_holds_what_was_promised(bootstrap: str) -> None:
    await ensure_topics(bootstrap, TOPICS, prefix="", replication=1)
    await written(bootstrap)

    async def as_promised() -> bool:
        records = await found(bootstrap)
        for topic in TOPICS:
            assert records[topic.name] == STILL[topic.cleanup], f"{topic.name} ({topic.cleanup})"
        return True

    await eventually(as_promised, 90)
    kinds = {topic.cleanup for topic in TOPICS}
    assert kinds == set(STILL)
    print("; ".join(f"{kind}: {len(STILL[kind])} of {len(WRITTEN)} left" for kind in sorted(kinds)))
