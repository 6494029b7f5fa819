"""One real PostgreSQL and one real Apache Kafka for all tests of a run, shared by the workers of xdist."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg

from shared.local.parts import LocalParts
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Parts:
    """Where the parts are."""

    postgres_url: str  # with the database name `{}`
    bootstrap: str

    def url(self, database: str) -> str:
        """SQLAlchemy URL of a database."""
        return self.postgres_url.format(database)

    async def new_database(self, name: str) -> str:
        """URL of a fresh, empty database."""
        database = f"{name}_{uuid4().hex[:12]}"
        connection = await asyncpg.connect(self.url("postgres").replace("+asyncpg", ""))
        try:
            await connection.execute(f'create database "{database}"')
        finally:
            await connection.close()
        return self.url(database)


class SharedParts:
    """Starts the parts once per test run: the first process that needs them starts them, the last one stops them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._users = folder / "users"
        self._users.mkdir(parents=True, exist_ok=True)
        self._mine = self._users / str(os.getpid())

    async def acquire(self) -> Parts:
        """The running parts."""
        with self._locked():
            address = self._folder / "address.json"
            if not address.exists():
                address.write_text(json.dumps(await self._start()))
            self._mine.touch()
            found = json.loads(address.read_text())
        return Parts(found["postgres_url"], found["bootstrap"])

    async def _start(self) -> dict[str, str]:
        parts = LocalParts(self._folder / "home", durable=False, say=lambda _line: None)
        await parts.__aenter__()
        self._started = parts
        return {"postgres_url": parts.postgres.url("{}"), "bootstrap": parts.kafka.bootstrap}

    async def release(self) -> None:
        """Stops the parts when this process started them and all others are done."""
        self._mine.unlink(missing_ok=True)
        if not hasattr(self, "_started"):
            return
        await eventually(lambda: not any(self._users.iterdir()), seconds=600)
        await self._started.stop()

    def _locked(self) -> _Lock:
        return _Lock(self._folder / "lock")


class _Lock:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        self._file = self._path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._file.close()
