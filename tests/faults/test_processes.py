"""Processes of the services killed at the worst moments, under the load of the real story."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.faults.striking import lasting
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.installation import Installation
    from tests.faults.striking import Ground

    Recorder = Callable[[str, object], None]

pytestmark = pytest.mark.asyncio
KILLED = -signal.SIGKILL
A_MINUTE = 60.0


async def dies(system: Installation, name: str) -> None:
    """Returns when the process has been killed by its own failpoint."""
    await eventually(lambda: KILLED in system.processes[name].deaths)


AT_POINTS = [
    ("registry", "relay.acknowledged", "relay killed between acknowledgement and mark"),
    ("registry", "relay.marked", "relay killed after the mark"),
    ("matching", "consumer.handled", "consumer killed before commit"),
    ("matching", "consumer.committed", "consumer killed after commit"),
    ("registry", "api.committed", "API killed after commit before the answer"),
    ("registry", "api.answered", "API killed before commit"),
    ("notifications", "webhook.posted", "killed between webhook and record"),
]
SHORT = ("relay.acknowledged", "consumer.handled", "api.committed")
"""Those that `make test` has time for."""


@pytest.mark.parametrize(
    ("service", "point", "fault"),
    [pytest.param(*row, id=row[1], marks=() if row[1] in SHORT else pytest.mark.long) for row in AT_POINTS],
)
async def test_a_process_killed_at_the_worst_moment_loses_and_invents_nothing(
    ground: Ground, record_property: Recorder, service: str, point: str, fault: str
) -> None:
    process = ground.system.processes[service]
    process.deaths.clear()
    await process.restart(**{f"{service.upper()}_FAILPOINTS": f"{point}=kill@4"})
    await ground.system.all_ready()
    async with ground.load(lives=6):
        await dies(ground.system, service)
        ended = time.monotonic()
    await ground.judge(fault, f"{service} {process.deaths}", record_property, ended=ended)
    assert process.deaths == [KILLED]


@pytest.mark.long
async def test_processes_killed_at_random_lose_and_invent_nothing(ground: Ground, record_property: Recorder) -> None:
    processes = ground.system.processes
    for process in processes.values():
        process.deaths.clear()
    async with ground.load(lives=16, writers=16) as load:
        for name, so_far in (("registry", 10), ("notifications", 30), ("matching", 50), ("projects", 70)):
            await load.under_way(so_far)
            await processes[name].kill()
        ended = time.monotonic()
    happened = " ".join(f"{name}{process.deaths}" for name, process in processes.items())
    await ground.judge("each service killed while 16 write", happened, record_property, ended=ended)
    assert all(process.deaths == [KILLED] for process in processes.values())


@pytest.mark.long
async def test_a_loop_that_is_blocked_catches_up(ground: Ground, record_property: Recorder) -> None:
    process = ground.system.processes["notifications"]
    process.deaths.clear()
    await process.restart(NOTIFICATIONS_FAILPOINTS="consumer.handled=block:8@2")
    await ground.system.all_ready()
    async with ground.load():
        silent = await eventually(lambda: is_silent(ground.system, "notifications"))
        ended = time.monotonic()
    await ground.judge("event loop blocked for 8 s", "no answer in 2 s" if silent else "", record_property, ended=ended)
    assert process.deaths == []


async def is_silent(system: Installation, name: str) -> bool:
    try:
        await system.client(name).get("/livez", timeout=2)
    except httpx.TimeoutException:
        return True
    return False


@pytest.mark.long
@pytest.mark.parametrize("seconds", [10, 55])
async def test_a_frozen_process_goes_on_where_it_was(ground: Ground, record_property: Recorder, seconds: float) -> None:
    process = ground.system.processes["matching"]
    process.deaths.clear()
    async with ground.load() as load:
        await load.under_way()
        process.signal(signal.SIGSTOP)
        begun = time.monotonic()
        try:
            assert await eventually(lambda: is_silent(ground.system, "matching"))
            await lasting(begun, seconds)
        finally:
            process.signal(signal.SIGCONT)
        ended = time.monotonic()
    await ground.judge("process frozen", f"{ended - begun:.0f} s", record_property, ended=ended)
    assert process.deaths == []


@pytest.mark.long
@pytest.mark.parametrize("seconds", [8, 60])
async def test_a_service_in_a_crash_loop_harms_no_other(
    ground: Ground, record_property: Recorder, seconds: float
) -> None:
    process = ground.system.processes["projects"]
    process.deaths.clear()
    async with ground.load() as load:
        await load.under_way()
        begun = time.monotonic()
        while time.monotonic() < begun + seconds:
            await eventually(lambda: process.alive)
            await process.kill()
            assert (await ground.system.health("registry")).status == "ready"
        ended = time.monotonic()
    await ground.judge("one of four in a crash loop", f"died {len(process.deaths)} times", record_property, ended=ended)
    assert len(process.deaths) >= 3


@pytest.mark.long
async def test_sigterm_at_any_stage_ends_with_0_within_ten_seconds(ground: Ground, record_property: Recorder) -> None:
    process, stages = ground.system.processes["matching"], (0.05, 0.4, 0.8, 1.2, 1.6, 2.0, 3.0)
    slowest = 0.0
    async with ground.load(lives=16) as load:
        await load.under_way()
        for after in stages:
            await process.stop()
            process.start()
            await lasting(time.monotonic(), after)
            slowest = max(slowest, await process.stop())
        process.start()
        ended = time.monotonic()
    assert slowest < 10
    happened = f"{len(stages)} stages, slowest {slowest:.1f} s"
    await ground.judge("SIGTERM at every stage", happened, record_property, ended=ended)


async def test_a_thread_that_computes_for_a_minute_does_not_hold_up_the_end(ground: Ground) -> None:
    process = ground.system.processes["matching"]
    await process.restart(MATCHING_FAILPOINTS=f"round.solving=block:{A_MINUTE:g}")
    await ground.system.all_ready()
    ordered = await ground.system.operator.post("/rounds")
    assert ordered.status_code == 201, ordered.text
    await eventually(lambda: '"point": "round.solving"' in ground.system.tail())
    assert await process.stop() < 10
    process.start()
    await ground.system.all_ready()

    async def worked_out() -> bool:
        found = await ground.system.operator.read(f"/rounds/{ordered.json()['id']}")
        return bool(found["status"] == "proposed")

    await eventually(worked_out)


@pytest.mark.long
@pytest.mark.parametrize("part", ["kafka", "postgres"])
async def test_sigterm_with_a_part_dead_ends_with_0_within_ten_seconds(
    ground: Ground, record_property: Recorder, part: str
) -> None:
    async with ground.load() as load:
        await load.under_way()
        await ground.system.kill_part(part)
        seconds = {name: await process.stop() for name, process in ground.system.processes.items()}
        await ground.system.start_part(part)
        for process in ground.system.processes.values():
            process.start()
        ended = time.monotonic()
    assert max(seconds.values()) < 10, seconds
    happened = f"slowest {max(seconds.values()):.1f} s"
    await ground.judge(f"SIGTERM with {part} dead", happened, record_property, ended=ended)


@pytest.mark.long
async def test_a_clock_that_is_two_hours_ahead(ground: Ground, record_property: Recorder) -> None:
    process = ground.system.processes["matching"]
    await process.restart(BANDUNG_TIME_OFFSET_SECONDS="7200")
    await ground.system.all_ready()
    async with ground.load(lives=12):
        pass
    await process.restart()
    ended = time.monotonic()
    evidence = await ground.judge("clock of one service 2 h ahead", "offset 7200 s", record_property, ended=ended)
    assert "MatchFormalised" in {row.type for row in evidence.rows}
