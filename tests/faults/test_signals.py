"""SIGTERM at every stage of a life: while the code is read, while the start waits, at work, and at the end again."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from services import SERVICES
from services.registry.app import build
from services.registry.settings import Settings
from shared.data import migrate
from tests.faults.tools.processes import catches
from tests.support.stack import free_port
from tests.support.system import ROOT
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio
LIBRARIES = ("_asyncio", "_pydantic_core", "asyncpg")
"""Files with code that a start maps into memory one after the other: how far its imports have come."""
STAGES = [([f"services.{name}", "run"], library) for name in SERVICES for library in LIBRARIES]
STAGES += [(["services", "run", "registry"], library) for library in LIBRARIES[1:]]


def short(command: list[str], library: str) -> bool:
    """Those that `make test` has time for."""
    return library == LIBRARIES[0] or command[0] == "services.registry"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(parts: Parts) -> str:
    """A database that registry can work on."""
    url = await parts.new_database("signals")
    await migrate.upgrade(url, build(Settings()).migrations)
    return url


class Silent:
    """An address that takes connections and never says a word, as a database behind a broken network does."""

    def __init__(self, open_sockets: ExitStack) -> None:
        self._open = open_sockets
        self._listener = open_sockets.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._listener.setblocking(False)
        self.url = f"postgresql+asyncpg://somebody:secret@127.0.0.1:{self._listener.getsockname()[1]}/nothing"

    async def called(self) -> None:
        """Returns when somebody has connected."""
        accepted = asyncio.get_running_loop().sock_accept(self._listener)
        connection, _ = await asyncio.wait_for(accepted, 60)
        self._open.enter_context(connection)


@pytest.fixture
def silent() -> Iterator[Silent]:
    with ExitStack() as open_sockets:
        yield Silent(open_sockets)


@contextmanager
def started(*arguments: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of its own; killed at the end of the block if it still lives."""
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=os.environ | env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def ends(process: subprocess.Popen[bytes]) -> str:
    """SIGTERM; what it said until it ended, with 0 and within ten seconds."""
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    out, _ = await asyncio.to_thread(process.communicate, timeout=15)
    assert process.returncode == 0, out.decode()
    assert time.monotonic() - begun < 10
    return out.decode()


@pytest.mark.parametrize(
    ("command", "library"), [pytest.param(*stage, marks=() if short(*stage) else pytest.mark.long) for stage in STAGES]
)
async def test_a_service_whose_code_is_still_being_read_ends_in_order(
    silent: Silent, command: list[str], library: str
) -> None:
    with started("-m", *command, BANDUNG_DATABASE_URL=silent.url) as process:
        await eventually(lambda: library in Path(f"/proc/{process.pid}/maps").read_text())
        assert catches(process.pid, signal.SIGTERM)
        await ends(process)


async def test_a_service_that_waits_for_its_database_ends_in_order(silent: Silent) -> None:
    with started("-m", "services.registry", "run", BANDUNG_DATABASE_URL=silent.url) as process:
        await silent.called()
        assert "stopped_before_ready" in await ends(process)


async def test_a_service_that_is_told_twice_ends_in_order(parts: Parts, database: str) -> None:
    env = {"REGISTRY_DATABASE_URL": database, "BANDUNG_KAFKA_BOOTSTRAP": parts.bootstrap, "BANDUNG_EMBEDDED": "true"}
    with started("-m", "services.registry", "run", REGISTRY_PORT=str(free_port()), **env) as process:
        assert process.stdout is not None
        await asyncio.wait_for(asyncio.to_thread(read_until, process, b'"ready"'), 60)
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(asyncio.to_thread(read_until, process, b'"stopping"'), 10)
        await ends(process)


def read_until(process: subprocess.Popen[bytes], word: bytes) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if word in line:
            return
    raise AssertionError(f"ended without {word!r}")


async def test_a_command_that_is_not_done_does_not_say_that_it_is(silent: Silent) -> None:
    with started("-m", "services.registry", "migrate", BANDUNG_DATABASE_URL=silent.url) as process:
        await silent.called()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 10) == -signal.SIGTERM
