"""Child processes of one home: started apart from the terminal, found again after a kill -9.

Each child leads its own session, so Ctrl-C in the terminal reaches `bandung` alone, which stops its
children in order. PR_SET_PDEATHSIG is deliberately not used: it fires at the death of the *thread*
that forked and is dropped when the child changes its user. A child that outlives a killed parent
keeps its data safe meanwhile, and `stop_leftovers` ends it at the next start on the same home.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, Protocol

import psutil

from shared.local.errors import LocalPartError

_POLL_SECONDS = 0.01
_SLOWEST_POLL_SECONDS = 1.0
_STOP_SECONDS = 5.0
_SHOWN_LINES = 15
_REASONS = {
    "No space left on device": "the disk is full; make room and start again",
    "Address already in use": "its port was taken by another program meanwhile; start again",
    "Failed to acquire lock on file": "another Kafka runs on these data; stop it and start again",
}


class Account(NamedTuple):
    """The user a child runs as."""

    uid: int
    gid: int


class Child:
    """One process with its log `<home>/logs/<name>.log` and its record `<home>/run/<name>.json`.

    Belongs to no event loop: started in one, it may be awaited in another.
    """

    def __init__(self, name: str, home: Path, stop_signal: signal.Signals) -> None:
        self.name = name
        self.log = home / "logs" / f"{name}.log"
        self._record = home / "run" / f"{name}.json"
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id; None before the start and after the end."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path,
        account: Account | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        """Start `command`, as another user when an account is given. Raises LocalPartError."""
        argv = [str(part) for part in command]
        with self._new_log() as log:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - the parts' own programs
                    argv,
                    cwd=cwd,  # entered before the user changes: the path need not be open to it
                    env=_environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    user=account.uid if account else None,
                    group=account.gid if account else None,
                    extra_groups=[] if account else None,
                    pass_fds=pass_fds,
                )
            except OSError as error:
                raise LocalPartError(f"{self.name}: {argv[0]} does not start: {error.strerror}") from error
        self._remember(self._process.pid, argv)

    async def until(self, is_ready: Callable[[], Awaitable[bool]], bound_seconds: float) -> None:
        """Return when the started process is ready; raise LocalPartError when it ends or takes longer."""
        end = time.monotonic() + bound_seconds
        while not await is_ready():
            if self.pid is None or time.monotonic() > end:
                await self.stop()
                raise self.failure(f"{self.name.capitalize()} does not start")
            await asyncio.sleep(_POLL_SECONDS)

    async def wait(self) -> int:
        """Return the exit code once the process has ended; minus the signal when it was killed."""
        if self._process is None:
            raise LocalPartError(f"{self.name} was not started")
        # Polling costs one system call and needs neither a thread nor the loop's child watcher. It slows
        # down with the time passed: quick to see a stop through, and no load over hours.
        pause = _POLL_SECONDS
        while (code := self._process.poll()) is None:
            await asyncio.sleep(pause)
            pause = min(1.2 * pause, _SLOWEST_POLL_SECONDS)
        return code

    async def stop(self, bound_seconds: float = _STOP_SECONDS) -> None:
        """End the process: asked first, killed after a bound. Harmless when it has ended."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(self._stop_signal)
            try:
                await asyncio.wait_for(self.wait(), bound_seconds)
            except TimeoutError:
                self._process.kill()
                await self.wait()
        self._record.unlink(missing_ok=True)

    def failure(self, what: str) -> LocalPartError:
        """Return the error that says what did not work and why, as far as its log tells."""
        log = self.log.read_text(errors="replace") if self.log.exists() else ""
        known = (reason for sign, reason in _REASONS.items() if sign in log)
        reason = next(known, f"the end of {self.log} says why")
        # the frames of stack traces are indented, and of no use to the reader
        lines = [line for line in log.splitlines() if not line.startswith("\t")]
        return LocalPartError("\n".join([f"{what}: {reason}", *lines[-_SHOWN_LINES:]]))

    def _new_log(self) -> IO[bytes]:
        """Open an empty log; the one of the run before stays beside it as `<name>.log.1`."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size:
            self.log.replace(self.log.with_suffix(".log.1"))
        return self.log.open("ab")

    def _remember(self, pid: int, argv: list[str]) -> None:
        record = {
            "pid": pid,
            "birth": _birth(pid),
            "command": argv,
            "stop_signal": int(self._stop_signal),
        }
        self._record.parent.mkdir(parents=True, exist_ok=True)
        half = self._record.with_suffix(".half")
        half.write_text(json.dumps(record))
        half.replace(self._record)


@dataclass(frozen=True)
class _Leftover:
    """A child of an earlier run, as its record describes it."""

    pid: int
    birth: str
    command: list[str]
    stop_signal: int

    def lives(self) -> bool:
        """Whether `pid` is still that very process: pid, start time and command all agree."""
        try:
            return _birth(self.pid) == self.birth and psutil.Process(self.pid).cmdline() == self.command
        except psutil.Error:
            return False

    def signal(self, number: int) -> None:
        """Send a signal to that very process, if it still lives."""
        if self.lives():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


async def stop_leftovers(home: Path, bound_seconds: float = _STOP_SECONDS) -> list[str]:
    """End what an earlier run on `home` left running; return the names of what was ended.

    To be called under the lock of the home only. A process which merely has the pid of a child that
    is long gone is never touched. Raises LocalPartError for one that cannot be ended.
    """
    stopped = []
    for file in sorted((home / "run").glob("*.json")):
        leftover = _read(file)
        if leftover is not None and leftover.lives():
            await _end(leftover, file.stem, bound_seconds)
            stopped.append(file.stem)
        file.unlink(missing_ok=True)
    return stopped


def _read(file: Path) -> _Leftover | None:
    try:
        return _Leftover(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return None  # written by another version: nothing in it can be relied on


async def _end(leftover: _Leftover, name: str, bound_seconds: float) -> None:
    for number in (leftover.stop_signal, signal.SIGKILL):
        try:
            leftover.signal(number)
        except PermissionError as error:
            raise LocalPartError(
                f"{name} of an earlier run (process {leftover.pid}) belongs to another user. "
                "Stop it as that user, then start again."
            ) from error
        if await _gone(leftover, bound_seconds):
            return
    raise LocalPartError(f"{name} of an earlier run (process {leftover.pid}) does not end, not even by SIGKILL")


async def _gone(leftover: _Leftover, bound_seconds: float) -> bool:
    end = time.monotonic() + bound_seconds
    while leftover.lives():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True


def _birth(pid: int) -> str | None:
    """Return when `pid` started, in a form that no later process with that pid shares.

    None when it has ended, also as a zombie. On Linux neither a changed wall clock nor a reboot
    confuses it.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None if sys.platform == "linux" else _birth_elsewhere(pid)
    # proc(5): the name, in parentheses, may hold anything; then follow state (3) ... starttime (22)
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else f"{boot}/{fields[19]}"


