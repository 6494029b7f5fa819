"""Each service runs with the code of the others absent, by its own command, and ends in order."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pytest

import services
from services import SERVICES
from shared.data import migrate
from tests.support.stack import free_port
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.parts import Parts

ROOT = Path(services.__file__).parent.parent


@pytest.mark.asyncio
@pytest.mark.parametrize("name", SERVICES)
async def test_a_service_runs_alone_and_stops_in_order(parts: Parts, name: str, tmp_path: Path) -> None:
    environment = await alone(parts, name, tmp_path)
    command = [sys.executable, "-m", f"services.{name}"]
    subprocess.run([*command, "migrate"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    log = tmp_path / "log"
    with log.open("w") as out:
        process = subprocess.Popen([*command, "run"], cwd=tmp_path, env=environment, stdout=out, stderr=out)
    try:
        await eventually(lambda: ready(int(environment["BANDUNG_PORT"])), seconds=30)
        # a topic that was just made may have no leader yet for a moment, and the outbox waits for it
        await eventually(lambda: has_metrics_on_a_port_of_their_own(environment))
    finally:
        process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        code = await asyncio.to_thread(process.wait, 15)
    assert (code, time.monotonic() - begun < 10) == (0, True), log.read_text()
    assert "loop_cancelled" not in log.read_text()  # each ended by itself, in its turn


@pytest.mark.asyncio
async def test_processes_that_migrate_at_once_do_it_once(parts: Parts, tmp_path: Path) -> None:
    environment = await alone(parts, "registry", tmp_path)
    begun = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.registry", "migrate", "--json",
            cwd=tmp_path, env=environment, stdout=subprocess.PIPE,
        )
        for _ in range(3)
    ]  # fmt: skip
    told = [json.loads((await process.communicate())[0]) for process in begun]
    assert [process.returncode for process in begun] == [0, 0, 0]
    ran = sorted(told, key=len)
    assert ran[:2] == [[], []]
    assert [row["revision"] for row in ran[2]] == migrate.revisions(ROOT / "services" / "registry" / "migrations")


def test_a_start_loads_alembic_only_where_there_is_something_to_migrate() -> None:
    imports = "\n".join(f"import {package}.app" for package in SERVICES.values())
    program = f"{imports}\nimport sys\nfrom shared.data import migrate\nprint('alembic' in sys.modules)\n"
    told = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert told.stdout.split() == ["False"]


async def alone(parts: Parts, name: str, folder: Path) -> dict[str, str]:
    """A folder with this service and the kernel only, and the environment to run it there."""
    shutil.copytree(ROOT / "shared", folder / "shared", ignore=shutil.ignore_patterns("local"))
    shutil.copytree(ROOT / "services" / name, folder / "services" / name)
    shutil.copy(ROOT / "services" / "__init__.py", folder / "services" / "__init__.py")
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("BANDUNG_")},
        f"{name.upper()}_DATABASE_URL": await parts.new_database(name),
        "BANDUNG_KAFKA_BOOTSTRAP": parts.bootstrap,
        "BANDUNG_TOPIC_PREFIX": f"alone{uuid4().hex[:8]}.",
        "BANDUNG_PORT": str(free_port()),
        "BANDUNG_METRICS_PORT": str(free_port()),
        "BANDUNG_HOME": str(folder / "home"),
    }


async def has_metrics_on_a_port_of_their_own(environment: dict[str, str]) -> bool:
    """There and nowhere else; every check of `/readyz` is among them."""
    async with httpx.AsyncClient(trust_env=False) as client:
        there = await client.get(f"http://127.0.0.1:{environment['BANDUNG_METRICS_PORT']}/metrics")
        here = await client.get(f"http://127.0.0.1:{environment['BANDUNG_PORT']}/metrics")
        checks = (await client.get(f"http://127.0.0.1:{environment['BANDUNG_PORT']}/readyz")).json()["checks"]
    assert (there.status_code, here.status_code) == (200, 404)
    for name in checks:
        assert f'bandung_check_failing{{check="{name}"}} 0.0' in there.text
    assert 'bandung_database_pool_size{pool="api"} 10.0' in there.text
    return True


async def ready(port: int) -> bool:
    """Whether it says `ready` on this port."""
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"http://127.0.0.1:{port}/readyz")
    except httpx.TransportError:
        return False
    return bool(answer.json()["status"] == "ready")
