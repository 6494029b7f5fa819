"""What an operator or a disk can do to Kafka."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

from aiokafka.admin import NewPartitions

from shared.messaging.kafka import admin

if TYPE_CHECKING:
    from tests.faults.installation import Installation


async def cluster_id(system: Installation) -> str:
    """The identity of the cluster, which a wiped broker has not kept."""
    async with admin(system.parts.kafka.bootstrap) as client:
        return str((await client.describe_cluster())["cluster_id"])


async def lose_the_disk(system: Installation) -> tuple[str, str]:
    """Kill, wipe, start; the cluster ids before and after."""
    before = await cluster_id(system)
    await system.kill_part("kafka")
    await asyncio.to_thread(shutil.rmtree, system.home / "parts" / "kafka")
    await system.start_part("kafka")
    return before, await cluster_id(system)


async def delete_topic(system: Installation, topic: str) -> None:
    """With everything in it."""
    async with admin(system.parts.kafka.bootstrap) as client:
        response = await client.delete_topics([topic])
    assert response.topic_error_codes == [(topic, 0)], response


async def add_partitions(system: Installation, topic: str, total: int) -> int:
    """So many in the end; how many there are now."""
    async with admin(system.parts.kafka.bootstrap) as client:
        await client.create_partitions({topic: NewPartitions(total)})
        [described] = await client.describe_topics([topic])
    return len(described["partitions"])
