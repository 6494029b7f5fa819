"""Several processes of one service: one relay leads, members come and go, and everything comes a hundred times."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from tests.faults.installation import Installation, installed
from tests.faults.striking import Ground, lasting
from tests.faults.workload import Cast
from tests.support.system import TOPICS
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    Recorder = Callable[[str, object], None]

pytestmark = [pytest.mark.asyncio, pytest.mark.long]
LEAST_CHANGES = 4
MORE = (("registry", "b"), ("notifications", "b"), ("notifications", "c"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def three(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    """Two registries and three notifications."""
    async with installed(tmp_path_factory.mktemp("replicas"), replicas=MORE) as system:
        yield Ground(system, await Cast.of(system))


async def leader(system: Installation, service: str) -> int:
    """The port of the session that holds the relay's lock."""
    held = await system.rows(
        service,
        "select a.client_port from pg_locks l join pg_stat_activity a using (pid) "
        "where l.locktype = 'advisory' and l.granted and a.application_name = 'bandung-relay' and a.datname = $1",
        service,
    )
    assert len(held) == 1, f"{len(held)} relays lead"
    return int(held[0]["client_port"])


async def leading(system: Installation, service: str) -> str:
    """The name of the process that leads."""
    port = await leader(system, service)
    for name, process in system.processes.items():
        if name.partition("-")[0] == service and port in process.local_ports():
            return name
    raise AssertionError(f"nobody holds port {port}")


async def test_of_two_relays_one_leads_and_the_other_takes_over(three: Ground, record_property: Recorder) -> None:
    system = three.system
    led = []
    for _ in range(2):
        await system.all_ready()
        led.append(await leading(system, "registry"))
        other = next(name for name in ("registry", "registry-b") if name != led[-1])
        async with three.load(lives=16) as load:
            await load.under_way()
            process = system.processes[led[-1]]
            process.restart_seconds = 6.0  # the other one is quicker
            await process.kill()
            ended = time.monotonic()
            await eventually(lambda other=other: leads(system, other), 10)
    await three.judge("two relays, the leader killed", " then ".join(led), record_property, ended=ended)
    assert set(led) == {"registry", "registry-b"}


async def leads(system: Installation, name: str) -> bool:
    return await leading(system, name.partition("-")[0]) == name


@pytest.mark.parametrize("seconds", [12, 60])
async def test_members_that_come_and_go(three: Ground, record_property: Recorder, seconds: float) -> None:
    chance, changes = random.Random(seconds), 0  # noqa: S311 (which one goes)
    members = [name for name in three.system.processes if name.startswith("notifications")]
    async with three.load(lives=16) as load:
        await load.under_way()
        begun = time.monotonic()
        while time.monotonic() < begun + seconds or changes < LEAST_CHANGES:
            await three.system.processes[chance.choice(members)].restart()
            changes += 1
            await lasting(time.monotonic(), chance.uniform(0.2, 2))
        ended = time.monotonic()
    happened = f"{changes} changes in {ended - begun:.0f} s"
    await three.judge("members join and leave", happened, record_property, ended=ended)


@pytest.mark.parametrize("times", [10, 100])
async def test_every_event_again_and_again_in_any_order_has_its_effect_once(
    three: Ground, record_property: Recorder, times: int
) -> None:
    async with three.load(lives=4):
        pass
    await three.system.all_ready()
    records = [r for r in await three.system.records(*TOPICS) if r.topic.startswith(("registry.needs", "matching"))]
    copies = list({record.id: record for record in records}.values())[-100:] * times
    random.Random(times).shuffle(copies)  # noqa: S311 (an order)
    await send_all(three.system, copies)
    ended = time.monotonic()
    happened = f"{len(copies)} copies over 3 consumers"
    evidence = await three.judge(f"each event x{times}, shuffled", happened, record_property, ended=ended)
    assert len(evidence.records) - len({r.event for r in evidence.records}) >= len(copies)


async def send_all(system: Installation, records: list[Any]) -> None:
    """As a relay would that knows no marks."""
    producer = AIOKafkaProducer(bootstrap_servers=system.local["kafka"], acks="all", linger_ms=20)
    await producer.start()
    try:
        sent = [
            await producer.send(
                r.topic,
                r.value,
                key=r.key.encode(),
                partition=r.partition,
                headers=[(name, value.encode()) for name, value in r.headers.items()],
            )
            for r in records
        ]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()
