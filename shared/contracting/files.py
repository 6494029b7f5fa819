"""The committed documents under `shared/contracts`: written from the services, and compared with them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from shared.contracting import asyncapi, openapi, schemas

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shared.service import Service

Json = dict[str, Any]
FOLDER = Path(__file__).parents[1] / "contracts"
GENERATED = ("schemas", "asyncapi", "openapi")
"""Folders that hold nothing but generated files."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A committed file that is not what the services say now."""

    file: str
    state: Literal["missing", "stale", "superfluous"]


def documents(services: Sequence[Service]) -> dict[str, Json]:
    """Every document by its path below the folder."""
    return {f"{name}.json": document for name, document in _documents(services)}


def texts(made: Mapping[str, Json]) -> dict[str, str]:
    """The documents as they are written."""
    return {name: text_of(document) for name, document in made.items()}


def _documents(services: Sequence[Service]) -> Iterator[tuple[str, Json]]:
    for service in services:
        for event in service.publishes:
            yield f"schemas/{schemas.versioned(event)}", schemas.of_event(event)
        yield f"asyncapi/{service.name}", asyncapi.of_service(service)
        yield f"openapi/{service.name}", openapi.of_service(service)
    yield "asyncapi/partners", asyncapi.for_partners(services)


def text_of(document: Json) -> str:
    """A document as it is written to a file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def differences(wanted: Mapping[str, str], folder: Path = FOLDER) -> list[Difference]:
    """What is missing, stale or superfluous in the folder, by file name."""
    there = {file.relative_to(folder).as_posix(): file for name in GENERATED for file in (folder / name).glob("*")}
    found = [Difference(name, "missing") for name in wanted.keys() - there.keys()]
    found += [Difference(name, "superfluous") for name in there.keys() - wanted.keys()]
    found += [
        Difference(name, "stale")
        for name in wanted.keys() & there.keys()
        if there[name].read_text(encoding="utf-8") != wanted[name]
    ]
    return sorted(found, key=lambda difference: difference.file)


def write(wanted: Mapping[str, str], folder: Path = FOLDER) -> list[Difference]:
    """Makes the folder hold these files and no others; what had to be changed."""
    changed = differences(wanted, folder)
    for difference in changed:
        file = folder / difference.file
        if difference.state == "superfluous":
            file.unlink()
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(wanted[difference.file], encoding="utf-8")
    return changed
