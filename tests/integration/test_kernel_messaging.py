"""Outbox, relay, consumer, inbox and dead letters on real PostgreSQL and Kafka."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from sqlalchemy import text

from shared.data.database import direct_connection
from shared.messaging.envelope import CloudEvent
from shared.messaging.kafka import admin, close_hard, partition_of, stop_bounded
from tests.support.kafka import read_topic
from tests.support.probe import TOPIC, Heard, Probe, probe_database, running_probe
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio


async def make(probe: Probe, title: str, number: int = 1) -> str:
    owner = probe.as_owner()
    thing = (await probe.client.post("/things", json={"title": title}, headers=owner)).json()
    for n in range(1, number):
        path = f"/things/{thing['id']}/rename"
        await probe.client.post(path, json={"title": f"{title} {n}"}, headers=owner | {"if-match": "*"})
    return str(thing["id"])


async def records(parts: Parts, probe: Probe) -> list[CloudEvent]:
    return await read_topic(parts.bootstrap, probe.running.settings.topic_prefix + TOPIC.name)


async def heard(probe: Probe, number: int) -> bool:
    return await probe.count(Heard) == number


async def test_each_event_arrives_once_in_order_with_all_its_headers(parts: Parts) -> None:
    async with running_probe(parts) as probe:
        ids = await asyncio.gather(*(make(probe, f"thing {n}", 5) for n in range(8)))
        await eventually(lambda: heard(probe, 40))
        on_kafka = await records(parts, probe)
        assert len({event.id for event in on_kafka}) == len(on_kafka) == 40
        for thing in ids:
            mine = [event for event in on_kafka if event.partitionkey == thing]
            assert [event.sequence for event in mine] == [f"0001-{n:010d}" for n in range(1, 6)]
            assert {event.correlationid for event in mine} == {thing}
            assert {event.source for event in mine} == {"urn:bandung:test:probe"}
            assert all(event.dataschema.endswith("/schemas/ThingMade/1") for event in mine)
            assert all(event.causationid is None for event in mine)
        await eventually(lambda: all_sent(probe))


async def all_sent(probe: Probe) -> bool:
    """Whether the service says so; a record may be heard before the relay has marked it as sent."""
    ready = (await probe.client.get("/readyz")).json()
    assert ready["status"] == "ready", ready
    return bool(ready["checks"]["outbox"]["unsent"] == 0)


async def test_the_trace_of_a_request_travels_in_its_event(parts: Parts) -> None:
    async with running_probe(parts) as probe:
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        headers = probe.as_owner() | {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
        await probe.client.post("/things", json={"title": "traced"}, headers=headers)
        await eventually(lambda: heard(probe, 1))
        [event] = await records(parts, probe)
        assert event.traceparent is not None
        assert event.traceparent.split("-")[1] == trace


async def test_a_record_delivered_again_has_no_second_effect(parts: Parts) -> None:
    async with running_probe(parts) as probe:
        thing = await make(probe, "once")
        await eventually(lambda: heard(probe, 1))
        [event] = await records(parts, probe)
        await produce(parts, probe, event)
        await rename(probe, thing)  # behind it in the same partition
        await eventually(lambda: heard(probe, 2))
        told = await probe.rows("select sequence from heard order by ctid")
        assert [row.sequence for row in told] == [f"0001-{n:010d}" for n in (1, 2)]
        assert not await probe.rows("select * from dead_letter")
        assert len(await records(parts, probe)) == 3


async def test_a_partition_whose_records_were_in_the_buffer_gets_its_next_at_once(parts: Parts) -> None:
    async with running_probe(parts) as probe:
        things = [await make(probe, "the consumer runs")]
        await eventually(lambda: heard(probe, 1))
        async with probe.running.database.background_session() as session:
            await session.execute(text("lock table heard"))  # the slice of the next thing does not get on
            things.append(await make(probe, "is not done with"))
            while _partition(things[-1]) == _partition(things[1]):
                things.append(await make(probe, "waits in the buffer"))
            await eventually(lambda: are_on_kafka(parts, probe, len(things)))
            since = time.monotonic()
            await eventually(lambda: time.monotonic() > since + 0.5)  # the client fetches what it can meanwhile
        await eventually(lambda: heard(probe, len(things)))
        started = time.monotonic()
        await rename(probe, things[-1])
        await eventually(lambda: heard(probe, len(things) + 1))
        assert time.monotonic() - started < 3, "it waited for the other partitions"


async def test_a_restored_database_is_told_what_it_lacks_in_order(parts: Parts) -> None:
    """Though Kafka has offsets of its own, further on, and finding out where to begin takes a while."""
    url, prefix = await probe_database(parts), f"r{uuid4().hex[:8]}."
    async with running_probe(parts, url=url, prefix=prefix) as probe:
        thing = await make(probe, "told before", 3)
        await eventually(lambda: heard(probe, 3))
        await eventually(lambda: committed(parts, probe, 3))
    async with direct_connection(url, "restore") as restore:
        for table in ("heard", "inbox", "consumer_positions"):
            await restore.execute(f"delete from {table}")  # noqa: S608 (three names)
        async with restore.transaction():
            await restore.execute("lock table consumer_positions")
            stack = AsyncExitStack()
            probe = await stack.enter_async_context(running_probe(parts, url=url, prefix=prefix))
            await rename(probe, thing)
            await eventually(lambda: are_on_kafka(parts, probe, 4))
            waiting = "select count(*) from pg_locks where relation = 'consumer_positions'::regclass and not granted"
            await eventually(lambda: restore.fetchval(waiting))  # somebody asks where to begin
            since = time.monotonic()
            await eventually(lambda: time.monotonic() > since + 1)  # the client reads from Kafka's own offset
            assert await restore.fetchval(waiting) > 0, "nobody asks where to begin"
    async with stack:
        await eventually(lambda: heard(probe, 4))
        told = await probe.rows("select sequence from heard order by ctid")
        assert [row.sequence for row in told] == [f"0001-{n:010d}" for n in range(1, 5)]


async def committed(parts: Parts, probe: Probe, offset: int) -> bool:
    """Whether Kafka's own offset of the group has come that far."""
    consumer = probe.running.consumer
    async with admin(parts.bootstrap) as client:
        offsets = await client.list_consumer_group_offsets(consumer.prefix + consumer.group)
    return offset in [each.offset for each in offsets.values()]


