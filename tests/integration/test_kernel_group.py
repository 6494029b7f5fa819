"""The consumer group of a service: who reads which partitions, on real Kafka."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from aiokafka.admin import NewPartitions, NewTopic
from aiokafka.errors import KafkaError

from shared.data.database import direct_connection
from shared.messaging import consumer
from shared.messaging.kafka import admin, stop_bounded
from shared.messaging.logs import Log
from shared.messaging.subscription import _Shares, started
from tests.support.probe import TOPIC, Probe, probe_database, running_probe
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiokafka import AIOKafkaConsumer, TopicPartition
    from aiokafka.admin import AIOKafkaAdminClient

    from tests.support.parts import Parts


SOON_SECONDS = 20.0
"""Some heartbeats (3 s each): a member hears in one of them that another has come."""


@pytest.mark.asyncio
async def test_processes_that_start_together_share_all_partitions_soon(parts: Parts) -> None:
    url, prefix = await probe_database(parts), f"r{uuid4().hex[:8]}."
    async with AsyncExitStack() as stack:
        probes = await asyncio.gather(
            *(stack.enter_async_context(running_probe(parts, url=url, prefix=prefix, replica=str(n))) for n in range(4))
        )
        assert await eventually(lambda: shared_out(probes), SOON_SECONDS)


@pytest.mark.asyncio
async def test_what_waits_is_known_as_soon_as_the_database_has_told_where_to_begin(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`bandung up` waits for that; so the consumer looks again at once, also when its first look came too soon."""
    monkeypatch.setattr(consumer, "POLL_MS", 60_000)
    url = await probe_database(parts)
    async with AsyncExitStack() as stack:
        async with direct_connection(url, "holds") as holds, holds.transaction():
            await holds.execute("lock table consumer_positions")
            probe = await stack.enter_async_context(running_probe(parts, url=url))
            await eventually(lambda: probe.running.consumer._looked_at > 0)
            assert probe.running.consumer.lag is None
        assert await eventually(lambda: probe.running.consumer.lag == 0, 10)


def shared_out(probes: Sequence[Probe]) -> bool:
    """Everyone knows what waits in its partitions, and nothing is read twice or by nobody."""
    shares = [set(probe.running.consumer._offsets) for probe in probes]
    known = all(probe.running.consumer.lag == 0 for probe in probes)
    return known and sum(map(len, shares)) == len(set().union(*shares)) == TOPIC.partitions


async def assigned(_client: AIOKafkaConsumer, _partitions: Sequence[TopicPartition]) -> None:
    await asyncio.sleep(0)


async def member(parts: Parts, group: str, **topics: int) -> AIOKafkaConsumer:
    """The same member each time, and the last one never left."""
    logs = {topic: Log("a/b", partitions) for topic, partitions in topics.items()}
    return await started(
        parts.bootstrap, group=group, slot="0", logs=logs, assigned=assigned, revoked=lambda _partitions: None
    )


async def reads(client: AIOKafkaConsumer, number: int) -> bool:
    await client.getmany(timeout_ms=0)
    return len(client.assignment()) == number


CHANGES = {
    "another topic": (2, 3),
    "more partitions": (4,),
    "fewer partitions": (1,),
    "nothing": (2,),
}
"""Partitions of the first topic, and of the second, by the time the member comes back."""


async def is_made(client: AIOKafkaAdminClient, topic: NewTopic) -> bool:
    answer = await client.create_topics([topic])
    return not any(code for _, code, *_ in answer.topic_errors)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.asyncio
async def test_a_member_that_comes_back_reads_what_there_is_by_then(parts: Parts, change: str) -> None:
    group = f"g{uuid4().hex[:8]}"
    first, second = f"{group}.first", f"{group}.second"
    async with admin(parts.bootstrap) as client:
        await client.create_topics([NewTopic(first, 2, 1), NewTopic(second, 3, 1)])
        old = await member(parts, group, **{first: 2})
        assert await eventually(lambda: reads(old, 2))
        assert old._coordinator.generation == 1, "it joined more than once, and each join is a round for all"
        await stop_bounded(old)
        expected = CHANGES[change]
        if change == "more partitions":
            await client.create_partitions({first: NewPartitions(4)})
        if change == "fewer partitions":
            await client.delete_topics([first])
            await eventually(lambda: is_made(client, NewTopic(first, 1, 1)))
        new = await member(parts, group, **dict(zip((first, second), expected, strict=False)))
        try:
            assert await eventually(lambda: reads(new, sum(expected)), SOON_SECONDS)
        finally:
            await stop_bounded(new)
            await client.delete_topics([first, second])


@pytest.mark.asyncio
async def test_a_member_that_comes_back_for_fewer_topics_reads_those(parts: Parts) -> None:
    group = f"g{uuid4().hex[:8]}"
    first, second = f"{group}.first", f"{group}.second"
    async with admin(parts.bootstrap) as client:
        await client.create_topics([NewTopic(first, 2, 1), NewTopic(second, 3, 1)])
        old = await member(parts, group, **{first: 2, second: 3})
        assert await eventually(lambda: reads(old, 5))
        await stop_bounded(old)
        new = await member(parts, group, **{first: 2})
        try:
            assert await eventually(lambda: reads(new, 2), SOON_SECONDS)
        finally:
            await stop_bounded(new)
            await client.delete_topics([first, second])


def test_a_share_of_too_few_partitions_is_refused_once_and_then_an_error() -> None:
    asked: list[None] = []
    shares = _Shares({"t": 3}, lambda: asked.append(None))
    joined = shares.metadata(["t"])
    cluster = Cluster({"t": 2})
    [share] = shares.assign(cluster, {"m": joined}).values()
    assert share.assignment == [("t", [0, 1])]
    shares.on_assignment(share)
    assert len(asked) == 1
    assert shares.metadata(["t"]).user_data != joined.user_data, "or Kafka would give the same share again"
    with pytest.raises(KafkaError, match="other partitions"):
        shares.on_assignment(share)
    [share] = shares.assign(Cluster({"t": 3}), {"m": joined}).values()
    shares.on_assignment(share)
    assert len(asked) == 1


class Cluster:
    """Partitions as Kafka would tell of them."""

    def __init__(self, partitions: dict[str, int]) -> None:
        self._partitions = partitions

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(self._partitions[topic]))
