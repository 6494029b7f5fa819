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

from shared.contracting.shapes import AT_LEAST, AT_MOST, WORDS, by_type, discriminator, holding, values

Json = dict[str, Any]
Kind = Literal[
    "removed", "renamed", "moved", "retyped", "newly_required", "not_guaranteed", "narrowed", "widened",
    "enum_widened", "default_changed", "error_code_removed", "operation_removed", "parameter_removed",
]  # fmt: skip
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
        *AT_LEAST,
        *AT_MOST,
    }
)
_NONE_AT_ALL = frozenset({"minLength", "minItems", "minProperties", "uniqueItems"})
"""Rules that say nothing when they are 0 or false."""
_NOTHING: Any = object()


ByType = dict[str, list[Json]]


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
        before, after = by_type(self.old, old), by_type(self.new, new)
        if self._types(before, after, where):
            for some, others in self._pairs(before, after):
                self._alternatives(some, others, where)

    def _types(self, before: ByType, after: ByType, where: str) -> bool:
        """Reports types that come and go; False when they have nothing in common."""
        lost = {kind for kind in before if holding(kind, after) is None}
        gained = {kind for kind in after if holding(kind, before) is None}
        real = {"null"}
        if lost - real and gained - real and not (before.keys() & after.keys()) - real:
            self._add("retyped", where, f"{_list(before)} became {_list(after)}")
            return False
        if lost and self.direction.reads:
            self._add("narrowed", where, f"may no longer be {_list(lost)}")
        if gained and self.direction.writes:
            self._add("widened", where, f"may now be {_list(gained)} too")
        return True

    def _pairs(self, before: ByType, after: ByType) -> Iterator[tuple[list[Json], list[Json]]]:
        """What to hold against what: each type and the one that has room for it on the other side."""
        for kind in sorted(before.keys() & after.keys()):
            yield before[kind], after[kind]
        if self.direction is not Direction.ANSWER:
            for kind in sorted(before.keys() - after.keys()):
                room = holding(kind, after)
                if room is not None:
                    yield before[kind], after[room]
        if self.direction is not Direction.REQUEST:
            for kind in sorted(after.keys() - before.keys()):
                room = holding(kind, before)
                if room is not None:
                    yield before[room], after[kind]

    def _alternatives(self, before: list[Json], after: list[Json], where: str) -> None:
        if len(before) == len(after) == 1:
            self._typed(before[0], after[0], where)
            return
        gone, added = list(before), list(after)
        for alike in (self._of_one_kind, self._fits, _same_title):
            for old in list(gone):
                new = next((one for one in added if alike(old, one)), None)
                if new is not None:
                    gone.remove(old)
                    added.remove(new)
                    self._typed(old, new, where)
        if gone and self.direction.reads:
            self._add("narrowed", where, f"may no longer be {_list(map(_name, gone))}")
        if added and self.direction.writes:
            self._add("widened", where, f"may now be {_list(map(_name, added))} too")

    def _of_one_kind(self, old: Json, new: Json) -> bool:
        mark = discriminator(self.old, old)
        return bool(mark) and mark == discriminator(self.new, new)

    def _fits(self, old: Json, new: Json) -> bool:
        trial = Comparison(self.old, self.new, self.direction)
        trial.compare(old, new, "")
        return not trial.changes

    def _typed(self, old: Json, new: Json, where: str) -> None:
        self._values(old, new, where)
        self._bounds(old, new, where)
        self._other_rules(old, new, where)
        if old.get("items") or new.get("items"):
            self.compare(old.get("items", {}), new.get("items", {}), f"{where}/items")
        self._members(old, new, where)
        self._free_members(old, new, where)

    def _values(self, old: Json, new: Json, where: str) -> None:
        before, after = values(old), values(new)
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
        for keyword in (*AT_LEAST, *AT_MOST):
            before, after = _rule(old, keyword), _rule(new, keyword)
            if before == after:
                continue
            closer = before is None or (after is not None and (after > before) == (keyword in AT_LEAST))
            self._shape(keyword, before, after, where, narrower=closer, wider=not closer)

    def _other_rules(self, old: Json, new: Json, where: str) -> None:
        """Patterns, formats, and whatever this checker does not know: a changed one both narrows and widens."""
        known = _SAID_ELSEWHERE | WORDS
        for keyword in sorted((old.keys() | new.keys()) - known):
            before, after = _rule(old, keyword), _rule(new, keyword)
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
        if self.direction.reads:
            for name in sorted(must_now - must):
                self._add("newly_required", f"{where}/properties/{escaped(name)}", "must be given now")
        if self.direction.writes:
            for name in sorted(must - must_now - before.keys()):
                self._add("not_guaranteed", f"{where}/properties/{escaped(name)}", "may be left out now")
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
        before, after = _free(old), _free(new)
        if not before and before == after:
            return
        if before and after is not None and not after:
            if self.direction.writes:
                self._add("widened", where, "its members may be anything now")
        elif before is not None and after is not None:
            self.compare(before, after, f"{where}/additionalProperties")
        elif before:
            self._add("removed", where, "its free members are gone")
        elif before is not None and self.direction.reads:
            self._add("narrowed", where, "refuses members that it does not name")

    def _add(self, kind: Kind, where: str, words: str) -> None:
        change = Change(kind, where, words)
        if change not in self.changes:  # several alternatives may be meant by the same words
            self.changes.append(change)


def escaped(name: str) -> str:
    """A name as a part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def _rule(schema: Json, keyword: str) -> Any:  # noqa: ANN401 (any JSON)
    value = schema.get(keyword)
    return None if keyword in _NONE_AT_ALL and not value else value


def _free(schema: Json) -> Json | None:
    """What members without a name must fit; None when there may be none."""
    its = schema.get("additionalProperties", True)
    if isinstance(its, dict):
        return its
    return {} if its else None


def _same_title(old: Json, new: Json) -> bool:
    return _name(old) == _name(new)


def _name(schema: Json) -> str:
    """What tells one alternative from another of the same type."""
    return str(schema.get("title") or json.dumps(schema, sort_keys=True))


def _list(items: Any) -> str:  # noqa: ANN401 (any set of texts)
    return ", ".join(sorted(items))
