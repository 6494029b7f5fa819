"""`deploy/examples/partner/consume_kafka.py` on the running system's Kafka: killed, told twice, told nonsense."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.e2e.world import World
from tests.support.partner import Program, environment
from tests.support.system import Record, System
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio


class Consumer(Program):
    """The example with a group and a database of its own."""

    def __init__(self, system: System, folder: Path, topics: str = "registry.needs,matching.matches") -> None:
        env = environment(system, system.anonymous)
        super().__init__("consume_kafka.py", folder, env | {"GROUP": f"partner-{uuid4()}", "TOPICS": topics})

    def query(self, sql: str, *values: str) -> list[Any]:
        """Rows of the partner's database."""
        connection = sqlite3.connect(self.folder / "kafka.sqlite")
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def has(self, subject: str) -> bool:
        """Whether it holds this state; read only once the program has made its tables."""
        return "Consuming" in self.errors and bool(self.query("select 1 from state where subject = ?", subject))

    def handled(self) -> list[str]:
        """The places of all records that had an effect."""
        return [f"{line['topic']}/{line['partition']}@{line['offset']}" for line in self.of("outcome", "handled")]


async def test_needs_and_matches_arrive_and_unknown_types_are_skipped(
    system: System, world: World, tmp_path: Path
) -> None:
    pair = await world.proposed()
    await pair.interested()
    consumer = Consumer(system, tmp_path / "partner")
    async with consumer:
        await eventually(lambda: consumer.has(f"matches/{pair.match['id']}"))
        await consumer.saying("outcome", "skipped")  # MatchInterestExpressed
        await eventually(lambda: consumer.has(f"needs/{pair.need['id']}"))
        assert await consumer.end() == 0


async def test_killed_again_and_again_it_handles_each_record_once(system: System, world: World, tmp_path: Path) -> None:
    member = await world.member()
    consumer = Consumer(system, tmp_path / "partner", "registry.needs")
    needs = []
    for _ in range(4):
        needs.append(await member.need())
        async with consumer:
            await eventually(lambda: consumer.has(f"needs/{needs[-1]['id']}"))
            await consumer.end(kill=True)  # somewhere between handling and committing
    async with consumer:
        last = await member.need()
        await eventually(lambda: consumer.has(f"needs/{last['id']}"))
    assert len(consumer.handled()) == len(set(consumer.handled())) > 4


async def test_a_group_that_reads_all_again_applies_nothing_twice(system: System, world: World, tmp_path: Path) -> None:
    member = await world.member()
    need = await member.need()
    consumer = Consumer(system, tmp_path / "partner", "registry.needs")
    async with consumer:
        await eventually(lambda: consumer.has(f"needs/{need['id']}"))
    before = consumer.query("select * from applied")
    consumer.env["GROUP"] = f"partner-{uuid4()}"  # as after the loss of the offsets
    async with consumer:
        other = await member.need()
        await eventually(lambda: consumer.has(f"needs/{other['id']}"))
        stale = await consumer.saying("outcome", "stale", len(before))
    assert len(stale) >= len(before) > 0
    assert len(consumer.handled()) == len(set(consumer.handled()))


async def test_what_is_no_cloud_event_is_passed_over(system: System, world: World, tmp_path: Path) -> None:
    topic = await _topic_of_its_own(system)
    consumer = Consumer(system, tmp_path / "partner", topic)
    key = str(uuid4()).encode()
    member = await world.member()
    need = await member.need()
    [record] = await _posted(system, need["id"])
    async with consumer:
        await system.produce(topic, b"\x00\xff", key=key, headers=[])
        await system.produce(topic, b"{}", key=key, headers=[("ce_type", b"org.bandung.NeedEaten.v1")])
        headers = [(name, value.encode()) for name, value in record.headers.items()]
        await system.produce(topic, record.value, key=key, headers=headers)
        await eventually(lambda: consumer.has(f"needs/{need['id']}"))
    assert len(consumer.of("outcome", "skipped")) >= 2
    assert consumer.query("select sequence from applied where key = ?", key.decode()) == [(record.sequence,)]


async def _topic_of_its_own(system: System) -> str:
    """What no service and no other test reads."""
    topic = f"partner.{uuid4()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=system.local["kafka"])
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()
    return topic


async def _posted(system: System, need_id: str) -> list[Record]:
    async def there() -> list[Record]:
        return [r for r in await system.records("registry.needs", thread=need_id) if r.type == "NeedPosted"]

    return await eventually(there)
