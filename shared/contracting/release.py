"""The set of contracts that was released last, in short, and what breaks when the present one takes its place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared import __version__
from shared.contracting import apis, samples, schemas
from shared.contracting.files import FOLDER
from shared.contracting.structure import Change, Comparison, Direction, Kind
from shared.messaging.envelope import Visibility

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shared.service import Service

Json = dict[str, Any]
FILE = FOLDER / "released.json"
_WORDS = frozenset(
    {"description", "summary", "example", "examples", "info", "servers", "tags", "license", "$schema", "$id", "openapi"}
)
_NAMES_BELOW = frozenset({"properties", "schemas", "$defs", "paths", "webhooks", "responses", "headers", "parameters"})
_OPENNESS = [Visibility.PRIVATE, Visibility.PARTIES, Visibility.PUBLIC]


@dataclass(frozen=True, slots=True)
class Break:
    """A change that breaks somebody, and in which document."""

    document: str
    change: Change


def present(services: Sequence[Service], documents: Mapping[str, Json]) -> Json:
    """What a stranger can rely on now, without words; `documents` are those of `files.documents`."""
    events = [event for service in services for event in service.publishes]
    return {
        "version": __version__,
        "events": {
            schemas.versioned(event): {
                "topic": event.topic,
                "visibility": event.visibility.value,
                "schema": {"$ref": f"#/components/schemas/{schemas.name(event)}"},
            }
            for event in events
        },
        "components": {"schemas": bare(schemas.as_components(events), names=True)},
        "apis": {service.name: bare(documents[f"openapi/{service.name}.json"]) for service in services},
        "samples": samples.digests(),
    }


def bare(value: Any, *, names: bool = False) -> Any:  # noqa: ANN401 (any JSON)
    """A document without descriptions and examples; below `properties` and the like every key is a name."""
    if isinstance(value, list):
        return [bare(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: bare(item, names=not names and key in _NAMES_BELOW)
        for key, item in value.items()
        if names or key not in _WORDS
    }


def released(file: Path = FILE) -> Json | None:
    """The last released set; None when nothing was released yet."""
    if not file.exists():
        return None
    found: Json = json.loads(file.read_text(encoding="utf-8"))
    return found


def release(now: Json, file: Path = FILE) -> None:
    """Makes the present set the released one."""
    text = json.dumps(now, indent=1, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")


def breaks(old: Json, new: Json) -> list[Break]:
    """Everything in the new set that breaks whoever relies on the old one."""
    return [Break(document, change) for document, changes in _compared(old, new) for change in changes]


def _compared(old: Json, new: Json) -> Iterator[tuple[str, list[Change]]]:
    values = Comparison(old, new, Direction.EVENT)  # one for all: a state that many events share is told of once
    for name, event in old["events"].items():
        yield f"schemas/{name}.json", _event(event, new["events"].get(name), values)
    for name, api in old["apis"].items():
        now = new["apis"].get(name)
        gone = [Change("removed", "", "the whole API is gone")]
        yield f"openapi/{name}.json", gone if now is None else apis.compare(api, now)
    for name, digest in old["samples"].items():
        now = new["samples"].get(name)
        if now != digest:
            kind: Kind = "removed" if now is None else "retyped"
            yield f"samples/{name}", [Change(kind, "", "a released sample stays as it is for ever")]


def _event(old: Json, new: Json | None, values: Comparison) -> list[Change]:
    if new is None:
        return [Change("removed", "", "the event is gone")]
    values.changes = []
    values.compare(old["schema"], new["schema"], "")
    found = list(values.changes)
    if old["topic"] != new["topic"]:
        found.append(Change("moved", "/topic", f"from {old['topic']} to {new['topic']}"))
    if _OPENNESS.index(new["visibility"]) < _OPENNESS.index(old["visibility"]):
        found.append(Change("narrowed", "/visibility", f"{old['visibility']} became {new['visibility']}"))
    return found