def _birth_elsewhere(pid: int) -> str | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
    except psutil.Error:
        return None


def _environment() -> dict[str, str]:
    """Return our environment without what would change the children behind our back.

    Left out are our own settings, which may be secret, libpq's, and those which every JVM obeys.
    """
    java = {"CLASSPATH", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in java and not name.startswith(("BANDUNG_", "PG"))
    }
    if sys.platform == "linux":
        kept["LC_ALL"] = "C.UTF-8"  # under plain C a JVM cannot open paths that are not ASCII
    return kept


class Part(Protocol):
    """An embedded server as `supervise` sees it."""

    @property
    def name(self) -> str:
        """Its name, for a person."""

    async def start(self) -> None:
        """Return when it serves; raise LocalPartError."""

    async def wait(self) -> int:
        """Return its exit code when it has ended."""


async def supervise(
    part: Part,
    on_event: Callable[[str], None],
    *,
    delay_seconds: float = 5.0,
    longest_seconds: float = 60.0,
) -> None:
    """Start `part` again whenever it ends, until cancelled; cancel before stopping it on purpose.

    `on_event` gets one line for a person each time. The delay doubles up to `longest_seconds` while
    the part keeps ending, and is short again after a run longer than that.
    """
    delay = delay_seconds
    while True:
        started = time.monotonic()
        code = await part.wait()
        if time.monotonic() - started > longest_seconds:
            delay = delay_seconds
        on_event(f"{part.name} has ended ({_reason(code)}); it is started again in {delay:g} s")
        await asyncio.sleep(delay)
        delay = min(2 * delay, longest_seconds)
        try:
            await part.start()
        except LocalPartError as error:
            on_event(str(error))
        else:
            on_event(f"{part.name} runs again")


def _reason(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
