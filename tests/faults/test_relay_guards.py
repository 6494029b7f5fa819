"""Each protection of outbox and relay alone: what would happen without it, made to happen."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import NewPartitions
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError

from shared.data.database import direct_connection
from shared.messaging import relay, sender
from shared.messaging.envelope import SYSTEM_BY
from shared.messaging.kafka import admin, ensure_topics, partition_of, stop_bounded
from shared.ops import failpoints
from tests.faults.checker import Figures
from tests.faults.striking import row
from tests.faults.tools.proxy import KafkaProxy
from tests.support.parts import Parts
from tests.support.probe import TOPIC, Probe, Thing, ThingMade, probe_database, running_probe
from tests.support.waiting import PATIENCE_SECONDS, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import asyncpg


from tests.faults.probing import UNSENT, heard, make, no_rows, on_kafka, rename

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.disarm()


async def test_a_row_without_an_acknowledgement_stays_unsent(parts: Parts) -> None:
    async with KafkaProxy(int(parts.bootstrap.rpartition(":")[2])) as proxy, AsyncExitStack() as stack:
        probe = await stack.enter_async_context(running_probe(Parts(parts.postgres_url, proxy.address)))
        await make(probe, "first")
        await eventually(lambda: heard(probe, 1))
        await eventually(lambda: no_rows(probe, UNSENT))
        proxy.swallow = 100
        for n in range(3):
            await make(probe, f"thing {n}")
        await eventually(lambda: proxy.did["swallowed"])
        assert len(await probe.rows(UNSENT)) == 3
        proxy.swallow = 0
        await eventually(lambda: heard(probe, 4))
        assert await eventually(lambda: no_rows(probe, UNSENT))


async def nothing() -> None:
    """No topic is missing."""


async def test_a_client_is_kept_over_a_lost_connection_and_each_has_its_own_time(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "CONNECTING_SECONDS", 0.001)  # no client starts as quickly
    lost = KafkaConnectionError("lost")
    own = sender.Sender(parts.bootstrap, nothing)
    await own.failed(lost)
    first = await own.producer()
    assert own.fault.since is None
    await own.failed(lost)
    assert await own.producer() is first
    assert own.fault.since is not None

    async def replaced() -> bool:
        await own.failed(lost)
        return await own.producer() is not first

    await eventually(replaced)
    second = await own.producer()
    await own.failed(KafkaTimeoutError("not answered"))
    assert await own.producer() is not second
    await own.drop()


async def test_a_row_that_can_never_be_sent_holds_up_its_own_key_alone_and_is_named(parts: Parts) -> None:
    async with running_probe(parts) as probe:
        first = await make(probe, "before")
        await eventually(lambda: heard(probe, 1))
        async with direct_connection(probe.running.database.url, "test") as hand, hand.transaction():
            insert = (
                "insert into outbox (event_id, topic, key, sequence, type, subject, time, correlation, value) "
                "select gen_random_uuid(), topic, {key}, {sequence}, type, subject, time, correlation, {value} "
                "from outbox order by id limit 1"
            )
            neighbour = insert.format(key="gen_random_uuid()", sequence="sequence", value="value")
            await hand.execute(neighbour)
            # what no command can write: larger than any request to Kafka
            value = "convert_to(repeat('x', 600000), 'UTF8')"
            await hand.execute(insert.format(key="key", sequence="'0001-0000000002'", value=value))
            await hand.execute(neighbour)
            await hand.execute("update sequences set last = 2")
        await rename(probe, first, "waits behind it")
        others = [await make(probe, f"other {n}") for n in range(5)]
        await eventually(lambda: heard(probe, 8))
        await eventually(lambda: are_unsent(probe, [first] * 2))
        await eventually(lambda: is_named(probe))
        await probe.rows_committed("delete from outbox where length(value) > 500000")
        await eventually(lambda: heard(probe, 9))
        assert {event.partitionkey for event in await on_kafka(parts, probe)} > {first, *others}


async def are_unsent(probe: Probe, keys: list[str]) -> bool:
    """Whether these rows alone are unsent; others are marked a moment after they were heard."""
    found = [str(row.key) for row in await probe.rows("select key from outbox where published_at is null")]
    assert found == keys, found
    return True


async def is_named(probe: Probe) -> bool:
    ready = (await probe.client.get("/readyz")).json()
    assert ready["status"] == "degraded", ready
    assert "cannot be sent" in ready["checks"]["outbox-row"]["detail"], ready
    return True


async def test_a_row_that_commits_after_a_later_one_is_sent(parts: Parts) -> None:
    async with running_probe(parts) as probe:
        await make(probe, "opens the relay")
        await eventually(lambda: heard(probe, 1))
        async with direct_connection(probe.running.database.url, "test") as hand:
            transaction = hand.transaction()
            await transaction.start()
            await hand.execute(
                "insert into outbox (event_id, topic, key, sequence, type, subject, time, correlation, value) "
                "select gen_random_uuid(), topic, gen_random_uuid(), sequence, type, subject, time, correlation, value "
                "from outbox"
            )
            await make(probe, "has a higher id and commits first")
            await eventually(lambda: heard(probe, 2))
            await transaction.commit()
        await eventually(lambda: heard(probe, 3))


async def test_of_two_processes_one_relay_leads(parts: Parts) -> None:
    url, prefix = await probe_database(parts), f"r{uuid4().hex[:8]}."
    async with (
        running_probe(parts, url=url, prefix=prefix) as one,
        running_probe(parts, url=url, prefix=prefix, replica="b") as other,
    ):
        await eventually(lambda: one.running.relay.leading.is_set() or other.running.relay.leading.is_set())
        for n in range(10):
            await make(one if n % 2 else other, f"thing {n}")
        await eventually(lambda: heard(one, 10))
        assert one.running.relay.leading.is_set() != other.running.relay.leading.is_set()
        assert len(await on_kafka(parts, one)) == 10


async def test_a_follower_that_is_woken_asks_once_a_second_all_the_same(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, prefix = await probe_database(parts), f"r{uuid4().hex[:8]}."
    async with running_probe(parts, url=url, prefix=prefix) as one:
        await eventually(one.running.relay.leading.is_set)
        async with running_probe(parts, url=url, prefix=prefix, replica="b") as other:
            asked: list[float] = []
            follow = other.running.relay._follow

            async def noted(connection: asyncpg.Connection, stop: asyncio.Event) -> None:
                asked.append(time.monotonic())
                await follow(connection, stop)

            monkeypatch.setattr(other.running.relay, "_follow", noted)
            await eventually(lambda: asked)
            await make(other, "wakes the relay of its process")
            await eventually(lambda: heard(one, 1))
            await eventually(lambda: len(asked) >= 5)
    assert asked[4] - asked[0] > 3.9


async def sent(probe: Probe) -> bool:
    return not await probe.rows(UNSENT)


async def test_what_a_follower_commits_goes_out_at_once(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "IDLE_SECONDS", (600.0, 600.0))  # the one that leads looks only when it is told to
    url, prefix = await probe_database(parts), f"r{uuid4().hex[:8]}."
    async with running_probe(parts, url=url, prefix=prefix) as one:
        await eventually(one.running.relay.leading.is_set)
        async with running_probe(parts, url=url, prefix=prefix, replica="b") as other:
            for n in range(3):
                await make(other, f"thing {n}")
                await eventually(lambda: sent(one), 5)
            assert not other.running.relay.leading.is_set()


async def test_sixteen_writers_of_one_key_draw_numbers_without_gaps(parts: Parts) -> None:
    async with running_probe(parts, pool_size=16) as probe:
        thing = await make(probe, "one for all")

        async def write(writer: int) -> None:
            for n in range(6):
                await rename(probe, thing, f"{writer} {n}")

        await asyncio.gather(*(write(n) for n in range(16)))
        await eventually(lambda: heard(probe, 97))
        told = [event.sequence for event in await on_kafka(parts, probe)]
        assert told == [f"0001-{n:010d}" for n in range(1, 98)]


async def test_the_next_number_of_a_key_waits_for_the_transaction_that_drew_the_last(parts: Parts) -> None:
    async with running_probe(parts) as probe:
        event = ThingMade(id=uuid4(), title="two at once", by=SYSTEM_BY)

        async def another() -> None:
            async with probe.running.transactions.background() as second:
                second.publish(event)

        async with probe.running.transactions.background() as first:
            first.publish(event)
            await first.flush()
            later = asyncio.create_task(another())
            waits = "select 1 from pg_locks where locktype = 'transactionid' and not granted"
            await eventually(lambda: later_or_waiting(probe, later, waits))
        await later
        told = await probe.rows("select sequence from outbox order by id")
        assert [row.sequence for row in told] == ["0001-0000000001", "0001-0000000002"]
        await eventually(lambda: heard(probe, 2))


async def later_or_waiting(probe: Probe, later: asyncio.Task[None], waits: str) -> bool:
    return later.done() or bool(await probe.rows(waits))


async def test_a_refused_command_is_told_to_nobody(parts: Parts) -> None:
    async with running_probe(parts) as probe:
        body = {"title": "ghost", "fail_after_write": True}
        assert (await probe.client.post("/things", json=body, headers=probe.as_owner())).status_code == 403
        await make(probe, "real")
        await eventually(lambda: heard(probe, 1))
        assert len(await on_kafka(parts, probe)) == 1
        assert await probe.count(Thing) == 1


@pytest.mark.parametrize("forgotten", [False, True], ids=["", "its table emptied by a migration"])
async def test_a_topic_made_anew_is_filled_again_and_read_from_its_start(parts: Parts, *, forgotten: bool) -> None:
    url, prefix = await probe_database(parts), f"r{uuid4().hex[:8]}."
    async with running_probe(parts, url=url, prefix=prefix) as probe:
        for n in range(12):
            await make(probe, f"before {n}")
        await eventually(lambda: heard(probe, 12))
        await probe.rows_committed("delete from heard where title like '%0'")  # as if it had not come that far
        await probe.rows_committed("delete from inbox where event_id not in (select id from heard)")
        if forgotten:
            await probe.rows_committed("delete from published_log")
        async with admin(parts.bootstrap) as client:
            await client.delete_topics([prefix + TOPIC.name])
        for n in range(12):
            await make(probe, f"after {n}")
        await eventually(lambda: heard(probe, 24))
        assert len({event.id for event in await on_kafka(parts, probe)}) == 24


async def test_a_key_stays_where_it_is_when_partitions_are_added(parts: Parts) -> None:
    prefix = f"r{uuid4().hex[:8]}."
    await ensure_topics(parts.bootstrap, [TOPIC], prefix=prefix, replication=1)
    async with admin(parts.bootstrap) as client:
        await client.create_partitions({prefix + TOPIC.name: NewPartitions(12)})
    async with running_probe(parts, prefix=prefix) as probe:
        for n in range(20):
            await make(probe, f"thing {n}")
        await eventually(lambda: heard(probe, 20))
        for key, partition in await places(parts, prefix + TOPIC.name, 20):
            assert partition == partition_of(key, TOPIC.partitions)


async def places(parts: Parts, topic: str, number: int) -> list[tuple[bytes, int]]:
    """Key and partition of so many records, or fails."""
    found: list[tuple[bytes, int]] = []
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=parts.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(found) < number:
                polled = await consumer.getmany(timeout_ms=200)
                found += [(record.key, record.partition) for records in polled.values() for record in records]
        return found
    finally:
        await stop_bounded(consumer)


@pytest.mark.long
async def test_a_backlog_of_two_hundred_thousand_rows_is_sent_in_order(
    parts: Parts, record_property: Callable[[str, object], None]
) -> None:
    async with running_probe(parts) as probe:
        first = await make(probe, "first")
        await eventually(lambda: heard(probe, 1))
        async with direct_connection(probe.running.database.url, "test") as hand:
            await hand.execute(
                "insert into outbox (event_id, topic, key, sequence, type, subject, time, correlation, value) "
                "select gen_random_uuid(), topic, 'key ' || n % 50, '0001-' || lpad((n / 50 + 1)::text, 10, '0'), "
                "'org.bandung.Unheard.v1', subject, time, correlation, value from outbox, generate_series(0, 199999) n"
            )
        begun = asyncio.get_running_loop().time()
        await rename(probe, first, "behind all of them")
        await eventually(lambda: heard(probe, 2), 120)
        seconds = asyncio.get_running_loop().time() - begun
        by_key: dict[str, list[str]] = defaultdict(list)
        for event in await on_kafka(parts, probe):
            by_key[event.partitionkey].append(event.sequence)
        assert len(by_key) == 51
        assert all(told == sorted(set(told)) for told in by_key.values())
        assert sum(map(len, by_key.values())) == 200_002
        record_property("fault", row("backlog of 200,000", "200000 unsent", Figures(200_002, 0, 0, 0, 0), seconds))
