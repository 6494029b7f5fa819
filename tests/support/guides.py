"""Command blocks of the guides: which there are, who runs them, and running them as a reader would."""

from __future__ import annotations

import asyncio
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.system import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GUIDES = (
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "deploy/*.md",
    "shared/contracts/README.md",
    "shared/local/demo/README.md",
    "services/*/README.md",
)
COMMANDS = {"sh", "bash", "shell", "console", ""}
_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_MARKER = re.compile(r"<!-- run by (?P<test>\S+)(?: (?P<name>[\w-]+))? -->")
_INLINE = re.compile(r"`(?:docker|curl|bandung|psql|sh|bash) [^`]+`")
_INDENTED = re.compile(r"^    (?:\$ )?(?:make|bandung|python3?|curl|docker|pip|bash|set|pg_\w+|psql) .*$", re.MULTILINE)
MASKS = {
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}": "<id>",
    r"eyJ[\w-]+\.[\w-]+\.[\w-]+": "<token>",
    r"(bdk|bds|whsec)_[\w+/=-]+": r"\1_<...>",
    r"127\.0\.0\.1:\d+": "127.0.0.1:<port>",
    r"\d{4}-\d\d-\d\dT[\d:.]+Z": "<time>",
}


@dataclass(frozen=True)
class Block:
    """A fenced block; `test` runs it, and `shown` is the output printed below it."""

    guide: str
    heading: str
    language: str
    text: str
    test: str | None
    name: str | None
    shown: str | None


def guides() -> list[str]:
    """The guides there are."""
    return sorted(str(file.relative_to(ROOT)) for pattern in GUIDES for file in ROOT.glob(pattern))


def blocks(guide: str) -> list[Block]:
    """The command blocks of a guide; a marker holds until the next one or the next heading."""
    text = (ROOT / guide).read_text()
    return [_block(guide, text, fence) for fence in _FENCE.finditer(text) if fence["language"] in COMMANDS]


def _block(guide: str, text: str, fence: re.Match[str]) -> Block:
    before = _FENCE.sub("", text[: fence.start()])
    heading = before.rpartition("\n## ")[2]
    marker = next(iter(reversed(list(_MARKER.finditer(heading)))), None)
    below = re.match(r"\n```text\n(?P<text>.*?)^```$", text[fence.end() :], re.DOTALL | re.MULTILINE)
    return Block(
        guide,
        heading.partition("\n")[0],
        fence["language"],
        fence["text"],
        marker["test"] if marker else None,
        marker["name"] if marker else None,
        below["text"] if below else None,
    )


def prose(guide: str) -> str:
    """A guide without its fenced blocks."""
    return _FENCE.sub("", (ROOT / guide).read_text())


def unfenced(guide: str) -> Iterator[str]:
    """Commands that stand in no fenced block, so that no test could find them."""
    yield from _INDENTED.findall(prose(guide))


def inline(guide: str) -> list[str]:
    """Whole commands within sentences."""
    return _INLINE.findall(prose(guide))


def masked(text: str) -> str:
    """Without what differs from run to run."""
    for pattern, word in MASKS.items():
        text = re.sub(pattern, word, text)
    return text


async def run(script: str, cwd: Path, env: dict[str, str], seconds: float = 240) -> tuple[int, str, str]:
    """A script in one shell, as a reader types it; exit code, output, errors."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-eu", "-o", "pipefail", "-c", script),
        cwd=cwd,
        env=os.environ | env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(seconds):
        output, errors = await process.communicate()
    return process.returncode or 0, output.decode(), errors.decode()


async def transcript(found: list[Block], cwd: Path, env: dict[str, str]) -> list[str]:
    """What each block printed, all run in one shell, one after the other."""
    script = "\n".join(f"printf '\\x1e'\n{block.text}" for block in found)
    code, output, errors = await run(script, cwd, env)
    assert code == 0, f"{output}\n{errors}"
    return output.split("\x1e")[1:]
