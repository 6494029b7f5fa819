"""The Kafka client of a consumer group's member, and what it calls when its partitions change."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from aiokafka.errors import KafkaError

from shared.messaging.kafka import stop_bounded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from aiokafka.cluster import ClusterMetadata

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

    `assigned` is told of each share: it seeks the positions and resumes the partitions, which are paused until then.
    """
    client = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        group_instance_id=f"{group}-{slot}",  # a restarted member waits 0.1 s, not a session
        partition_assignment_strategy=[
            _Shares({topic: each.partitions for topic, each in logs.items()}, lambda: _join_again(client))
        ],
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=45_000,
        heartbeat_interval_ms=3_000,  # also how late the others hear that somebody joins
        max_poll_interval_ms=MOST_POLL_MS,
        metadata_max_age_ms=30_000,
        fetch_max_wait_ms=5_000,  # an idle broker is asked every five seconds; new records come at once
    )
    client.subscribe(sorted(logs), listener=_Listener(client, assigned, revoked))
    _take_with_care(client, logs)
    try:
        async with asyncio.timeout(START_SECONDS):
            await client.start()
    except BaseException:
        await stop_bounded(client)
        raise
    _tune(client)
    return client


class _Shares(RoundRobinPartitionAssignor):  # type: ignore[misc]  # aiokafka has no types
    """Shares out the partitions in turn, and tells each member between how many.

    A static member that comes back gets its old share without a new round, also when that was made while a topic had
    another number of partitions, or did not exist. It sees so and asks for a round: with other metadata, since
    whoever joins with the same gets the same share. There is one assignor, for aiokafka joins once for each, and every
    join of one member makes all others join again: with two, three processes did not come to rest in minutes.
    """

    name = "bandung-roundrobin"

    def __init__(self, partitions: Mapping[str, int], join_again: Callable[[], None]) -> None:
        self._partitions, self._join_again = partitions, join_again
        self._round = b""

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Called on the member that leads the group."""
        topics = {topic for member in members.values() for topic in member.subscription}
        told = json.dumps({topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}).encode()
        shares = super().assign(cluster, members)
        return {
            member: ConsumerProtocolMemberAssignment(share.version, share.assignment, told)
            for member, share in shares.items()
        }

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """What a member joins with."""
        return ConsumerProtocolMemberMetadata(self.version, sorted(topics), self._round)

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Raises KafkaError when a new round was of no use: whoever leads sees other partitions than there are."""
        between = json.loads(assignment.user_data or b"{}")
        if all(between.get(topic) == number for topic, number in self._partitions.items()):
            self._round = b""
            return
        if self._round:
            raise KafkaError("the group shares out other partitions than there are")
        self._round = secrets.token_bytes(4)
        self._join_again()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    def __init__(self, client: AIOKafkaConsumer, assigned: Assigned, revoked: Revoked) -> None:
        self._client, self._assigned, self._revoked = client, assigned, revoked

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        self._revoked(revoked)  # positions are in the database already

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        await self._assigned(self._client, assigned)


def _take_with_care(client: AIOKafkaConsumer, logs: Mapping[str, Log]) -> None:
    """Changes what becomes of a share, before anybody reads it (private names: the version is pinned).

    What is not there any more is left out: a topic that is not subscribed to any more would end the client, and of a
    partition that a topic made anew does not have it would ask the first offset without end. What is there stands
    still until its position is sought. By itself the client looks for positions of its own and reads from there; what
    it has read until then is of no use, and the request that is under way is answered when it has waited in vain.
    """
    subscription = client._subscription  # noqa: SLF001
    take = subscription.assign_from_subscribed

    def take_with_care(share: Iterable[TopicPartition]) -> None:
        take([tp for tp in share if tp.topic in logs and tp.partition < logs[tp.topic].partitions])
        assignment = subscription.subscription.assignment
        for tp in assignment.tps:
            assignment.state_value(tp).pause()
            assignment.state_value(tp).seek(0)

    subscription.assign_from_subscribed = take_with_care


def _join_again(client: AIOKafkaConsumer) -> None:
    """Asks for a new round, with partitions as they are now (private names: the version is pinned)."""
    client._client.force_metadata_update()  # noqa: SLF001
    client._coordinator.request_rejoin()  # noqa: SLF001


def _tune(client: AIOKafkaConsumer) -> None:
    """Two settings that the client does not offer (private names: the version is pinned).

    By default a slice that takes over 0.1 s lets the next request go out without the partitions that have records in
    the buffer, and what comes to those waits until it ends: seconds a hop, seen under load. And its loop, which is
    woken by whatever concerns it, looks around five times a second all the same.
    """
    fetcher = client._fetcher  # noqa: SLF001
    fetcher._prefetch_backoff = BUFFER_SECONDS  # noqa: SLF001
    fetcher._fetcher_timeout = LOOK_SECONDS  # noqa: SLF001
