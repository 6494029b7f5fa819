"""Whether one JSON Schema may take the place of another: every change that breaks somebody, by name and place.

Who breaks depends on the direction. In a **request** others write by the old schema and we read by the new one, so
narrowing breaks. In an **answer** we write by the new one and others read by the old one, so widening breaks. An
**event** is both: old records are read by new code, new records by old code. Members that are added and may be left
out break nobody, since readers ignore what they do not know.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

Json = dict[str, Any]
Kind = Literal[
    "removed", "renamed", "moved", "retyped", "newly_required", "not_guaranteed", "narrowed", "widened",
    "enum_widened", "default_changed", "error_code_removed", "operation_removed", "parameter_removed",
]  # fmt: skip
_AT_LEAST = ("minLength", "minItems", "minProperties", "minimum", "exclusiveMinimum")
_AT_MOST = ("maxLength", "maxItems", "maxProperties", "maximum", "exclusiveMaximum")
_SAID_ELSEWHERE = frozenset(
    {
        "properties",
        "required",
        "additionalProperties",
        "items",
        "enum",
        "const",
        "default",
        "type",
        *_AT_LEAST,
        *_AT_MOST,
    }
)
_WORDS = frozenset(
    {"title", "description", "examples", "example", "deprecated", "$schema", "$id", "$defs", "components"}
)
_NOTHING: Any = object()


class Direction(Enum):
    """Who reads and who writes; see above."""

    REQUEST = "request"
    ANSWER = "answer"
    EVENT = "event"

    @property
    def reads(self) -> bool:
        """Whether we read what others wrote by the old schema."""
        return self is not Direction.ANSWER

    @property
    def writes(self) -> bool:
        """Whether others read by the old schema what we write."""
        return self is not Direction.REQUEST


@dataclass(frozen=True, slots=True)
class Change:
    """One change that breaks somebody. `where` is a JSON pointer into the document, the old one for what is gone."""

    kind: Kind
    where: str
    words: str


@dataclass
class Comparison:
    """Compares schemas of two documents; references lead into the document that each stands in."""

    old: Json
    new: Json
    direction: Direction
    changes: list[Change] = field(default_factory=list)
    _seen: set[tuple[str, str]] = field(default_factory=set)

    def compare(self, old: Json, new: Json, where: str) -> None:
        """Adds what breaks when `new` takes the place of `old`."""
        pair = (old.get("$ref", ""), new.get("$ref", ""))
        if all(pair):
            if pair in self._seen:
                return  # many places refer to it, perhaps itself: told once, where it stands
            self._seen.add(pair)
            where = pair[1].removeprefix("#")
        before, after = _by_type(self.old, old), _by_type(self.new, new)
        for kind in self._types(set(before), set(after), where):
            self._alternatives(before[kind], after[kind], where)

    def _types(self, before: set[str], after: set[str], where: str) -> list[str]:
        """Reports types that come and go; those that stay."""
        lost, gained = before - after, after - before
        if "integer" in lost and "number" in after:
            lost.discard("integer")
        elif "number" in lost and "integer" in gained:
            gained.discard("integer")
        real = {"null"}
        if lost - real and gained - real and not (before & after) - real:
            self._add("retyped", where, f"{_list(before)} became {_list(after)}")
            return []
        if lost and self.direction.reads:
            self._add("narrowed", where, f"may no longer be {_list(lost)}")
        if gained and self.direction.writes:
            self._add("widened", where, f"may now be {_list(gained)} too")
        return sorted(before & after)

    def _alternatives(self, before: list[Json], after: list[Json], where: str) -> None:
        if len(before) == len(after) == 1:
            self._typed(before[0], after[0], where)
            return
        old, new = ({_name(one): one for one in some} for some in (before, after))
        if old.keys() - new.keys() and self.direction.reads:
            self._add("narrowed", where, f"may no longer be {_list(old.keys() - new.keys())}")
        if new.keys() - old.keys() and self.direction.writes:
            self._add("widened", where, f"may now be {_list(new.keys() - old.keys())} too")
        for name in sorted(old.keys() & new.keys()):
            self._typed(old[name], new[name], where)

    def _typed(self, old: Json, new: Json, where: str) -> None:
        self._values(old, new, where)
        self._bounds(old, new, where)
        self._other_rules(old, new, where)
        if "items" in old and "items" in new:
            self.compare(old["items"], new["items"], f"{where}/items")
        self._members(old, new, where)
        self._free_members(old, new, where)

    def _values(self, old: Json, new: Json, where: str) -> None:
        before, after = _values(old), _values(new)
        lost = after is not None and (before is None or before - after)
        gained = before is not None and (after is None or after - before)
        if lost and self.direction.reads:
            self._add(
                "narrowed", where, "takes only some values now" if lost is True else f"no longer takes {_list(lost)}"
            )
        if gained and self.direction.writes:
            words = "may have any value now" if gained is True else f"may now be {_list(gained)}"
            self._add("enum_widened", where, words)

    def _bounds(self, old: Json, new: Json, where: str) -> None:
        for keyword in (*_AT_LEAST, *_AT_MOST):
            before, after = old.get(keyword), new.get(keyword)
            if before == after:
                continue
            closer = before is None or (after is not None and (after > before) == (keyword in _AT_LEAST))
            self._shape(keyword, before, after, where, narrower=closer, wider=not closer)

    def _other_rules(self, old: Json, new: Json, where: str) -> None:
        """Patterns, formats, and whatever this checker does not know: a changed one both narrows and widens."""
        known = _SAID_ELSEWHERE | _WORDS
        for keyword in sorted((old.keys() | new.keys()) - known):
            before, after = old.get(keyword), new.get(keyword)
            if before == after or keyword.startswith("x-"):
                continue
            if keyword == "format" and before and after:
                self._add("retyped", where, f"format {before} became {after}")
            else:
                self._shape(keyword, before, after, where, narrower=after is not None, wider=before is not None)

    def _shape(self, keyword: str, before: Any, after: Any, where: str, *, narrower: bool, wider: bool) -> None:  # noqa: ANN401
        words = f"{keyword} {'none' if before is None else before} became {'none' if after is None else after}"
        if narrower and self.direction.reads:
            self._add("narrowed", where, words)
        if wider and self.direction.writes:
            self._add("widened", where, words)

    def _members(self, old: Json, new: Json, where: str) -> None:
        before, after = old.get("properties", {}), new.get("properties", {})
        must, must_now = set(old.get("required", ())), set(new.get("required", ()))
        self._gone(before, after, where)
        for name in after:
            if name in must_now - must and self.direction.reads:
                self._add("newly_required", f"{where}/properties/{escaped(name)}", "must be given now")
        for name in before.keys() & after.keys():
            self._member(name, before[name], after[name], f"{where}/properties/{escaped(name)}", must, must_now)

    def _member(self, name: str, old: Json, new: Json, where: str, must: set[str], must_now: set[str]) -> None:
        if name in must - must_now and self.direction.writes:
            self._add("not_guaranteed", where, "may be left out now")
        if name not in must | must_now:
            self.defaults(old, new, where)
        self.compare(old, new, where)

    def defaults(self, old: Json, new: Json, where: str) -> None:
        """What leaving it out means, before and now."""
        before, after = (side.get("default", _NOTHING) for side in (old, new))
        if before != after and self.direction.reads:
            words = ("none" if side is _NOTHING else json.dumps(side) for side in (before, after))
            self._add("default_changed", where, "default {} became {}".format(*words))

    def _gone(self, before: Json, after: Json, where: str) -> None:
        added = [name for name in after if name not in before]
        for name in (name for name in before if name not in after):
            here = f"{where}/properties/{escaped(name)}"
            twin = next((new for new in added if self._alike(before[name], after[new])), None)
            if twin is None:
                self._add("removed", here, "is gone")
            else:
                added.remove(twin)
                self._add("renamed", here, f"is called {twin} now")

    def _alike(self, old: Json, new: Json) -> bool:
        trial = Comparison(self.old, self.new, Direction.EVENT)
        trial.compare(old, new, "")
        return not trial.changes

    def _free_members(self, old: Json, new: Json, where: str) -> None:
        """Members without a name: a map's values, or whether unknown ones are refused."""
        before, after = (side.get("additionalProperties", True) for side in (old, new))
        if isinstance(before, dict) and isinstance(after, dict):
            self.compare(before, after, f"{where}/additionalProperties")
        elif before is True and after is not True and self.direction.reads:
            self._add("narrowed", where, "refuses members that it does not name")
        elif isinstance(before, dict) and after is not False and self.direction.writes:
            self._add("widened", where, "its members may be anything now")
        elif isinstance(before, dict) and after is False:
            self._add("removed", where, "its free members are gone")

    def _add(self, kind: Kind, where: str, words: str) -> None:
        self.changes.append(Change(kind, where, words))


