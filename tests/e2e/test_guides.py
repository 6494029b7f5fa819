"""The guides, followed to the letter: README.md, shared/contracts/README.md and deploy/README.md."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from tests.support import guides
from tests.support.parts import Parts
from tests.support.system import ROOT, START_SECONDS, System, free_ports
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio

INTEGRATORS = "shared/contracts/README.md"
OPERATORS = "deploy/README.md"
SERVICES = ("registry", "matching", "projects", "notifications")
BIN = ROOT / ".venv" / "bin"


def block(guide: str, name: str) -> str:
    """The command block of this name."""
    [found] = [found.text for found in guides.blocks(guide) if found.name == name]
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """A system on which nobody else acts."""
    system = System(Path(tmp_path_factory.mktemp("guides")) / "home")
    await system.start()
    try:
        yield system
    finally:
        await system.end()


async def test_ten_commands_lead_from_nothing_to_a_verified_webhook(own: System, tmp_path: Path) -> None:
    commands = [found for found in guides.blocks(INTEGRATORS) if found.heading.startswith("Ten commands")]
    env = {"BANDUNG_HOME": str(own.home), "PORT": str(free_ports(1)[0])}
    printed = await guides.transcript(commands, tmp_path, env)
    assert len(commands) == 10
    for command, output in zip(commands, printed, strict=True):
        assert guides.masked(output) == guides.masked(command.shown or ""), command.text
    assert "verified org.bandung.MatchProposed.v1" in printed[-1]


async def test_the_receiver_of_the_guide_refuses_what_is_not_signed(own: System, tmp_path: Path) -> None:
    [program] = [found.text for found in guides.blocks(INTEGRATORS) if "receive.py <<" in found.text]
    source = re.search(r"<<'PY'\n(.*?)^PY$", program, re.DOTALL | re.MULTILINE)
    assert source is not None
    assert own.local["endpoints"]
    [port] = free_ports(1)
    env = os.environ | {"SECRET": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "PORT": str(port)}
    process = await asyncio.create_subprocess_exec("python3", "-c", source[1], cwd=tmp_path, env=env)
    try:
        headers = {"webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"}
        body = {"type": "x", "data": {"match": {"provider": {"name": "n"}, "need_title": "t"}}}

        async def refused() -> bool:
            try:
                async with httpx.AsyncClient(trust_env=False) as client:
                    answer = await client.post(f"http://127.0.0.1:{port}/", json=body, headers=headers)
            except httpx.ConnectError:
                return False
            return answer.status_code == 401

        await eventually(refused)
    finally:
        process.kill()
        await process.wait()


async def test_make_run_starts_the_whole_system(tmp_path: Path) -> None:
    ports = free_ports(6)
    home = tmp_path / "home"
    env = {
        "BANDUNG_HOME": str(home),
        "BANDUNG_PORTS": ",".join(map(str, ports[:5])),
        "BANDUNG_KAFKA_PORT": str(ports[5]),
    }
    printed = tmp_path / "printed"
    with printed.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", block("README.md", "start")),
            cwd=ROOT,
            env=os.environ | env,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        await eventually((home / "local.json").exists, START_SECONDS)
        os.kill(json.loads((home / "local.json").read_text())["pids"]["bandung"], signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    assert "NotLeader" not in printed.read_text()  # that new topics have no leader for a moment is nobody's worry


async def test_platform_keys_are_made_and_work(own: System, tmp_path: Path) -> None:
    shown = await _typed(own, tmp_path, "platform-keys")
    keys = re.findall(r"(operator|verifier) *│ *(bdk_[\w-]+) *│ *(bds_[\w-]+)", shown)
    assert [role for role, _, _ in keys] == ["operator", "verifier"]
    for _, client_id, secret in keys:
        assert await own.token(client_id, secret)


async def test_the_signing_key_is_rotated_and_no_token_breaks(own: System, tmp_path: Path) -> None:
    before = await own.operator.headers()
    known = await _served_keys(own)
    await _typed(own, tmp_path, "signing-key")
    await eventually(lambda: _has_more_keys(own, known))
    registry, matching = own.client("registry"), own.client("matching")
    for client, path in ((registry, "/needs"), (matching, "/matches")):
        assert (await client.get(path, headers=before)).status_code == 200


async def test_looking_after_it_shows_a_system_that_is_well(own: System, tmp_path: Path) -> None:
    shown = await _typed(own, tmp_path, "look")
    assert "Dead letters: none" in shown
    assert all(name in shown for name in SERVICES)


async def _typed(system: System, folder: Path, name: str) -> str:
    """The output of a block of the operator's guide."""
    env = {"BANDUNG_HOME": str(system.home), "PATH": f"{BIN}:{os.environ['PATH']}"}
    code, output, errors = await guides.run(block(OPERATORS, name), folder, env)
    assert code == 0, output + errors
    return output


async def _served_keys(system: System) -> set[str]:
    answer = await system.client("registry").get("/.well-known/jwks.json")
    return {key["kid"] for key in answer.json()["keys"]}


async def _has_more_keys(system: System, known: set[str]) -> bool:
    return known < await _served_keys(system)


async def test_one_service_runs_on_ones_own_postgresql_and_kafka(parts: Parts, tmp_path: Path) -> None:
    [port] = free_ports(1)
    await _write_env(parts, tmp_path, REGISTRY_PORT=str(port))
    script, log = block("README.md", "own-parts"), tmp_path / "output"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *("bash", "-eu", "-c", script),
            cwd=tmp_path,
            env=_with_commands(),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:

        async def ready() -> bool:
            assert process.returncode is None, log.read_text()
            try:
                async with httpx.AsyncClient(trust_env=False) as client:
                    return (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(ready)
        assert re.search(r"bdk_\w+", log.read_text())  # the operator's key was shown
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        await process.wait()


async def _write_env(parts: Parts, folder: Path, **settings: str) -> None:
    """`.env` from `.env.example`, with one's own addresses in place of the examples."""
    text = (ROOT / ".env.example").read_text()
    for name in SERVICES:
        url = await parts.new_database(name)
        text = re.sub(
            rf"^{name.upper()}_DATABASE_URL=.*$", f"{name.upper()}_DATABASE_URL={url}", text, flags=re.MULTILINE
        )
    text = text.replace("BANDUNG_KAFKA_BOOTSTRAP=127.0.0.1:9092", f"BANDUNG_KAFKA_BOOTSTRAP={parts.bootstrap}")
    lines = [f"{name}={value}" for name, value in settings.items()]
    prefix = f"BANDUNG_TOPIC_PREFIX=g{uuid4().hex[:8]}."
    (folder / ".env").write_text("\n".join([text, prefix, *lines, ""]))


def _with_commands() -> dict[str, str]:
    """The environment with `bandung` on the path and no settings of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BANDUNG_")}
    return kept | {"PATH": f"{BIN}:{os.environ['PATH']}"}