async def test_a_client_whose_end_fails_half_way_is_closed_all_the_same(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_probe(parts) as probe:
        await make(probe, "makes the topic")
        await eventually(lambda: heard(probe, 1))
        topic = probe.running.settings.topic_prefix + TOPIC.name
        client = AIOKafkaConsumer(topic, bootstrap_servers=parts.bootstrap, group_id=f"{topic}-stranger")
        await client.start()
        connections = list(client._client._conns.values())
        assert any(connection.connected() for connection in connections)

        async def fails() -> None:
            raise KafkaError("the coordinator moved")

        monkeypatch.setattr(client._coordinator, "close", fails)
        await stop_bounded(client)
        assert not any(connection.connected() for connection in connections)


async def rename(probe: Probe, thing_id: str) -> None:
    answer = await probe.client.post(
        f"/things/{thing_id}/rename", json={"title": "next"}, headers=probe.as_owner() | {"if-match": "*"}
    )
    assert answer.status_code == 200, answer.text


async def test_a_client_that_would_not_stop_leaves_nothing_behind(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_probe(parts) as probe:
        await make(probe, "makes the topic")
        await eventually(lambda: heard(probe, 1))
        before = asyncio.all_tasks()
        topic = probe.running.settings.topic_prefix + TOPIC.name
        client = AIOKafkaConsumer(topic, bootstrap_servers=parts.bootstrap, group_id=f"{topic}-stranger")
        await client.start()
        mine = asyncio.all_tasks() - before
        assert len(mine) >= 3, "the client has tasks of its own"
        monkeypatch.setattr(client._coordinator, "close", asyncio.Event().wait)  # as with a broker that is silent
        await stop_bounded(client)
        await eventually(lambda: all(task.done() for task in mine))


async def are_on_kafka(parts: Parts, probe: Probe, number: int) -> bool:
    return len(await records(parts, probe)) == number


def _partition(thing_id: str) -> int:
    return partition_of(thing_id.encode(), TOPIC.partitions)


async def produce(parts: Parts, probe: Probe, event: CloudEvent) -> None:
    """The record once more, in the partition of its key."""
    producer = AIOKafkaProducer(bootstrap_servers=parts.bootstrap)
    await producer.start()
    topic = probe.running.settings.topic_prefix + TOPIC.name
    key, partition = event.partitionkey.encode(), _partition(event.partitionkey)
    await producer.send_and_wait(topic, event.data, key=key, headers=event.headers(), partition=partition)
    await producer.stop()


async def test_a_poisoned_record_is_buried_alone(parts: Parts) -> None:
    async with running_probe(parts) as probe:
        for title in ("good 1", "poison", "good 2"):
            await make(probe, title)
        await eventually(lambda: heard(probe, 2))
        [letter] = await eventually(lambda: probe.rows("select * from dead_letter"))
        assert b"poison" in letter.value
        assert "cannot handle this" in letter.error
        assert dict(letter.headers)["ce_type"] == "org.bandung.ThingMade.v1"
        assert (await probe.client.get("/readyz")).json()["checks"]["consumer"]["dead_letters"] == 1


@pytest.mark.parametrize(
    ("key", "headers", "value"),
    [
        (b"k", [], b"no cloud event"),
        (b"k", [("ce_id", b"x")], b"{}"),
        (b"k", [("ce_id", b"\xff\xfe"), ("ce_type", b"org.bandung.ThingMade.v1")], b"{}"),
        (b"k", None, b"not json"),
        (b"k", None, b'{"title": 1}'),
        (b"k", None, b"\x00" * 1_000_000),
        (b"k", None, None),
        (b"\xff\xfe", None, b"not json"),
        (None, None, b"not json"),
    ],
    ids=["no-header", "no-type", "no-id", "no-json", "no-thing", "nul", "nothing", "key-of-no-text", "no-key"],
)
async def test_bytes_that_are_no_event_become_a_dead_letter_and_the_next_goes_on(
    parts: Parts, key: bytes | None, headers: list[tuple[str, bytes]] | None, value: bytes | None
) -> None:
    async with running_probe(parts) as probe:
        await make(probe, "template")
        await eventually(lambda: heard(probe, 1))
        [event] = await records(parts, probe)
        await produce_raw(parts, probe, value, event.headers() if headers is None else headers, key)
        await make(probe, "next")
        await eventually(lambda: heard(probe, 2))
        [letter] = await eventually(lambda: probe.rows("select * from dead_letter"))
        assert (letter.key, letter.value) == (key, value)


async def produce_raw(
    parts: Parts, probe: Probe, value: bytes | None, headers: list[tuple[str, bytes]], key: bytes | None
) -> None:
    fresh = [(name, str(uuid4()).encode() if name == "ce_id" and len(raw) > 30 else raw) for name, raw in headers]
    producer = AIOKafkaProducer(bootstrap_servers=parts.bootstrap)
    await producer.start()
    await producer.send_and_wait(probe.running.settings.topic_prefix + TOPIC.name, value, key=key, headers=fresh)
    await producer.stop()


async def test_a_deploy_where_every_record_fails_stops_at_its_limit_and_says_so(parts: Parts) -> None:
    async with running_probe(parts) as probe:
        await make(probe, "poison", 40)
        await eventually(lambda: degraded(probe, "dead letters in a row"))
        assert len(await probe.rows("select * from dead_letter")) == 20


async def degraded(probe: Probe, why: str) -> bool:
    """Whether it is ready but for this reason of its consumer; a start may be degraded for others."""
    answer = await probe.client.get("/readyz")
    body = answer.json()
    named = why in (body["checks"]["consumer"].get("detail") or "")
    return answer.status_code == 200 and body["status"] == "degraded" and named


async def test_a_restart_goes_on_where_the_database_says(parts: Parts) -> None:
    url, prefix = await probe_database(parts), f"r{uuid4().hex[:8]}."
    async with running_probe(parts, url=url, prefix=prefix) as probe:
        await make(probe, "before", 3)
        await eventually(lambda: heard(probe, 3))
    async with running_probe(parts, url=url, prefix=prefix) as probe:
        await make(probe, "after", 2)
        await eventually(lambda: heard(probe, 5))
        assert len(await records(parts, probe)) == 5
        assert not await probe.rows("select * from dead_letter")


async def test_what_waited_for_a_start_is_asked_for_once(parts: Parts, caplog: pytest.LogCaptureFixture) -> None:
    # what is asked for from another position is answered after seconds, and then thrown away
    url, prefix = await probe_database(parts), f"r{uuid4().hex[:8]}."
    with caplog.at_level(logging.DEBUG, "aiokafka.consumer.fetcher"):
        for life in (1, 2, 3):
            async with running_probe(parts, url=url, prefix=prefix) as probe:
                await make(probe, "at the start", 2)
                await eventually(functools.partial(heard, probe, 2 * life))
    said = [record.getMessage() for record in caplog.records]
    assert [each for each in said if each.startswith("Adding fetch request")]
    assert not [each for each in said if each.startswith(("Discarding fetch response", "Updating fetch positions"))]


async def test_a_client_whose_end_was_broken_off_is_closed_without_cancelling_who_waits(parts: Parts) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=parts.bootstrap)
    await producer.start()
    assert await producer.client.ready(producer.client.get_random_node())
    [connection] = producer.client._conns.values()
    connection._closed_fut.cancel()  # what is left of a `stop()` that was cancelled in its last step
    await close_hard(producer)
    assert not connection.connected()
