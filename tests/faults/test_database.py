"""PostgreSQL killed, crashed, away, full, locked and deadlocked under the services."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest

from shared.data import migrate
from tests.e2e.world import need_body
from tests.faults.checker import Sight
from tests.faults.striking import lasting
from tests.faults.tools.database import crash, empty_disk, end_all_sessions, fill_disk, outbox_on, small_disk
from tests.support.system import refused
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import asyncpg

    from tests.faults.installation import Installation
    from tests.faults.striking import Ground

    Recorder = Callable[[str, object], None]

pytestmark = [pytest.mark.asyncio, pytest.mark.long]


@pytest.mark.parametrize("how", ["killed", "immediate"])
async def test_a_database_that_crashes_keeps_what_was_acknowledged(
    ground: Ground, record_property: Recorder, how: str
) -> None:
    async with ground.load() as load:
        await load.under_way()
        pid = ground.system.parts.postgres.pid
        if how == "killed":
            await ground.system.kill_part("postgres")
        else:
            await crash(ground.system)
        await ground.system.start_part("postgres")
        ended = time.monotonic()
    happened = f"pid {pid} -> {ground.system.parts.postgres.pid}"
    fault = "database killed" if how == "killed" else "pg_ctl stop -m immediate"
    await ground.judge(fault, happened, record_property, ended=ended)


@pytest.mark.parametrize("seconds", [6, 60])
async def test_a_database_that_is_away_is_503_and_named(
    ground: Ground, record_property: Recorder, seconds: float
) -> None:
    async with ground.load() as load:
        await load.under_way()
        await ground.system.kill_part("postgres")
        begun = time.monotonic()
        sights = []
        for name in ground.system.processes:
            found = await ground.system.sees(name, "database")
            sights.append(Sight(f"database away at {name}", found[0], found[1], "database"))
        answer = await ground.cast.pairs[0][0].get("/needs")
        refused(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0
        await lasting(begun, seconds)
        await ground.system.start_part("postgres")
        ended = time.monotonic()
    await ground.judge("database away", f"{ended - begun:.0f} s", record_property, ended=ended, sights=tuple(sights))


async def test_all_sessions_ended_again_and_again(ground: Ground, record_property: Recorder) -> None:
    ended_sessions = 0
    async with ground.load(lives=12) as load:
        for so_far in (10, 40, 70):
            await load.under_way(so_far)
            ended_sessions += await end_all_sessions(ground.system)
        ended = time.monotonic()
    assert ended_sessions > 12
    await ground.judge(
        "pg_terminate_backend on everything, 3 times", f"{ended_sessions} ended", record_property, ended=ended
    )


@contextlib.asynccontextmanager
async def transaction(system: Installation, name: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody's transaction that stays open as long as the block, then rolls back."""
    connection = await system.connect(name)
    try:
        await connection.execute("begin")
        yield connection
    finally:
        await connection.close()


async def waiting(system: Installation, name: str) -> list[Any]:
    """Sessions of the service that wait for a lock."""
    return await system.rows(
        name,
        "select query from pg_stat_activity where wait_event_type = 'Lock' and application_name like 'bandung-%' "
        "and datname = $1",
        name,
    )


async def test_a_long_idle_transaction_holds_up_nobody_but_its_own_row(
    ground: Ground, record_property: Recorder
) -> None:
    member = ground.cast.pairs[1][0]
    need = await member.need()
    async with transaction(ground.system, "registry") as open_:
        await open_.execute("select * from need where id = $1 for update", need["id"])
        held = asyncio.create_task(member.patch(f"/needs/{need['id']}", {"title": "Waits for a lock"}))
        await eventually(lambda: waiting(ground.system, "registry"))
        async with ground.load():
            pass  # it ends although the transaction stands
        refused(await held, 503, "unavailable")
        ended = time.monotonic()
    assert (await member.patch(f"/needs/{need['id']}", {"title": "The lock is free"})).status_code == 200
    await ground.judge("long idle transaction", "its row was 503", record_property, ended=ended)


