"""Each protection of consumer and inbox alone: what would happen without it, made to happen."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from shared import operations
from shared.data.database import direct_connection
from shared.messaging import consumer, delivery, subscription, watchdog
from shared.ops import failpoints
from tests.support.kafka import PARTITIONS, Foreign, end_offsets
from tests.support.probe import TOPIC, Heard, Probe, probe_database, running_probe
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    import asyncpg

    from shared.messaging.envelope import CloudEvent
    from tests.support.parts import Parts

from tests.faults.probing import UNSENT, heard, make, no_rows, on_kafka, rename

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.disarm()


async def again(parts: Parts, probe: Probe, records: list[CloudEvent]) -> None:
    PARTITIONS.setdefault(TOPIC.name, TOPIC.partitions)
    async with Foreign(parts.bootstrap, probe.running.settings.topic_prefix) as foreign:
        for record in records:
            await foreign.send_record(TOPIC.name, record)


async def test_an_event_that_comes_again_in_any_order_has_one_effect(parts: Parts) -> None:
    async with running_probe(parts) as probe:
        things = [await make(probe, f"thing {n}") for n in range(4)]
        for thing in things:
            await rename(probe, thing, "again")
        await eventually(lambda: heard(probe, 8))
        copies = await on_kafka(parts, probe) * 5
        random.Random(1).shuffle(copies)  # noqa: S311 (an order)
        await again(parts, probe, copies)
        await make(probe, "last")
        await eventually(lambda: heard(probe, 9))
        ends = await end_offsets(parts.bootstrap, probe.running.settings.topic_prefix + TOPIC.name)
        await eventually(lambda: stands_at(probe, ends))
        assert await heard(probe, 9)


async def stands_at(probe: Probe, ends: dict[int, int]) -> bool:
    """Whether everything up to these ends has had its effect: a position is written with what was done up to it."""
    found = {row.partition: row.next_offset for row in await probe.rows("select * from consumer_positions")}
    assert found == {partition: end for partition, end in ends.items() if end}
    return True


@pytest.mark.parametrize("point", ["consumer.handled", "consumer.committed"])
async def test_what_was_in_hand_when_a_consumer_died_has_its_effect_once(parts: Parts, point: str) -> None:
    url, prefix = await probe_database(parts), f"r{uuid4().hex[:8]}."
    async with running_probe(parts, url=url, prefix=prefix, failpoints=f"{point}=fail") as probe:
        for n in range(6):
            await make(probe, f"thing {n}")
        await eventually(lambda: probe.running.consumer.fault.since)
    failpoints.disarm()
    async with running_probe(parts, url=url, prefix=prefix) as probe:
        await eventually(lambda: heard(probe, 6))


async def test_a_fault_of_the_surroundings_buries_nothing(parts: Parts) -> None:
    async with running_probe(parts, failpoints="consumer.handled=fail") as probe:
        await make(probe, "handled when the surroundings are well again")
        await eventually(lambda: probe.running.consumer.fault.since)
        failpoints.disarm()
        await eventually(lambda: heard(probe, 1))


async def test_one_bad_record_is_buried_and_its_neighbours_are_not(parts: Parts) -> None:
    async with running_probe(parts) as probe:
        thing = await make(probe, "good 0")
        async with direct_connection(probe.running.database.url, "test") as hand, hand.transaction():
            await hand.execute("lock table heard in access exclusive mode")
            for title in ("good 1", "poison", "good 2", "good 3"):
                await rename(probe, thing, title)
            await eventually(lambda: no_rows(probe, UNSENT))
            await eventually(lambda: sent_back(hand))  # and what was read is read again, so that they come as one slice
        await eventually(lambda: buried(probe, 1))
        await eventually(lambda: has_effects(probe, 4))
        told = await probe.rows("select sequence from heard order by ctid")
        assert [row.sequence[-1] for row in told] == ["1", "2", "4", "5"]


async def sent_back(hand: asyncpg.Connection) -> bool:
    """Whether a delivery that waited for a lock was told to come again."""
    waiting = "from pg_locks where relation = 'heard'::regclass and not granted"
    return bool(await hand.fetchval(f"select count(pg_cancel_backend(pid)) {waiting}"))


async def has_effects(probe: Probe, number: int) -> bool:
    return await probe.count(Heard) == number


async def buried(probe: Probe, number: int) -> bool:
    return len(await probe.rows("select * from dead_letter")) == number


async def test_a_redriven_letter_has_one_effect_however_often(parts: Parts) -> None:
    async with running_probe(parts) as probe:
        thing = await make(probe, "poison")
        await eventually(lambda: buried(probe, 1))
        await probe.rows_committed(
            "update dead_letter set value = convert_to(replace(convert_from(value, 'UTF8'), 'poison', 'cured'), 'UTF8')"
        )
        [letter] = await probe.rows("select id from dead_letter")
        outcomes = [await operations.redrive(probe.running, letter.id) for _ in range(2)]
        assert outcomes == ["handled", "not waiting"]
        told = Counter(str(row.thing_id) for row in await probe.rows("select thing_id from heard"))
        assert told == {thing: 1}


async def test_a_deploy_where_every_record_fails_drains_no_topic(parts: Parts) -> None:
    async with running_probe(parts) as probe:
        thing = await make(probe, "poison")
        for n in range(40):
            await rename(probe, thing, f"poison {n}")
        await eventually(lambda: probe.running.consumer.limit_fault.since)
        assert len(await probe.rows("select * from dead_letter")) <= 20


async def test_a_lock_that_lasts_is_waited_for_and_nothing_is_lost(parts: Parts) -> None:
    async with running_probe(parts) as probe:
        await make(probe, "first")
        await eventually(lambda: heard(probe, 1))
        async with direct_connection(probe.running.database.url, "test") as hand, hand.transaction():
            await hand.execute("lock table heard in access exclusive mode")
            await make(probe, "waits")
            waits: Any = "select count(*) from pg_locks where relation = 'heard'::regclass and not granted"
            await eventually(lambda: hand.fetchval(waits))
            await eventually(lambda: probe.running.consumer.fault.since, 20)  # lock_timeout
        await eventually(lambda: heard(probe, 2))


async def test_a_handler_slower_than_the_poll_interval_loses_and_repeats_nothing(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "MOST_POLL_MS", 1_500)
    async with running_probe(parts) as probe:
        await make(probe, "first")
        await eventually(lambda: heard(probe, 1))
        async with direct_connection(probe.running.database.url, "test") as hand, hand.transaction():
            await hand.execute("lock table heard in access exclusive mode")
            for n in range(5):
                await make(probe, f"waits {n}")
            begun = asyncio.get_running_loop().time()
            await eventually(lambda: asyncio.get_running_loop().time() > begun + 4)
        await eventually(lambda: heard(probe, 6))
        await make(probe, "last")
        await eventually(lambda: heard(probe, 7))


class Stuck(set[int]):
    """Requests to every broker are on their way, for ever."""

    def __contains__(self, _node: object) -> bool:
        return True


async def test_a_client_that_kafka_does_not_answer_is_replaced_and_not_taken_for_an_idle_one(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, clients = subscription.started, 0

    async def started(*places: Any, **names: Any) -> Any:
        nonlocal clients
        client = await real(*places, **names)
        clients += 1
        if clients == 2:
            client._fetcher._in_flight = Stuck()
        return client

    monkeypatch.setattr(consumer, "started", started)
    monkeypatch.setattr(watchdog, "ANSWER_SECONDS", 8.0)
    url, prefix = await probe_database(parts), f"r{uuid4().hex[:8]}."
    async with running_probe(parts, url=url, prefix=prefix) as probe:
        await make(probe, "first")
        await eventually(lambda: heard(probe, 1))
    async with running_probe(parts, url=url, prefix=prefix) as probe:
        await make(probe, "comes when the client is another")
        await eventually(lambda: clients == 3, watchdog.PROGRESS_SECONDS - 15)  # the other rule waits longer
        await eventually(lambda: heard(probe, 2))


async def test_a_client_is_kept_while_what_it_fetched_is_worked_off(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix, clients = f"r{uuid4().hex[:8]}.", 0
    async with running_probe(parts, prefix=prefix) as probe:
        thing = await make(probe, "all in one partition")
        for n in range(39):
            await rename(probe, thing, f"name {n}")
        await eventually(lambda: heard(probe, 40))
    real_start, real_handle = subscription.started, delivery.Delivery.handle

    async def started(*places: Any, **names: Any) -> Any:
        nonlocal clients
        clients += 1
        return await real_start(*places, **names)

    async def slow(*values: Any) -> int:
        await asyncio.sleep(0.1)
        return await real_handle(*values)

    monkeypatch.setattr(consumer, "started", started)
    monkeypatch.setattr(consumer, "SLICE_RECORDS", 1)
    monkeypatch.setattr(delivery.Delivery, "handle", slow)
    monkeypatch.setattr(watchdog, "ANSWER_SECONDS", 1.0)
    async with running_probe(parts, prefix=prefix) as probe:
        await eventually(lambda: heard(probe, 40))
    assert clients == 1


async def test_what_waits_is_known_before_it_comes(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    url, prefix = await probe_database(parts), f"r{uuid4().hex[:8]}."
    async with running_probe(parts, url=url, prefix=prefix) as probe:
        await make(probe, "heard in one database")
        await eventually(lambda: heard(probe, 1))
    real = subscription.started

    async def started(*places: Any, **names: Any) -> Any:
        client = await real(*places, **names)
        client._fetcher._in_flight = Stuck()
        return client

    monkeypatch.setattr(consumer, "started", started)
    async with running_probe(parts, prefix=prefix) as probe:
        await eventually(lambda: probe.running.consumer.lag == 1)


async def test_a_new_database_hears_an_old_topic_from_its_beginning(parts: Parts) -> None:
    prefix = f"r{uuid4().hex[:8]}."
    async with running_probe(parts, prefix=prefix) as old:
        for n in range(12):
            await make(old, f"thing {n}")
        await eventually(lambda: heard(old, 12))
    async with running_probe(parts, prefix=prefix) as new:  # the same group, with offsets of its own in Kafka
        await eventually(lambda: heard(new, 12))
