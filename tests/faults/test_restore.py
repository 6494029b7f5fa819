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
from tests.faults.striking import Ground, lasting
from tests.faults.tools.broker import lose_the_disk
from tests.faults.workload import Cast
from tests.support.system import ROOT, SERVICES
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    Recorder = Callable[[str, object], None]

pytestmark = [pytest.mark.asyncio, pytest.mark.long]
IDLE_TIMER_SECONDS = 15
LEAST_GONE = 6
"""Half of the institutions' first records; a partition that gets no new record is left as it is."""
COMPACTED = ("registry.institutions", "registry.capabilities")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def fresh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    """An installation of this module's own: databases go back in time here."""
    async with installed(tmp_path_factory.mktemp("restore")) as system:
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


async def compacted(system: Installation) -> int:
    """Makes Kafka do now what it does after 14 days; how many records went, `LEAST_GONE` or more."""
    config = {
        "cleanup.policy": "compact",
        "min.compaction.lag.ms": "0",
        "segment.ms": "50",
        "min.cleanable.dirty.ratio": "0.001",
        "delete.retention.ms": "100",
    }
    await Cast.of(system)  # whatever became of older ones, these have a past that can go
    before = {record.id for record in await system.records(*COMPACTED)}
    async with admin(system.local["kafka"]) as client:
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, t, config) for t in COMPACTED])

    async def gone() -> int:
        await Cast.of(system)  # new records end the segments, and Kafka looks at ended ones only
        found = len(before - {record.id for record in await system.records(*COMPACTED)})
        return found if found >= LEAST_GONE else 0

    return await eventually(gone, 240)  # the cleaner looks every 15 s, and ended segments only


async def test_a_new_database_after_thirty_days_equals_the_old_one(fresh: Ground, record_property: Recorder) -> None:
    system = fresh.system
    await hour(fresh)
    await system.move_on(30)
    await hour(fresh)
    await quiet(system)
    wanted = await read_models(system)
    ended = await begin_anew(system, "notifications")
    await fresh.judge("a new database after 30 days", "empty at first", record_property, ended=ended)
    assert differences(wanted, await read_models(system)) == []


async def quiet(system: Installation) -> None:
    """Until nothing was written for longer than an idle timer waits: all that was due is done."""

    async def unmoved() -> bool:
        before = await system.outbox_sizes()
        await lasting(time.monotonic(), IDLE_TIMER_SECONDS)
        return await system.outbox_sizes() == before

    await eventually(unmoved, 120)


async def begin_anew(system: Installation, name: str) -> float:
    """An empty database in the place of a service's; when it was started on it."""
    process, service = system.processes[name], system.services[name]
    await process.stop()
    await system.rows("registry" if name != "registry" else "matching", f"drop database {name}")
    await system.parts.postgres.ensure_database(name)
    await migrate.upgrade(system.parts.postgres.url(name), service.migrations)
    assert await system.rows(name, "select * from inbox") == []
    process.start()
    return time.monotonic()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def aged(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """An installation with a past: its topics lose their history here."""
    async with installed(tmp_path_factory.mktemp("aged")) as system:
        await hour(Ground(system, await Cast.of(system)))
        yield system


async def test_a_new_database_on_compacted_topics_knows_the_last_state_of_all(aged: Installation) -> None:
    gone = await compacted(aged)
    await aged.all_ready()
    wanted = (await read_models(aged))["notifications.institution"]
    await begin_anew(aged, "notifications")
    await aged.all_ready()
    found = (await read_models(aged))["notifications.institution"]
    print(f"{gone} records compacted away, {len(found)} institutions known")
    assert gone >= LEAST_GONE
    assert found == wanted


async def test_when_all_history_is_gone_a_snapshot_tells_the_present_state(aged: Installation) -> None:
    """The disk of the broker, and what the outbox keeps for a fortnight."""
    wanted = (await read_models(aged))["notifications.institution"]
    for name in SERVICES:
        await aged.rows(name, "delete from outbox")
    before, after = await lose_the_disk(aged)
    await aged.all_ready()
    assert before != after
    assert await aged.records("registry.institutions") == []
    [told] = await command(aged, "registry", "snapshot", "registry", "--json")
    await begin_anew(aged, "notifications")
    await aged.all_ready()
    found = (await read_models(aged))["notifications.institution"]
    print(f"{told['events']} events of a snapshot, {len(found)} institutions known")
    assert found == wanted
    assert len(found) > 10


async def test_an_owner_that_was_set_back_is_heard_again_in_a_new_epoch(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """What it had said since is lost to itself; what it knew and says from now on counts for everybody."""
    async with installed(tmp_path_factory.mktemp("owner")) as system:
        ground = Ground(system, await Cast.of(system))
        member = ground.cast.pairs[0][0]
        await hour(ground)
        need = await member.need(title="As it was backed up")
        await system.all_ready()
        file = await backup(system, "registry", tmp_path)
        await member.change(f"/needs/{need['id']}", title="After the backup")
        await hour(ground)
        wanted = await read_models(system)
        await system.processes["registry"].stop()
        [told] = await command(system, "registry", "restore", "registry", file, "--json")
        assert told["events"] > 20
        system.processes["registry"].start()
        await system.all_ready()
        found = await read_models(system)
        for table in ("registry.engagement", "registry.match_view"):
            assert wanted[table] <= found[table]
        assert await title(system, need["id"]) == "As it was backed up"
        await member.change(f"/needs/{need['id']}", title="After the restore")
        await eventually(lambda: is_titled(system, need["id"], "After the restore"))
        sequences = [r.sequence for r in await system.records("registry.needs") if r.key == need["id"]]
        assert sequences == ["0001-0000000001", "0001-0000000002", "0002-0000000002", "0002-0000000003"]


async def title(system: Installation, need_id: str) -> str:
    """As matching knows it."""
    [row] = await system.rows("matching", "select title from need where id = $1", need_id)
    return str(row["title"])


async def is_titled(system: Installation, need_id: str, wanted: str) -> bool:
    return await title(system, need_id) == wanted
