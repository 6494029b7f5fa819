"""A program of `deploy/examples/partner`, run as a partner runs it: a process, its environment, its output."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Self

from tests.support.system import ROOT, Caller, System
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

FOLDER = ROOT / "deploy" / "examples" / "partner"
ENDED_SECONDS = 60


@dataclass
class Program:
    """`async with Program("follow_feed.py", folder)`; the folder stands for the partner's disk and outlives it."""

    name: str
    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def output(self) -> Path:
        """What all runs on this folder printed."""
        return self.folder / "output"

    def launch(self) -> subprocess.Popen[bytes]:
        """Starts it."""
        self.folder.mkdir(exist_ok=True)
        with self.output.open("ab") as output, (self.folder / "errors").open("ab") as errors:
            self.process = self._open(output, errors)
        return self.process

    def _open(self, output: IO[bytes], errors: IO[bytes]) -> subprocess.Popen[bytes]:
        # unbuffered, a line and its end are two writes, and a kill may come between them
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        return subprocess.Popen(
            [sys.executable, str(FOLDER / self.name), *self.arguments],
            cwd=self.folder,
            env=kept | self.env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
        )

    async def run(self) -> int:
        """From the start to its own end; the exit code."""
        return await asyncio.to_thread(self.launch().wait, ENDED_SECONDS)

    async def __aenter__(self) -> Self:
        self.launch()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.end()

    async def end(self, *, kill: bool = False) -> int:
        """SIGTERM or SIGKILL; the exit code."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            (self.process.kill if kill else self.process.terminate)()
        return await asyncio.to_thread(self.process.wait, ENDED_SECONDS)

    @property
    def errors(self) -> str:
        """What all runs wrote to standard error."""
        return (self.folder / "errors").read_text()

    @property
    def said(self) -> list[dict[str, Any]]:
        """The JSON lines that were printed whole."""
        lines = self.output.read_text().split("\n")[:-1] if self.output.exists() else []
        return [json.loads(line) for line in lines]

    def of(self, member: str, value: str) -> list[dict[str, Any]]:
        """The lines with this member."""
        return [line for line in self.said if line.get(member) == value]

    async def saying(self, member: str, value: str, count: int = 1) -> list[dict[str, Any]]:
        """The lines with this member as soon as there are as many."""

        def enough() -> list[dict[str, Any]]:
            found = self.of(member, value)
            assert len(found) >= count, f"{self.said[-20:]}\n{self.errors[-2000:]}"
            return found

        return await eventually(enough)


def environment(system: System, caller: Caller) -> dict[str, str]:
    """Addresses and key, as the integrator's guide names them."""
    addresses = {name.upper(): url for name, url in system.local["endpoints"].items()}
    return addresses | {
        "CLIENT_ID": caller.client_id or "",
        "CLIENT_SECRET": caller.client_secret or "",
        "KAFKA": system.local["kafka"],
    }