async def test_a_deadlock_ends_with_a_retry_and_one_effect(ground: Ground, record_property: Recorder) -> None:
    member = ground.cast.pairs[2][0]
    need = await member.need()
    path = f"/needs/{need['id']}"
    async with transaction(ground.system, "registry") as other:
        await other.execute(
            "select * from sequences where topic = 'registry.needs' and key = $1 for update", need["id"]
        )
        held = asyncio.create_task(member.patch(path, {"title": "Both want both"}))
        await eventually(lambda: waiting(ground.system, "registry"))
        crossing = asyncio.create_task(other.execute("select * from need where id = $1 for update", need["id"]))
        outcomes = await asyncio.wait_for(
            asyncio.gather(eventually(crossing.done, 20), asyncio.wait({held}, timeout=20)), 40
        )
    ended = time.monotonic()
    deadlocked = "deadlock" in str(crossing.exception()) or (await held).status_code == 503
    assert outcomes
    if (await held).status_code == 503:
        assert (await member.patch(path, {"title": "Both want both"})).status_code == 200
    assert (await member.read(path))["version"] == 2
    await ground.judge("deadlock", "one was ended" if deadlocked else "", record_property, ended=ended)


async def test_a_pool_that_is_full_is_503_at_once_and_heals(ground: Ground, record_property: Recorder) -> None:
    member = ground.cast.pairs[3][0]
    async with transaction(ground.system, "registry") as open_:
        await open_.execute("lock table need in access exclusive mode")
        stuck = [asyncio.create_task(member.get("/needs")) for _ in range(10)]
        await eventually(lambda: ten_wait(ground.system))
        begun = time.monotonic()
        answer = await member.get(member.path)
        refused(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert time.monotonic() - begun < 5
        ended = time.monotonic()
    assert {answer.status_code for answer in await asyncio.gather(*stuck)} <= {200, 503}
    async with ground.load(lives=4):
        pass
    await ground.judge("pool exhausted", "503 after 10 stuck calls", record_property, ended=ended)


async def ten_wait(system: Installation) -> bool:
    return len(await waiting(system, "registry")) >= 10


async def test_a_full_disk_under_the_outbox_refuses_writes_and_heals(ground: Ground, record_property: Recorder) -> None:
    system, member = ground.system, ground.cast.pairs[4][0]
    with small_disk(system) as folder:
        async with outbox_on(system, "registry", folder):
            async with ground.load() as load:
                await load.under_way()
                words = await fill_disk(system, "registry")
                await eventually(lambda: full(member))
                await empty_disk(system, "registry")
                ended = time.monotonic()
            await ground.judge("disk full for the outbox", words[:30], record_property, ended=ended)


async def full(member: Any) -> bool:
    """A write is refused for now, and says so."""
    answer = await member.post("/needs", need_body(title="No room"))
    assert answer.status_code == 503, answer.text
    return answer.json()["code"] == "unavailable"


async def test_a_schema_behind_its_code_is_named_and_heals_with_the_migration(
    ground: Ground, record_property: Recorder
) -> None:
    """An old deploy's migration comes down under load, and up again."""
    system = ground.system
    connection = await system.connect("projects")
    try:
        async with ground.load() as load:
            await load.under_way()
            kept = await connection.fetch("select * from published_log")
            await connection.execute("drop table published_log")
            await connection.execute("update alembic_version set version_num = '0001'")
            found = await system.sees("projects", "run `bandung migrate`")
            done = await migrate.upgrade(system.parts.postgres.url("projects"), system.services["projects"].migrations)
            ended = time.monotonic()
    finally:
        await connection.close()
    assert kept
    assert done
    seen = Sight("schema behind its code", found[0], found[1], "run `bandung migrate`")
    await ground.judge("migration down and up", f"{done} ran", record_property, ended=ended, sights=(seen,))
