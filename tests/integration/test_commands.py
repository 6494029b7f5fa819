"""The command line over a running embedded system: what an operator types, and what comes back."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio

import services
from tests.support.system import Record, System
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio

ROOT = Path(services.__file__).parent.parent


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    running = System(tmp_path_factory.mktemp("commands") / "home")
    await running.start()
    yield running
    await running.end()


async def bandung(home: Path, *words: str, code: int = 0) -> str:
    """What the command prints to standard output; it must end with this code."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "services", *words],
        cwd=ROOT,
        env=os.environ | {"BANDUNG_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stdout + done.stderr


async def rows(home: Path, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(await bandung(home, *words, "--json"))
    return found


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["up"],
        ["run"],
        ["migrate"],
        ["topics"],
        ["topics", "ensure"],
        ["doctor"],
        ["demo"],
        ["tail"],
        ["keys"],
        ["keys", "create"],
        ["keys", "revoke"],
        ["outbox"],
        ["dead-letters"],
        ["dead-letters", "redrive"],
        ["snapshot"],
        ["backup"],
        ["restore"],
        ["restored"],
        ["contracts"],
        ["contracts", "list"],
        ["contracts", "write"],
        ["contracts", "check"],
        ["contracts", "release"],
        ["docs"],
        ["registry", "snapshot"],
        ["matching"],
        ["matching", "words"],
    ],
    ids=" ".join,
)
async def test_every_command_explains_itself(tmp_path: Path, words: list[str]) -> None:
    assert "Usage" in await bandung(tmp_path, *words, "--help")


async def test_doctor_is_green_on_a_healthy_system(system: System) -> None:
    states = {row["part"]: row["state"] for row in await rows(system.home, "doctor")}
    assert {states[name] for name in ("registry", "matching", "projects", "notifications", "console")} == {"green"}


async def test_doctor_names_the_cause_and_the_way_out_when_nothing_runs(tmp_path: Path) -> None:
    printed = await bandung(tmp_path, "doctor", code=1)
    assert "nothing runs" in printed
    assert "bandung up" in printed


async def test_a_demo_without_a_system_says_how_to_start_one(tmp_path: Path) -> None:
    assert "bandung up" in await bandung(tmp_path, "demo", code=1)


async def test_migrate_and_topics_find_nothing_left_to_do(system: System) -> None:
    assert await rows(system.home, "migrate") == []
    outcomes = {row["outcome"] for row in await rows(system.home, "topics", "ensure")}
    assert outcomes == {"present"}


async def all_sent(system: System) -> None:
    """Until the outboxes of all services are empty."""

    async def empty() -> bool:
        unsent = {row["service"]: row["unsent"] for row in await rows(system.home, "outbox")}
        assert unsent == dict.fromkeys(("registry", "matching", "projects", "notifications"), 0)
        return True

    await eventually(empty)


async def test_outbox_and_dead_letters_are_empty(system: System) -> None:
    await all_sent(system)
    assert await rows(system.home, "dead-letters", "list") == []
    assert "no dead letter 7" in await bandung(system.home, "dead-letters", "show", "matching", "7", code=1)


async def test_without_posted_texts_there_are_no_unknown_words(system: System) -> None:
    assert await rows(system.home, "matching", "words") == []


async def test_a_platform_key_works_until_it_is_revoked(system: System) -> None:
    [key] = await rows(system.home, "keys", "create", "--role", "operator")
    assert await token_status(system, key) == 200
    [revoked] = await rows(system.home, "keys", "revoke", key["client_id"])
    assert revoked["status"] == "revoked"
    assert await token_status(system, key) == 401
    assert "No such key" in await bandung(system.home, "keys", "revoke", "bdk_nobody", code=1)


async def token_status(system: System, key: dict[str, Any]) -> int:
    form = {"grant_type": "client_credentials", "client_id": key["client_id"], "client_secret": key["client_secret"]}
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.post(f"{system.local['endpoints']['registry']}/token", data=form)).status_code


async def test_a_snapshot_tells_everything_again_under_a_new_epoch(system: System) -> None:
    await all_sent(system)
    before = await system.records("registry.centres")
    [row] = await rows(system.home, "registry", "snapshot")
    assert row["events"] >= len({record.key for record in before})
    again = await eventually(lambda: restated(system, {record.key for record in before}))
    assert not {record.id for record in again} & {record.id for record in before}


async def restated(system: System, keys: set[str]) -> list[Record]:
    """The records of the new epoch, once every key has one."""
    again = [record for record in await system.records("registry.centres") if record.sequence.startswith("0002-")]
    assert {record.key for record in again} == keys
    return again


async def test_the_catalogue_lists_every_event_with_its_schema(system: System) -> None:
    catalogue = {row["event"]: row for row in await rows(system.home, "contracts", "list")}
    assert len(catalogue) > 50
    assert catalogue["NeedPosted"]["type"] == "org.bandung.NeedPosted.v1"
    assert "need" in catalogue["NeedPosted"]["schema"]["properties"]


async def test_an_unknown_service_is_refused_with_the_names_that_exist(system: System) -> None:
    assert "registry, matching, projects, notifications" in await bandung(system.home, "snapshot", "nothing", code=1)


@pytest.mark.parametrize("words", [["snapshot", "nonsense"], ["outbox", "--service", "matching"]], ids=" ".join)
async def test_a_service_s_own_command_takes_no_other_name_for_its_own(tmp_path: Path, words: list[str]) -> None:
    """In a container there is one service: a wrong name must not be done to it."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "services.projects", *words],
        cwd=ROOT,
        env=os.environ | {"BANDUNG_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip() == f"There is no service {words[-1]} here, only projects."
