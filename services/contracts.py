"""`bandung contracts`: the documents for strangers, and whether they still hold."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Annotated, Any

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
    """Write the documents under shared/contracts from the code, and the samples that are lacking."""
    from shared.cli import show
    from shared.contracting import files, samples

    made = services()
    rows = [{"file": c.file, "was": c.state} for c in files.write(files.texts(files.documents(made)))]
    new = samples.lacking(made)
    samples.add(new)
    rows += [{"file": f"samples/{sample.name}", "was": "missing"} for sample in new]
    show(rows, as_json=as_json, title="Changed")


@app.command()
def check(as_json: AsJson = False) -> None:
    """Fail when a document is not what the code says, or when the code breaks what was released."""
    from shared.cli import complain, show
    from shared.contracting import files, release, samples

    made = services()
    documents = files.documents(made)
    stale = [_row(d.file, d.state) for d in files.differences(files.texts(documents))]
    stale += [_row(f"samples/{sample.name}", "missing") for sample in samples.lacking(made)]
    broken = _breaks(release.present(made, documents))
    show(stale + broken, as_json=as_json, title="Faults")
    if stale:
        raise complain("The documents are not those of the code. Run: make contracts")
    if broken:
        raise complain(
            "This breaks who relies on the released contracts: keep what was, and add beside it (an optional member, a "
            ".v2 of the event, another route). If it must be: bandung contracts release --accept-breaks"
        )


@app.command("release")
def release_set(
    accept: Annotated[bool, typer.Option("--accept-breaks", help="Although it breaks who relies on the last.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make the present contracts the released ones, which later ones are held against."""
    from shared.cli import complain, show
    from shared.contracting import files, release

    made = services()
    now = release.present(made, files.documents(made))
    broken = _breaks(now)
    show(broken, as_json=as_json, title="Breaks")
    if broken and not accept:
        raise complain("Nothing was released. With --accept-breaks it is all the same.")
    release.release(now)


def _breaks(now: dict[str, Any]) -> list[dict[str, str]]:
    """What breaks whoever relies on the last release."""
    from shared.contracting import release

    old = release.released()
    found = [] if old is None else release.breaks(old, now)
    return [_row(b.document, b.change.kind, b.change.where, b.change.words) for b in found]


def _row(file: str, what: str, where: str = "", how: str = "") -> dict[str, str]:
    return {"file": file, "what": what, "where": where, "how": how}
