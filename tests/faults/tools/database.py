"""What can happen to PostgreSQL while services work on it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.faults.installation import Installation

DISK_MB = 12
FILL_ROWS = 20_000


async def end_all_sessions(system: Installation) -> int:
    """`pg_terminate_backend` on every session of every service; how many there were."""
    ended = await system.rows(
        "registry",
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'bandung-%'",
    )
    return len(ended)


async def crash(system: Installation) -> int:
    """What `pg_ctl stop -m immediate` does: no checkpoint, recovery at the next start. Returns the exit code."""
    postgres = system.parts.postgres
    assert postgres.pid is not None
    os.kill(postgres.pid, signal.SIGQUIT)
    return await postgres.wait()


@contextlib.contextmanager
def small_disk(system: Installation) -> Iterator[Path]:
    """A file system of its own of a few megabytes, where the server's user can reach it."""
    folder = Path(tempfile.mkdtemp(prefix="bandung-small-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        pid = system.parts.postgres.pid
        user = psutil.Process(pid).uids().real
        os.chown(folder, user, -1)
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


@contextlib.asynccontextmanager
async def outbox_on(system: Installation, name: str, folder: Path) -> AsyncIterator[None]:
    """The outbox of a service and all its indexes on that disk, as seen by the server; back again at the end."""
    connection = await system.connect(name)
    try:
        await connection.execute(f"create tablespace small location '{folder}'")
        await _move(connection, "small")
        yield
        await _move(connection, "pg_default")
        await connection.execute("drop table if exists filler")
        await connection.execute("drop tablespace small")
    finally:
        await connection.close()


async def _move(connection: Any, where: str) -> None:
    indexes = await connection.fetch("select indexname from pg_indexes where tablename = 'outbox'")
    await connection.execute(f"alter table outbox set tablespace {where}")
    for index in indexes:
        await connection.execute(f"alter index {index['indexname']} set tablespace {where}")


async def fill_disk(system: Installation, name: str) -> str:
    """Fills the small disk; the server's words when it was full."""
    connection = await system.connect(name)
    try:
        await connection.execute("create table filler (x text) tablespace small")
        for rows in (FILL_ROWS, 2000, 200, 20, 2):  # ever smaller bites, until nothing fits any more
            words = await _bite(connection, rows)
        return words
    finally:
        await connection.close()


async def _bite(connection: Any, rows: int) -> str:
    while True:
        try:
            await connection.execute(
                "insert into filler select repeat(md5(n::text), 30) from generate_series(1, $1) n", rows
            )
        except asyncpg.DiskFullError as error:
            return str(error)


async def empty_disk(system: Installation, name: str) -> None:
    """Room again."""
    await system.rows(name, "drop table filler")
