"""Kafka and PostgreSQL killed for real under one running service: nothing lost, everything said, healed alone."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psutil
import pytest
import pytest_asyncio

from shared import run
from shared.local.parts import LocalParts
from tests.support.kafka import read_topic
from tests.support.parts import Parts
from tests.support.probe import TOPIC, Heard, Probe, Thing, running_probe
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalParts]:
    """Parts of this module alone, since it kills them."""
    async with LocalParts(tmp_path_factory.mktemp("own"), say=lambda _line: None) as parts:
        yield parts


@pytest_asyncio.fixture(loop_scope="session")
async def probe(own: LocalParts) -> AsyncIterator[Probe]:
    async with running_probe(Parts(own.postgres.url("{}"), own.kafka.bootstrap)) as running:
        await eventually(lambda: is_status(running, "ready"))
        yield running


async def kill(part: Any) -> None:
    """SIGKILL of the real process, seen to be gone."""
    pid = part.pid
    process = psutil.Process(pid)
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    await part.wait()
    assert part.pid is None


async def is_status(probe: Probe, wanted: str) -> bool:
    body = (await probe.client.get("/readyz")).json()
    assert body["status"] == wanted, body
    return True


async def make(probe: Probe, title: str, **headers: str) -> int:
    answer = await probe.client.post("/things", json={"title": title}, headers=probe.as_owner() | headers)
    return answer.status_code


async def heard(probe: Probe, number: int) -> bool:
    return await probe.count(Heard) == number


async def test_with_kafka_dead_writes_go_on_and_their_events_arrive_when_it_is_back(
    own: LocalParts, probe: Probe
) -> None:
    await make(probe, "before")
    await eventually(lambda: heard(probe, 1))
    await kill(own.kafka)
    assert [await make(probe, f"during {n}") for n in range(20)] == [201] * 20
    checks = (await eventually(lambda: failing_kafka(probe)))["checks"]
    assert checks["outbox"]["unsent"] == 20
    assert "since" in checks["kafka"]["detail"]
    await own.kafka.start()
    begun = time.monotonic()
    await eventually(lambda: heard(probe, 21), seconds=60)
    await eventually(lambda: is_status(probe, "ready"))
    on_kafka = await read_topic(own.kafka.bootstrap, probe.running.settings.topic_prefix + TOPIC.name)
    assert len({event.id for event in on_kafka}) == 21
    print(
        f"kafka killed: 21 events, lost 0, duplicates {len(on_kafka) - 21}, healed in {time.monotonic() - begun:.1f} s"
    )


async def failing_kafka(probe: Probe) -> dict[str, Any] | None:
    answer = await probe.client.get("/readyz")
    body: dict[str, Any] = answer.json()
    failing = body["checks"]["kafka"]["status"] == "failing" and body["checks"].get("outbox", {}).get("unsent") == 20
    return body if answer.status_code == 200 and body["status"] == "degraded" and failing else None


async def test_with_postgresql_dead_calls_are_503_and_it_heals_without_a_restart(own: LocalParts, probe: Probe) -> None:
    assert await make(probe, "before") == 201
    await kill(own.postgres)
    answer = await probe.client.get("/things", headers=probe.as_owner())
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert await make(probe, "lost") == 503
    ready = await probe.client.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]["database"]["status"]) == (503, "failing")
    assert (await probe.client.get("/livez")).status_code == 200
    await own.postgres.start()
    begun = time.monotonic()
    await eventually(lambda: is_status(probe, "ready"), seconds=60)
    assert await make(probe, "after") == 201
    await eventually(lambda: heard(probe, 2), seconds=60)
    titles = {row.title for row in await probe.rows("select title from thing")}
    assert titles == {"before", "after"}
    print(f"postgresql killed: 2 events, lost 0, healed in {time.monotonic() - begun:.1f} s")


async def test_a_database_that_goes_away_while_events_are_handled_loses_none(own: LocalParts, probe: Probe) -> None:
    writers = asyncio.gather(*(make_many(probe, n) for n in range(4)))
    await eventually(lambda: heard_some(probe))
    await kill(own.postgres)
    await own.postgres.start()
    acknowledged = sum(await writers)
    await eventually(lambda: is_status(probe, "ready"), seconds=60)
    made = await probe.count(Thing)
    assert made >= acknowledged > 0
    await eventually(lambda: heard(probe, made), seconds=60)
    on_kafka = await read_topic(own.kafka.bootstrap, probe.running.settings.topic_prefix + TOPIC.name)
    assert len({event.id for event in on_kafka}) == made


async def make_many(probe: Probe, writer: int) -> int:
    codes = [await make(probe, f"writer {writer} thing {n}") for n in range(40)]
    return codes.count(201)


async def heard_some(probe: Probe) -> bool:
    return await probe.count(Heard) > 5


async def test_a_failing_commit_is_a_5xx_without_row_or_event(probe: Probe) -> None:
    await probe.rows_committed("""
        create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$
    """)
    await probe.rows_committed("""
        create constraint trigger refuse after insert on thing deferrable initially deferred
        for each row execute function refuse()
    """)
    key = {"idempotency-key": "commit-fails"}
    owner = probe.as_owner(sub="key:commit")
    answer = await probe.client.post("/things", json={"title": "ghost"}, headers=owner | key)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "refuse" not in answer.text
    assert await probe.count(Thing) == 0
    assert await probe.count(probe.running.service.kernel.outbox) == 0
    await probe.rows_committed("drop trigger refuse on thing")
    again = await probe.client.post("/things", json={"title": "real"}, headers=owner | key)
    assert (again.status_code, again.headers.get("idempotency-replayed")) == (201, None)


@pytest.mark.parametrize("dead", ["kafka", "postgres"])
async def test_shutdown_is_quick_with_a_part_dead(tmp_path: Path, dead: str) -> None:
    async with (
        LocalParts(tmp_path, say=lambda _line: None) as parts,
        running_probe(Parts(parts.postgres.url("{}"), parts.kafka.bootstrap)) as probe,
    ):
        await eventually(lambda: is_status(probe, "ready"))
        await kill(getattr(parts, dead))
        begun = time.monotonic()
        await run.stop([probe.loops])
        assert time.monotonic() - begun < 10


async def test_the_topic_prefix_keeps_installations_apart(own: LocalParts) -> None:
    parts = Parts(own.postgres.url("{}"), own.kafka.bootstrap)
    async with running_probe(parts, prefix=f"a{uuid4().hex[:6]}.") as one, running_probe(parts) as other:
        await make(one, "only here")
        await eventually(lambda: heard(one, 1))
        assert await other.count(Heard) == 0


async def test_an_idle_service_notices_that_kafka_is_gone(own: LocalParts, probe: Probe) -> None:
    await kill(own.kafka)
    await eventually(lambda: says_unreachable(probe, own.kafka.bootstrap), seconds=30)
    await own.kafka.start()
    await eventually(lambda: is_status(probe, "ready"), seconds=60)


async def says_unreachable(probe: Probe, bootstrap: str) -> bool:
    body = (await probe.client.get("/readyz")).json()
    assert body["status"] == "degraded", body
    return str(body["checks"]["kafka"].get("detail")).startswith(f"no broker reachable at {bootstrap} since ")
