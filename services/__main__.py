"""The all-in-one command `bandung`. A service is imported when it is used, so each runs without the others."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services import SERVICES, contracts
from services.home import ENVIRONMENT_FILE
from shared import __version__
from shared.ops.signals import end_in_order_from_the_start

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from shared.service import Service

app = typer.Typer(
    help="Bandung, the partnership exchange for South-South and triangular industrial cooperation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
ServiceName = Annotated[str, typer.Argument(help=f"One of: {', '.join(SERVICES)}.")]


class DocsAction(StrEnum):
    """What `bandung docs` does."""

    WRITE = "write"
    CHECK = "check"


def load(name: str | None) -> list[Service]:
    """The services with their settings from the environment; for an embedded home, from what `up` wrote there."""
    from shared.cli import complain, loaded

    if name is not None and name not in SERVICES:
        raise complain(f"There is no service {name}; there are {', '.join(SERVICES)}.")
    made = []
    for wanted in [name] if name else SERVICES:
        settings = importlib.import_module(f"{SERVICES[wanted]}.settings").Settings
        made.append(loaded(importlib.import_module(f"{SERVICES[wanted]}.app").build, settings))
    return made


def home() -> Path:
    """The folder of the embedded system."""
    return Path(os.environ.get("BANDUNG_HOME", ".bandung"))


def use_embedded_environment() -> None:
    """Takes over what `bandung up` wrote for this home, unless the environment says otherwise."""
    with contextlib.suppress(OSError, ValueError):
        for variable, value in json.loads((home() / ENVIRONMENT_FILE).read_text()).items():
            os.environ.setdefault(variable, value)


def local_system() -> dict[str, Any]:
    """`local.json` of the running embedded system."""
    from shared.cli import complain

    try:
        document: dict[str, Any] = json.loads((home() / "local.json").read_text())
    except (OSError, ValueError) as error:
        raise complain(f"No system runs on {home()} (no local.json). Start one: bandung up") from error
    return document


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    """Start, look after and try out the system."""
    if version:
        typer.echo(__version__)
        raise typer.Exit
    if context.invoked_subcommand not in ("up", "run"):  # these two take their parts from the environment only
        use_embedded_environment()


@app.command()
def up(
    demo: Annotated[bool, typer.Option("--demo/--no-demo", help="Load the real stories after the start.")] = True,
    kafka_jars: Annotated[
        Path | None, typer.Option(help="Folder with Kafka's jars, for machines without Maven Central.")
    ] = None,
) -> None:
    """Run the whole system on this machine with embedded PostgreSQL and Kafka; Ctrl-C ends it."""
    from shared.ops import garbage

    garbage.pause()  # before the imports; `up` resumes it
    from services.up import UpSettings
    from services.up import up as run_up
    from shared.local.errors import LocalPartError
    from shared.ops import logs

    logs.configure(level=os.environ.get("BANDUNG_LOG_LEVEL", "WARNING"), as_json=False)
    if kafka_jars is not None:
        os.environ["BANDUNG_KAFKA_JARS"] = str(kafka_jars)
    try:
        _loop(run_up(UpSettings(), with_demo=demo, say=_say))
    except LocalPartError as error:
        _fail(str(error))


@app.command("run")
def run_service(service: ServiceName) -> None:
    """Run one service on your own PostgreSQL and Kafka (settings: see README)."""
    from shared.cli import serve

    [found] = load(service)
    _loop(serve(found))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Look at every part; each red light with its cause and the way out. Exit code 1 when something is red."""
    from services.doctor import examine, show_findings

    findings = asyncio.run(examine(home()))
    show_findings(findings, as_json=as_json)
    if any(finding.state == "red" for finding in findings):
        raise typer.Exit(1)


@app.command()
def demo(
    stories: Annotated[list[str] | None, typer.Argument(help="Names of stories; default all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Play the real partnerships through the public APIs and compare their figures."""
    from shared.local.demo.show import play_and_show

    system = local_system()
    keys = {key["name"]: key for key in system["keys"]}
    if not asyncio.run(play_and_show(system["endpoints"], keys, stories=stories, as_json=as_json)):
        raise typer.Exit(1)


@app.command()
def tail(
    thread: Annotated[str | None, typer.Option(help="Only the events of this thread (correlation id).")] = None,
    since_start: Annotated[bool, typer.Option("--from-start", help="Begin with the oldest event.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show every event on Kafka as it happens; Ctrl-C ends it."""
    from services.tail import follow

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(follow(load("notifications")[0].settings, thread=thread, since_start=since_start, as_json=as_json))


def _say(line: str) -> None:
    typer.echo(line)
    sys.stdout.flush()


def _fail(line: str) -> None:
    typer.secho(line, err=True, fg="red")
    raise typer.Exit(1)


def _loop(work: Coroutine[Any, Any, None]) -> None:
    """The event loop of a long-running command: uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)


@app.command()
def docs(
    action: Annotated[DocsAction, typer.Argument(help="Fill in what is stale, or only name it (exit code 1).")],
) -> None:
    """The sections of the guides that are made from the code."""
    from services.guides import sections

    root = Path(__file__).resolve().parents[1]
    if action is DocsAction.WRITE:
        for name in sections.write(root):
            typer.echo(f"{name}: written")
    elif stale := sections.stale(root):
        _fail(f"Not what the code says: {', '.join(stale)}. Run `bandung docs write`.")


def add_operations() -> None:
    """The commands that every service has, over all of them, and the groups of single services where these are."""
    from shared.cli import Operations

    operations = Operations(load)
    operations.add_to(app)
    app.add_typer(contracts.app)
    if importlib.util.find_spec("services.registry") is not None:
        app.add_typer(importlib.import_module("services.registry.cli").keys, name="keys")
    for name in SERVICES:
        group = typer.Typer(help=f"What {name} alone does.", no_args_is_help=True)
        operations.add_own(group, name)
        if name == "matching" and importlib.util.find_spec("services.matching") is not None:
            group.add_typer(importlib.import_module("services.matching.cli").commands)
        app.add_typer(group, name=name)


def main() -> None:
    """Entry point of the script `bandung`."""
    end_in_order_from_the_start()
    add_operations()
    app()


if __name__ == "__main__":
    main()
