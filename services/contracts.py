"""`bandung contracts`: the documents for strangers, and whether they still hold."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Annotated

import typer

from services import SERVICES

if TYPE_CHECKING:
    from shared.service import Service

app = typer.Typer(name="contracts", help="Events and APIs as documents for strangers.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def services() -> list[Service]:
    """All services with the settings of a fresh installation: the environment must not change a document."""
    made = []
    for package in SERVICES.values():
        settings = importlib.import_module(f"{package}.settings").Settings.model_construct()
        made.append(importlib.import_module(f"{package}.app").build(settings))
    return made


@app.command("list")
def list_events(as_json: AsJson = False) -> None:
    """The catalogue of events: type, topic, who may see it; with --json each event's JSON Schema too."""
    from services.catalogue import rows
    from shared.cli import show

    show(rows(with_schema=as_json), as_json=as_json, title="Events")


@app.command()
def write(as_json: AsJson = False) -> None:
    """Write the documents under shared/contracts from the code."""
    from shared.cli import show
    from shared.contracting import files

    changed = files.write(files.generated(services()))
    show([{"file": c.file, "was": c.state} for c in changed], as_json=as_json, title="Changed")


@app.command()
def check(as_json: AsJson = False) -> None:
    """Fail when a committed document is not what the code says."""
    from shared.cli import complain, show
    from shared.contracting import files

    found = files.differences(files.generated(services()))
    show([{"file": d.file, "state": d.state} for d in found], as_json=as_json, title="Differences")
    if found:
        raise complain("The documents are not those of the code. Run: make contracts")
