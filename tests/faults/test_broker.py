"""Apache Kafka killed, frozen, away for minutes, without its disk, without a topic, with more partitions."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.faults.checker import Sight
from tests.faults.striking import lasting
from tests.faults.tools.broker import add_partitions, delete_topic, lose_the_disk

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.striking import Ground

    Recorder = Callable[[str, object], None]

pytestmark = [pytest.mark.asyncio, pytest.mark.long]


async def test_a_broker_killed_and_started_again(ground: Ground, record_property: Recorder) -> None:
    async with ground.load() as load:
        await load.under_way()
        pid = ground.system.parts.kafka.pid
        await ground.system.kill_part("kafka")
        await ground.system.start_part("kafka")
        ended = time.monotonic()
    happened = f"pid {pid} -> {ground.system.parts.kafka.pid}"
    await ground.judge("broker and coordinator killed", happened, record_property, ended=ended)


@pytest.mark.parametrize("seconds", [8, 130])
async def test_a_broker_that_is_away_is_named_and_writes_go_on(
    ground: Ground, record_property: Recorder, seconds: float
) -> None:
    async with ground.load() as load:
        await load.under_way()
        await ground.system.kill_part("kafka")
        begun, written = time.monotonic(), len(load.acknowledged)
        sights = []
        for name in ground.system.processes:
            found = await ground.system.sees(name, "no broker reachable")
            sights.append(Sight(f"broker away at {name}", found[0], found[1], "no broker reachable"))
        member = ground.cast.pairs[0][0]
        needs = [await member.need() for _ in range(5)]
        await lasting(begun, seconds)
        await ground.system.start_part("kafka")
        ended = time.monotonic()
    happened = f"{ended - begun:.0f} s, {len(load.acknowledged) - written + len(needs)} writes since"
    await ground.judge("broker away", happened, record_property, ended=ended, sights=tuple(sights))


async def test_a_frozen_broker(ground: Ground, record_property: Recorder) -> None:
    pid = ground.system.parts.kafka.pid
    assert pid is not None
    async with ground.load() as load:
        await load.under_way()
        os.kill(pid, signal.SIGSTOP)
        try:
            begun = time.monotonic()
            found = await ground.system.sees("registry", "no broker reachable")
            await lasting(begun, 12)
        finally:
            os.kill(pid, signal.SIGCONT)
        ended = time.monotonic()
    seen = Sight("broker frozen", found[0], found[1], "no broker reachable")
    await ground.judge("broker frozen", f"{ended - begun:.0f} s", record_property, ended=ended, sights=(seen,))


async def test_a_broker_that_lost_its_disk_is_filled_again(ground: Ground, record_property: Recorder) -> None:
    async with ground.load(lives=12) as load:
        await load.under_way(40)
        before, after = await lose_the_disk(ground.system)
        ended = time.monotonic()
    assert before != after
    await ground.judge("broker without its disk", f"cluster {before} -> {after}", record_property, ended=ended)


async def test_a_topic_that_was_deleted_is_filled_again(ground: Ground, record_property: Recorder) -> None:
    topic = "registry.needs"
    before = len(await ground.system.records(topic))
    async with ground.load(lives=12) as load:
        await load.under_way(40)
        await delete_topic(ground.system, topic)
        ended = time.monotonic()
    await ground.judge("topic deleted", f"{before}+ records gone", record_property, ended=ended)
    assert before > 0


async def test_added_partitions_move_no_key(ground: Ground, record_property: Recorder) -> None:
    async with ground.load() as load:
        await load.under_way()
        count = await add_partitions(ground.system, "registry.needs", 12)
        ended = time.monotonic()
    assert count == 12
    await ground.judge("partitions added", f"6 -> {count}", record_property, ended=ended)