def escaped(name: str) -> str:
    """A name as a part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def flat(document: Json, schema: Json) -> Json:
    """The schema with its reference followed and its `allOf` merged."""
    found = dict(schema)
    while "$ref" in found:
        target = follow(document, found.pop("$ref"))
        found = {**target, **found}
    for part in found.pop("allOf", ()):
        its = flat(document, part)
        found["properties"] = {**found.get("properties", {}), **its.pop("properties", {})}
        found["required"] = [*found.get("required", ()), *its.pop("required", ())]
        found = {**its, **found}
    return found


def follow(document: Json, reference: str) -> Json:
    """What a local reference leads to."""
    place: Any = document
    for part in reference.removeprefix("#/").split("/"):
        place = place[part.replace("~1", "/").replace("~0", "~")]
    target: Json = place
    return target


def _by_type(document: Json, schema: Json) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for one in _alternatives(document, schema):
        for kind in _types(one):
            found.setdefault(kind, []).append(one)
    return found


def _alternatives(document: Json, schema: Json) -> Iterator[Json]:
    whole = flat(document, schema)
    several = whole.get("anyOf") or whole.get("oneOf")
    if not several:
        yield whole
        return
    for one in several:
        yield from _alternatives(document, one)


def _types(schema: Json) -> list[str]:
    if "type" in schema:
        return list(schema["type"]) if isinstance(schema["type"], list) else [schema["type"]]
    values = _values(schema)
    if values:
        return sorted({_type_of(json.loads(value)) for value in values})
    return ["object"] if "properties" in schema else ["anything"]


def _type_of(value: Any) -> str:  # noqa: ANN401 (any JSON)
    kinds = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array"), (dict, "object"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "null")


def _values(schema: Json) -> set[str] | None:
    """The values it is limited to, as JSON; None for no limit."""
    if "const" in schema:
        return {json.dumps(schema["const"])}
    return {json.dumps(value) for value in schema["enum"]} if "enum" in schema else None


def _name(schema: Json) -> str:
    """What tells one alternative from another of the same type."""
    return str(schema.get("title") or json.dumps(schema, sort_keys=True))


def _list(items: Any) -> str:  # noqa: ANN401 (any set of texts)
    return ", ".join(sorted(items))
