"""The Kafka client of a consumer group's member, and what it calls when its partitions change."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from shared.messaging.kafka import stop_bounded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from shared.messaging.logs import Log

    Assigned = Callable[[AIOKafkaConsumer, Sequence[TopicPartition]], Awaitable[None]]
    Revoked = Callable[[Sequence[TopicPartition]], None]

START_SECONDS = 20.0
BUFFER_SECONDS = 60.0  # longer than any slice
LOOK_SECONDS = 2.0
MOST_POLL_MS = 300_000


async def started(
    bootstrap: str, *, group: str, slot: str, logs: Mapping[str, Log], assigned: Assigned, revoked: Revoked
) -> AIOKafkaConsumer:
    """A client that reads the topics of `logs`; raises KafkaError or TimeoutError, with nothing left behind.

    Records may be read before `assigned`, which seeks the positions, has been called and has returned.
    """
    client = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        group_instance_id=f"{group}-{slot}",  # a restarted member waits 0.1 s, not a session
        partition_assignment_strategy=[_assignor(logs), RoundRobinPartitionAssignor],
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=45_000,
        heartbeat_interval_ms=3_000,  # also how late the others hear that somebody joins
        max_poll_interval_ms=MOST_POLL_MS,
        metadata_max_age_ms=30_000,
        fetch_max_wait_ms=5_000,  # an idle broker is asked every five seconds; new records come at once
    )
    client.subscribe(sorted(logs), listener=_Listener(client, assigned, revoked))
    try:
        async with asyncio.timeout(START_SECONDS):
            await client.start()
    except BaseException:
        await stop_bounded(client)
        raise
    _tune(client)
    return client


def _assignor(logs: Mapping[str, Log]) -> type[RoundRobinPartitionAssignor]:
    """Shares out the partitions in turn; its name says between which logs and partitions.

    A static member that comes back gets its old share without a new round, also when that was made while a topic did
    not exist; unless the protocol that the group agrees on is another one by then, and its name is all that counts.
    """
    between = json.dumps({topic: [each.id, each.partitions] for topic, each in sorted(logs.items())})
    digest = hashlib.sha256(between.encode()).hexdigest()[:16]
    return type("Marked", (RoundRobinPartitionAssignor,), {"name": f"roundrobin-{digest}"})


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    def __init__(self, client: AIOKafkaConsumer, assigned: Assigned, revoked: Revoked) -> None:
        self._client, self._assigned, self._revoked = client, assigned, revoked

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        self._revoked(revoked)  # positions are in the database already

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        await self._assigned(self._client, assigned)


def _tune(client: AIOKafkaConsumer) -> None:
    """Two settings that the client does not offer (private names: the version is pinned).

    By default a slice that takes over 0.1 s lets the next request go out without the partitions that have records in
    the buffer, and what comes to those waits until it ends: seconds a hop, seen under load. And its loop, which is
    woken by whatever concerns it, looks around five times a second all the same.
    """
    fetcher = client._fetcher  # noqa: SLF001
    fetcher._prefetch_backoff = BUFFER_SECONDS  # noqa: SLF001
    fetcher._fetcher_timeout = LOOK_SECONDS  # noqa: SLF001
