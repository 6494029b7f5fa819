"""A consistent copy of one service's database in one file, and its way back. Needs no programs of PostgreSQL.

The file is a ZIP: `manifest.json`, and per table its rows in PostgreSQL's binary COPY format.
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Any

import asyncpg

from shared.data.database import CONNECT_SECONDS, server_settings
from shared.data.migrate import IS_MIGRATED, REVISION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime
    from pathlib import Path

FORMAT = 1
_CHUNK = 1 << 20
_TABLES = "select tablename from pg_tables where schemaname = 'public' order by tablename"
_COLUMNS = """
    select column_name, identity_generation is not null as counts from information_schema.columns
    where table_schema = 'public' and table_name = $1 and is_generated = 'NEVER' order by ordinal_position
"""
_SESSIONS = """
    select count(*) from pg_stat_activity
    where datname = current_database() and application_name like 'bandung-%' and pid <> pg_backend_pid()
"""


class CannotRestore(Exception):  # noqa: N818 (said to a person as it is)
    """Why a backup is not taken in; nothing was changed."""


@dataclass(frozen=True)
class Manifest:
    """What a backup is of."""

    service: str
    instance: str
    revision: str | None
    taken_at: str
    tables: dict[str, int]
    """Table -> rows."""
    format: int = FORMAT


async def backup(url: str, file: Path, *, service: str, instance: str, at: datetime) -> Manifest:
    """Writes the whole database as it is at one moment, while the service runs; the file is there whole or not."""
    half = file.with_name(f"{file.name}.half")
    async with _connected(url) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        revision = await _revision(connection)
        names = [row["tablename"] for row in await connection.fetch(_TABLES)]
        descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # it holds secrets
        with (
            os.fdopen(descriptor, "wb") as raw,
            zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out,
        ):
            tables = {name: await _copy_out(connection, name, out) for name in names}
            manifest = Manifest(service, instance, revision, at.isoformat(), tables)
            out.writestr("manifest.json", json.dumps(asdict(manifest), indent=1))
    half.replace(file)
    return manifest


async def restore(url: str, file: Path, *, service: str, instance: str) -> Manifest:
    """Sets the database back to the backup, in one transaction. Raises `CannotRestore`, then nothing was changed.

    The service must not run: what it holds in memory would not fit any more.
    """
    with zipfile.ZipFile(file) as source:
        manifest = Manifest(**json.loads(source.read("manifest.json")))
        async with _connected(url) as connection, connection.transaction():
            await _check(connection, manifest, service, instance)
            names = ", ".join(f'"{name}"' for name in manifest.tables)
            await connection.execute(f"truncate {names}")
            for name, rows in manifest.tables.items():
                await _copy_in(connection, name, rows, source)
    return manifest


async def _check(connection: asyncpg.Connection, manifest: Manifest, service: str, instance: str) -> None:
    if (manifest.format, manifest.service, manifest.instance) != (FORMAT, service, instance):
        raise CannotRestore(
            f"this is a backup of {manifest.service} of {manifest.instance!r} (format {manifest.format}), "
            f"not of {service} of {instance!r}"
        )
    if manifest.revision != await _revision(connection):
        raise CannotRestore(
            f"the backup is at revision {manifest.revision}, the database at {await _revision(connection)}: "
            "restore with the version that made it, then migrate"
        )
    if running := await connection.fetchval(_SESSIONS):
        raise CannotRestore(f"{service} runs ({running} sessions): stop it first")


async def _copy_out(connection: asyncpg.Connection, name: str, out: zipfile.ZipFile) -> int:
    columns = [row["column_name"] for row in await connection.fetch(_COLUMNS, name)]
    with out.open(f"{name}.copy", "w", force_zip64=True) as member:

        async def write(chunk: bytes) -> None:
            member.write(chunk)

        told = await connection.copy_from_table(name, output=write, columns=columns, format="binary")
    return int(told.split()[-1])


async def _copy_in(connection: asyncpg.Connection, name: str, rows: int, source: zipfile.ZipFile) -> None:
    found = await connection.fetch(_COLUMNS, name)
    columns = [row["column_name"] for row in found]
    with source.open(f"{name}.copy") as member, tempfile.TemporaryFile() as plain:
        _unpack(member, plain)
        told = await connection.copy_to_table(name, source=plain, columns=columns, format="binary")
    if int(told.split()[-1]) != rows:
        raise CannotRestore(f"{name}: {told.split()[-1]} rows of {rows} in the file")
    for row in found:
        if row["counts"]:
            column = row["column_name"]
            await connection.execute(
                f'select setval(pg_get_serial_sequence($1, $2), coalesce(max({column}), 0) + 1, false) from "{name}"',  # noqa: S608 (names of the catalogue)
                f'"{name}"',
                column,
            )


def _unpack(member: IO[bytes], plain: IO[bytes]) -> None:
    while chunk := member.read(_CHUNK):
        plain.write(chunk)
    plain.seek(0)


async def _revision(connection: asyncpg.Connection) -> str | None:
    if not await connection.fetchval(IS_MIGRATED):
        return None
    revision: str | None = await connection.fetchval(REVISION)
    return revision


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    settings: dict[str, Any] = {
        **server_settings("backup"),
        "statement_timeout": "0",
        "idle_in_transaction_session_timeout": "0",
    }
    connection: asyncpg.Connection = await asyncpg.connect(
        url.replace("postgresql+asyncpg", "postgresql"), timeout=CONNECT_SECONDS, server_settings=settings
    )
    try:
        yield connection
    finally:
        await connection.close()
