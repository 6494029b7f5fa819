"""The README's five minutes, run exactly as printed, on a system with the demo."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import services
from tests.support.system import System

ROOT = Path(services.__file__).parent.parent
SHOWN = ("44", "approved", "interested", '"criterion"', '"NeedPosted"', '"MatchProposed"', '"MatchInterestExpressed"')

pytestmark = pytest.mark.asyncio


def blocks() -> list[str]:
    """The shell blocks of the walk, in their order."""
    return re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)


async def test_the_walk_of_the_readme_works_as_printed(tmp_path: Path) -> None:
    system = System(tmp_path / "home")
    await system.start()
    try:
        await run([sys.executable, "-m", "services", "demo", "--json"], system.home)
        printed = await run(["bash", "-eu", "-c", "\n".join(blocks())], system.home)
    finally:
        await system.end()
    assert len(blocks()) == 5
    assert [words for words in SHOWN if words not in printed] == [], printed


async def run(command: list[str], home: Path) -> str:
    """What a command prints, run in the folder of the project; it must succeed."""
    environment = os.environ | {"BANDUNG_HOME": str(home)}
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
