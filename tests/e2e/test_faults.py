"""What a machine does to a system: parts die, power goes, the operator is impatient (contract, 0, 14 and 16)."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.e2e.world import World, need_body
from tests.support.system import SERVICES, Receiver, System, refused, succeeded
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio

HEALED_SECONDS = 60


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def mortal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    system = System(tmp_path_factory.mktemp("mortal") / "home")
    await system.start()
    try:
        yield system
    finally:
        await system.end()


@pytest_asyncio.fixture(loop_scope="session")
async def known(mortal: System) -> System:
    """The system with the pids of all its parts known, as a fault may have changed them."""
    await mortal.ensure_pids()
    await all_ready(mortal)
    return mortal


async def readiness(system: System) -> dict[str, str]:
    answers = {name: await system.client(name).get("/readyz") for name in SERVICES}
    return {name: answer.json()["status"] for name, answer in answers.items()}


async def all_ready(system: System) -> None:
    async def ready() -> bool:
        found = await readiness(system)
        assert set(found.values()) == {"ready"}, found
        return True

    await eventually(ready, HEALED_SECONDS)


async def posted_types(system: System, need_id: str) -> list[str]:
    """As a consumer sees it: a broken producer may send a record twice, under the same id."""
    records = await system.records("registry.needs", thread=need_id)
    return list({record.id: record.type for record in records}.values())


async def test_with_kafka_killed_writes_go_on_and_events_arrive_later(known: System) -> None:
    owner = await World(known).member()
    known.signal(signal.SIGKILL, "kafka")
    needs = [await owner.need() for _ in range(6)]  # each 201, or this fails
    assert (await known.client("registry").get("/readyz")).status_code == 200
    await all_ready(known)  # `up` starts the child again by itself

    async def arrived() -> bool:
        found = [await posted_types(known, need["id"]) for need in needs]
        assert found == [["NeedPosted"]] * len(needs), found
        return True

    await eventually(arrived, HEALED_SECONDS)
    assert (await (await World(known).proposed()).opened()).match["status"] == "formalised"


async def test_readiness_says_that_kafka_is_down(known: System) -> None:
    owner = await World(known).member()
    known.signal(signal.SIGKILL, "kafka")
    await owner.need()

    async def degraded() -> bool:
        answer = await known.client("registry").get("/readyz")
        shown = succeeded(answer, 200)
        assert shown["status"] == "degraded", shown
        assert "failing" in {shown["checks"][name]["status"] for name in ("kafka", "outbox")}
        return True

    await eventually(degraded, 30)
    await all_ready(known)


async def test_every_idle_service_says_that_kafka_was_killed_before_it_is_started_again(known: System) -> None:
    known.signal(signal.SIGKILL, "kafka")

    async def degraded() -> bool:
        found = await readiness(known)
        assert set(found.values()) == {"degraded"}, found
        return True

    await eventually(degraded, 5)
    await all_ready(known)


async def test_readiness_says_that_the_broker_is_frozen_and_heals(known: System) -> None:
    owner = await World(known).member()
    known.signal(signal.SIGSTOP, "kafka")
    try:
        need = await owner.need()

        async def degraded() -> bool:
            found = await readiness(known)
            assert set(found.values()) == {"degraded"}, found
            return True

        await eventually(degraded, 30)
    finally:
        known.signal(signal.SIGCONT, "kafka")
    await all_ready(known)

    async def arrived() -> bool:
        assert await posted_types(known, need["id"]) == ["NeedPosted"]
        return True

    await eventually(arrived, HEALED_SECONDS)


async def test_with_postgres_killed_everything_says_503_and_heals(known: System) -> None:
    owner = await World(known).member()
    need = await owner.need()
    known.signal(signal.SIGKILL, "postgres")
    paths = {"registry": "/needs", "matching": "/matches", "projects": "/projects", "notifications": "/inbox"}

    async def says_so(service: str, path: str) -> None:
        async def unavailable() -> bool:
            answer = await owner.get(path)
            refused(answer, 503, "unavailable")
            assert int(answer.headers["retry-after"]) > 0
            return True

        await eventually(unavailable, 4)
        assert (await known.client(service).get("/readyz")).status_code == 503
        assert (await known.client(service).get("/livez")).status_code == 200

    # all at once: `up` starts the child again after 5 s
    await asyncio.gather(*(says_so(service, path) for service, path in paths.items()))
    refused(await owner.post("/needs", need_body()), 503, "unavailable")
    await all_ready(known)
    assert (await owner.read(f"/needs/{need['id']}"))["status"] == "open"
    pair = await (await World(known).proposed()).opened()
    assert pair.match["status"] == "formalised"


async def test_sigterm_ends_with_0_and_local_json_comes_back_with_the_same_keys(mortal: System) -> None:
    before, owner = mortal.local, await World(mortal).registered()
    need = await owner.need()
    started = time.monotonic()
    assert await mortal.stop() == 0
    assert time.monotonic() - started < 10
    await mortal.start()
    assert mortal.local["keys"] == before["keys"]
    assert mortal.local["endpoints"] == before["endpoints"]
    assert mortal.local["started_at"] > before["started_at"]
    assert mortal.local["pids"]["bandung"] != before["pids"]["bandung"]
    assert (await owner.read(f"/needs/{need['id']}"))["title"] == need["title"]


async def test_sigterm_closes_open_streams(mortal: System) -> None:
    owner = await World(mortal).registered()
    headers = await owner.headers() | {"Accept": "text/event-stream"}
    async with mortal.client("notifications").stream("GET", "/inbox/stream", headers=headers, timeout=20) as answer:
        assert answer.status_code == 200
        stopping = asyncio.create_task(mortal.stop())
        async for _ in answer.aiter_raw():
            pass
        assert await stopping == 0
    await mortal.start()


async def test_a_second_start_on_the_same_home_ends_at_once_and_harms_nothing(known: System) -> None:
    owner = await World(known).registered()
    before, printed = known.local_file.read_text(), known.output.stat().st_size
    second = known.launch()
    try:
        await eventually(lambda: second.poll() is not None)
    finally:
        if second.poll() is None:
            second.kill()
        await asyncio.to_thread(second.wait)
    assert second.returncode != 0
    assert known.local_file.read_text() == before
    assert (await owner.need())["status"] == "open"
    told = known.output.read_bytes()[printed:].decode()
    assert "is in use by another bandung" in told
    assert "Traceback" not in told


async def test_a_power_cut_loses_nothing_that_was_acknowledged(known: System) -> None:
    world = World(known)
    owner = await world.member()
    acknowledged: list[str] = []

    async def write() -> None:
        while True:
            answer = await owner.post("/needs", need_body())
            if answer.status_code == 201:
                acknowledged.append(answer.json()["id"])

    writers = [asyncio.create_task(write()) for _ in range(4)]
    await eventually(lambda: len(acknowledged) >= 40)
    await known.kill_all()
    for writer in writers:
        writer.cancel()
    await asyncio.gather(*writers, return_exceptions=True)
    await known.start()
    for need_id in acknowledged:
        assert (await owner.read(f"/needs/{need_id}"))["status"] == "open"

    async def told() -> bool:
        records = await known.records("registry.needs")
        missing = set(acknowledged) - {record.key for record in records if record.type == "NeedPosted"}
        assert not missing, f"{len(missing)} of {len(acknowledged)} events are lost"
        return True

    await eventually(told, HEALED_SECONDS)

    async def matched() -> bool:
        page = await owner.read("/matches", need_id=acknowledged[-1])
        return page["need"]["version_seen"] == 1

    await eventually(matched, HEALED_SECONDS)
    await all_ready(known)


async def test_a_record_that_is_poison_is_put_aside_and_the_operator_told(mortal: System) -> None:
    await all_ready(mortal)
    pair = await World(mortal).proposed()
    first = next(r for r in await mortal.records("registry.needs") if r.key == pair.need["id"])
    headers = [(name, value.encode()) for name, value in first.headers.items() if name != "ce_id"]
    await mortal.produce("registry.needs", b"{broken", key=b"poison", headers=[*headers, ("ce_id", b"not an id")])

    async def told() -> list[dict[str, Any]]:
        found = await mortal.operator.items("/inbox", limit=200)
        return [entry for entry in found if entry["event_type"] == "DeadLetterAdded"]

    await eventually(told)
    after = await World(mortal).proposed()
    assert after.match["status"] == "proposed", "matching goes on behind it"


async def test_webhooks_wait_for_the_system_to_come_back(mortal: System) -> None:
    async with Receiver() as receiver:
        world = World(mortal)
        owner = await world.member()
        filters: dict[str, list[str]] = {"countries": [], "isic": [], "institution_ids": [owner.id]}
        body = {"url": receiver.url(), "description": "x", "event_types": ["NeedPosted"], "filters": filters}
        await owner.make("/webhooks", body)
        needs = [await owner.need() for _ in range(3)]
        await mortal.restart(kill=True)

        def ids() -> set[str]:
            return {got.event["partitionkey"] for got in receiver.of("NeedPosted")}

        await eventually(lambda: ids() == {need["id"] for need in needs}, HEALED_SECONDS)


async def test_rates_and_tokens_are_as_short_as_wished(tmp_path: Path) -> None:
    system = System(tmp_path / "strict", BANDUNG_RATE_LIMIT_PER_MINUTE="30", BANDUNG_TOKEN_TTL_SECONDS="2")
    await system.start()
    try:
        key = next(key for key in system.local["keys"] if key["name"] == "operator")
        form = {"grant_type": "client_credentials", **{n: key[n] for n in ("client_id", "client_secret")}}
        given = succeeded(await system.client("registry").post("/token", data=form), 200)
        assert given["expires_in"] == 2
        headers = {"Authorization": f"Bearer {given['access_token']}"}

        async def ended() -> bool:
            answer = await system.client("projects").get("/projects", headers=headers)
            return answer.status_code == 401 and "invalid_token" in answer.headers["www-authenticate"]

        await eventually(ended)
        await limited(system, form)
    finally:
        await system.end()


async def limited(system: System, form: dict[str, str]) -> None:
    """More than the allowed requests of one caller are refused, in this service alone."""
    answers = []
    for _ in range(40):
        token = succeeded(await system.client("registry").post("/token", data=form), 200)["access_token"]
        answers.append(await system.client("matching").get("/matches", headers={"Authorization": f"Bearer {token}"}))
    codes = [answer.status_code for answer in answers]
    assert set(codes) == {200, 429}, codes
    last = answers[-1]
    refused(last, 429, "rate_limited")
    assert int(last.headers["retry-after"]) > 0
    assert json.loads(last.text)["status"] == 429
