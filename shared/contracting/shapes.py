"""JSON Schemas in a form that can be held against each other: references followed, parts merged, one per type."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]
AT_LEAST = ("minLength", "minItems", "minProperties", "minimum", "exclusiveMinimum")
AT_MOST = ("maxLength", "maxItems", "maxProperties", "maximum", "exclusiveMaximum")
WORDS = frozenset(
    {"title", "description", "examples", "example", "deprecated", "$schema", "$id", "$defs", "components"}
)
ANYTHING = "anything"
_OF_THE_WHOLE = WORDS | {"default", "discriminator"}
"""What stands beside alternatives and says nothing of the values that fit."""


def flat(document: Json, schema: Json) -> Json:
    """The schema with its reference followed and its `allOf` merged."""
    found = dict(schema)
    while "$ref" in found:
        target = follow(document, found.pop("$ref"))
        found = {**target, **found}
    for part in found.pop("allOf", ()):
        its = flat(document, part)
        members = {**found.get("properties", {}), **its.get("properties", {})}
        required = [*found.get("required", ()), *its.get("required", ())]
        found = {**its, **found, **_tighter(found, its)}
        found |= {name: both for name, both in (("properties", members), ("required", required)) if both}
    return found


def _tighter(one: Json, other: Json) -> Json:
    """Bounds that both set."""
    both = one.keys() & other.keys()
    least = {word: max(one[word], other[word]) for word in both.intersection(AT_LEAST)}
    return least | {word: min(one[word], other[word]) for word in both.intersection(AT_MOST)}


def follow(document: Json, reference: str) -> Json:
    """What a local reference leads to."""
    place: Any = document
    for part in reference.removeprefix("#/").split("/"):
        place = place[part.replace("~1", "/").replace("~0", "~")]
    target: Json = place
    return target


def by_type(document: Json, schema: Json) -> dict[str, list[Json]]:
    """The alternatives that fit values of each type; `anything` for those of any type."""
    found: dict[str, list[Json]] = {}
    for one in _alternatives(document, schema):
        for kind in _types(one):
            found.setdefault(kind, []).append(one)
    return {kind: _without_hints(some) for kind, some in found.items()}


def holding(kind: str, side: dict[str, list[Json]]) -> str | None:
    """The type of this side that has room for all values of that type."""
    wider = (kind, "number" if kind == "integer" else kind, ANYTHING)
    return next((one for one in wider if one in side), None)


def discriminator(document: Json, schema: Json) -> set[tuple[str, str]]:
    """The members by whose one value this alternative is told from others."""
    found = set()
    for name, member in schema.get("properties", {}).items():
        its = values(flat(document, member)) if name in schema.get("required", ()) else None
        if its is not None and len(its) == 1:
            found.add((name, *its))
    return found


def _alternatives(document: Json, schema: Json) -> Iterator[Json]:
    whole = flat(document, schema)
    word = next((word for word in ("anyOf", "oneOf") if whole.get(word)), None)
    if word is None:
        yield whole
        return
    beside = {key: value for key, value in whole.items() if key != word and key not in _OF_THE_WHOLE}
    for one in whole[word]:
        yield from _alternatives(document, {"allOf": [one, beside]} if beside else one)


def _without_hints(some: list[Json]) -> list[Json]:
    """Of an open list (some values, or any text) the values are hints only."""
    is_open = any(one.keys() <= WORDS | {"type"} for one in some)
    return [one for one in some if values(one) is None] if is_open else some


def _types(schema: Json) -> list[str]:
    if "type" in schema:
        return list(schema["type"]) if isinstance(schema["type"], list) else [schema["type"]]
    limited = values(schema)
    if limited:
        return sorted({_type_of(json.loads(value)) for value in limited})
    return ["object"] if "properties" in schema else [ANYTHING]


def _type_of(value: Any) -> str:  # noqa: ANN401 (any JSON)
    kinds = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array"), (dict, "object"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "null")


def values(schema: Json) -> set[str] | None:
    """The values it is limited to, as JSON; None for no limit."""
    if "const" in schema:
        return {json.dumps(schema["const"])}
    return {json.dumps(value) for value in schema["enum"]} if "enum" in schema else None
