"""Real processes of the services, killed, frozen and started again as an orchestrator would."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.support.system import ROOT
from tests.support.waiting import eventually

RESTART_SECONDS = 0.5
STOP_SECONDS = 12.0
LOOK_SECONDS = 0.02


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler of its own for a signal, as the system knows it."""
    [caught] = re.findall(r"^SigCgt:\s*([0-9a-f]+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(caught, 16) >> (number - 1) & 1)


async def ended(process: subprocess.Popen[bytes], seconds: float | None = None) -> int:
    """Its exit code once it has one. No thread waits: a loop has fewer of them than an installation has processes.

    Raises TimeoutError when it lives longer.
    """
    async with asyncio.timeout(seconds):
        while (code := process.poll()) is None:  # noqa: ASYNC110 (the system has a state, no event)
            await asyncio.sleep(LOOK_SECONDS)
    return code


@dataclass
class ServiceProcess:
    """`python -m services.<name> run`, started again whenever it ends, until `stop`."""

    name: str
    env: dict[str, str]
    output: Path
    replica: str = "0"
    deaths: list[int] = field(default_factory=list)
    """Exit codes, in order; -9 for SIGKILL."""
    restart_seconds: float = RESTART_SECONDS
    """Until its orchestrator starts it again."""
    _process: subprocess.Popen[bytes] | None = None
    _keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The living process. Fails when there is none: a fault that did not happen shows nothing."""
        assert self._process is not None, f"{self.name} was never started"
        assert self._process.poll() is None, f"{self.name} does not run"
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs now."""
        return self._process is not None and self._process.poll() is None

    def start(self, **env: str) -> None:
        """Runs it; `env` counts for this one life."""
        self._launch(env)
        self._keeper = asyncio.create_task(self._keep())

    async def restart(self, **env: str) -> None:
        """Down in order and up again with these variables, which the life after it has no more."""
        await self.stop()
        self.start(**env)

    def signal(self, number: signal.Signals) -> None:
        """To the process itself."""
        os.kill(self.pid, number)

    async def kill(self) -> None:
        """SIGKILL, seen to be dead."""
        before = len(self.deaths)
        self.signal(signal.SIGKILL)
        await eventually(lambda: len(self.deaths) > before)
        assert self.deaths[-1] == -signal.SIGKILL

    async def stop(self) -> float:
        """SIGTERM; the seconds until it had ended with 0."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        if not self.alive:
            return 0.0
        assert self._process is not None
        begun, answers = time.monotonic(), catches(self._process.pid, signal.SIGTERM)
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(signal.SIGTERM)
        try:
            code = await ended(self._process, STOP_SECONDS)
        except TimeoutError:
            self._process.kill()
            await ended(self._process)
            raise AssertionError(f"{self.name} did not end within {STOP_SECONDS:g} s of SIGTERM") from None
        # while Python itself still starts it has no say yet, and nothing to end in order either
        assert code == 0 or (not answers and code == -signal.SIGTERM), f"{self.name} ended with {code}"
        return time.monotonic() - begun

    def memory_mb(self) -> float:
        """Resident memory."""
        return float(psutil.Process(self.pid).memory_info().rss / 1e6)

    def local_ports(self) -> set[int]:
        """The ports of its own ends of all its connections."""
        return {int(each.laddr.port) for each in psutil.Process(self.pid).net_connections("tcp") if each.laddr}

    async def _keep(self) -> None:
        while True:
            assert self._process is not None
            process = self._process
            self.deaths.append(await ended(process))
            await asyncio.sleep(self.restart_seconds)
            self._launch({})

    def _launch(self, env: dict[str, str]) -> None:
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"services.{self.name}", "run"],
                cwd=ROOT,
                env=os.environ | self.env | {"BANDUNG_REPLICA": self.replica} | env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
