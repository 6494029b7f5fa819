"""JSON Schema 2020-12 of event values, alone and as parts of a larger document."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.messaging.envelope import Event

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ALONE, AS_COMPONENT = "#/$defs/{model}", "#/components/schemas/{model}"
Json = dict[str, Any]


def of_event(event: type[Event]) -> Json:
    """The schema of a record's value as a document of its own. Members that are not named here must be ignored."""
    return {"$schema": DIALECT, "$id": f"urn:bandung:schema:{versioned(event)}", **_schema(event, _ALONE)}


def versioned(event: type[Event]) -> str:
    """`NeedPosted.v1`."""
    return f"{event.short_name()}.v{event.version()}"


def name(event: type[Event]) -> str:
    """How documents call it: `NeedPosted`, and `NeedPosted.v2` beside it."""
    return event.short_name() if event.version() == "1" else versioned(event)


def as_components(events: Iterable[type[Event]]) -> Json:
    """The schemas of these values and of their parts, for `components/schemas`, in the order of their names."""
    found: Json = {}
    for event in events:
        schema = dict(_schema(event, AS_COMPONENT))
        put(found, {**schema.pop("$defs", {}), name(event): schema})
    return dict(sorted(found.items()))


def put(parts: Json, new: Json) -> None:
    """Adds to `components/schemas`; two models of one name would be one in the document, so they are refused."""
    for key, schema in new.items():
        if parts.setdefault(key, schema) != schema:
            raise ValueError(f"Two different models are called {key}; rename one of them.")


@cache  # asked for by many documents; nobody changes what it returns
def _schema(event: type[Event], template: str) -> Json:
    schema = event.model_json_schema(mode="serialization", ref_template=template)
    for part in (schema, *schema.get("$defs", {}).values()):
        untitle(part)
    return schema


def untitle(schema: Json) -> None:
    """Takes out the titles that pydantic makes of member names; those of models stay."""
    for member in schema.get("properties", {}).values():
        member.pop("title", None)


def summary(event: type[Event]) -> str:
    """The first line of its description."""
    return (event.__doc__ or "").strip().partition("\n")[0]
