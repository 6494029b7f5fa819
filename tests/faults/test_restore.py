"""A database that is set back to a backup, or lost, comes to hold what it would have held without the accident."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from shared.data import migrate
from shared.messaging.kafka import admin
from tests.faults.installation import Installation, installed
from tests.faults.read_models import differences, read_models
from tests.faults.striking import Ground
from tests.faults.workload import Cast
from tests.support.system import ROOT
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    Recorder = Callable[[str, object], None]

pytestmark = pytest.mark.asyncio
DAY = 24 * 3600
COMPACTED = ("registry.institutions", "registry.capabilities")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def fresh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    """An installation of this module's own: databases go back in time here."""
    async for system in installed(tmp_path_factory.mktemp("restore")):
        yield Ground(system, await Cast.of(system))


async def command(system: Installation, service: str, *words: str, code: int = 0) -> Any:
    """`python -m services.<service> <words> --json`; what it printed."""
    env = os.environ | system.processes[service].env | {"BANDUNG_KAFKA_BOOTSTRAP": system.local["kafka"]}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"services.{service}",
        *words,
        cwd=ROOT,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == code, (out.decode(), err.decode())
    return json.loads(out.splitlines()[-1]) if code == 0 else err.decode()


async def backup(system: Installation, service: str, folder: Path) -> str:
    [made] = await command(system, service, "backup", str(folder), "--json")
    assert made["rows"] > 0
    return str(made["file"])


async def hour(ground: Ground) -> None:
    """What happens between the backup and the accident."""
    async with ground.load(lives=8):
        pass
    await ground.system.all_ready()


async def test_a_read_model_that_was_set_back_becomes_what_it_would_have_been(
    fresh: Ground, record_property: Recorder, tmp_path: Path
) -> None:
    system = fresh.system
    await hour(fresh)
    file = await backup(system, "notifications", tmp_path)
    at_backup = await read_models(system)
    await hour(fresh)
    wanted = await read_models(system)
    assert differences(at_backup, wanted), "nothing happened in the hour"
    async with fresh.load() as load:  # the others go on meanwhile
        await load.under_way()
        await system.processes["notifications"].stop()
        [told] = await command(system, "notifications", "restore", "notifications", file, "--json")
        lost = len(wanted["notifications.event"]) - len((await read_models(system))["notifications.event"])
        system.processes["notifications"].start()
        ended = time.monotonic()
    assert told["taken_at"] < "9"
    assert lost > 100
    await fresh.judge("a database set back to a backup", f"{lost} rows of the feed lost", record_property, ended=ended)
    found = await read_models(system)
    assert not wanted["notifications.event"] - found["notifications.event"]
    assert not wanted["notifications.inbox_entry"] - found["notifications.inbox_entry"]
    assert not wanted["notifications.institution"] - found["notifications.institution"]


async def test_a_service_that_runs_is_not_restored(fresh: Ground, tmp_path: Path) -> None:
    file = await backup(fresh.system, "projects", tmp_path)
    told = await command(fresh.system, "projects", "restore", "projects", file, code=1)
    assert "stop it first" in told
    other = await command(fresh.system, "matching", "restore", "matching", file, code=1)
    assert "this is a backup of projects" in other
    await fresh.system.all_ready()


async def move_on(system: Installation, days: int) -> None:
    """Every service in another week."""
    for process in system.processes.values():
        process.env["BANDUNG_TIME_OFFSET_SECONDS"] = str(days * DAY)
        await process.restart()
    await system.all_ready()


async def compacted(system: Installation) -> int:
    """Makes Kafka do now what it does after 14 days; how many records went."""
    config = {
        "cleanup.policy": "compact",
        "min.compaction.lag.ms": "0",
        "segment.ms": "50",
        "min.cleanable.dirty.ratio": "0.001",
        "delete.retention.ms": "100",
    }
    before = len(await system.records(*COMPACTED))
    async with admin(system.local["kafka"]) as client:
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, t, config) for t in COMPACTED])

    async def fewer() -> int:
        member = await Cast.of(system)  # new records roll the segments
        assert member.pairs
        return before - len(await system.records(*COMPACTED))

    return await eventually(fewer, 90)


@pytest.mark.long
async def test_a_new_database_after_thirty_days_equals_the_old_one(fresh: Ground, record_property: Recorder) -> None:
    system = fresh.system
    await hour(fresh)
    await move_on(system, 30)
    await hour(fresh)
    wanted = await read_models(system)
    process = system.processes["notifications"]
    await process.stop()
    await system.rows("registry", "drop database notifications")
    await system.parts.postgres.ensure_database("notifications")
    await migrate.upgrade(system.parts.postgres.url("notifications"), system.services["notifications"].migrations)
    assert not (await read_models(system))["notifications.event"]
    process.start()
    ended = time.monotonic()
    await fresh.judge("a new database after 30 days", "empty at first", record_property, ended=ended)
    assert differences(wanted, await read_models(system)) == []
