"""A change that breaks somebody is refused by its name, at its place, in the direction in which it breaks."""

from __future__ import annotations

import copy
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ConfigDict, Field

from shared.contracting.structure import Change, Comparison, Direction

REQUEST, ANSWER, EVENT = Direction.REQUEST, Direction.ANSWER, Direction.EVENT


class Urgency(StrEnum):
    """A closed list."""

    LOW = "low"
    HIGH = "high"


class Money(BaseModel):
    """A part that others refer to."""

    amount: str
    currency: str


class Need(BaseModel):
    """The state before every change."""

    model_config = ConfigDict(title="Need")
    id: str
    title: Annotated[str, Field(max_length=200)]
    urgency: Urgency
    places: Annotated[int, Field(ge=1, le=20)] = 1
    deadline: date
    budget: Money | None
    codes: list[str]
    note: str | None = None


def schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(mode="serialization")


def changes(old: dict[str, Any], new: dict[str, Any], direction: Direction) -> list[tuple[str, str]]:
    comparison = Comparison(old, new, direction)
    comparison.compare(old, new, "")
    return [(change.kind, change.where) for change in comparison.changes]


def changed(direction: Direction, **members: Any) -> list[tuple[str, str]]:
    """What breaks when these members of `Need` are declared otherwise."""
    fields = {"__annotations__": {name: its[0] for name, its in members.items()}}
    defaults = {name: its[1] for name, its in members.items() if len(its) == 2}
    other = type("Need", (Need,), {**fields, **defaults, "__module__": __name__})
    return changes(schema(Need), schema(other), direction)


def without(*names: str) -> dict[str, Any]:
    found = copy.deepcopy(schema(Need))
    for name in names:
        del found["properties"][name]
        found["required"] = [one for one in found["required"] if one != name]
    return found


def test_nothing_changed_is_clean() -> None:
    assert all(changes(schema(Need), schema(Need), direction) == [] for direction in Direction)


@pytest.mark.parametrize("direction", list(Direction))
def test_an_optional_member_more_is_clean(direction: Direction) -> None:
    assert changed(direction, hs=(list[str], [])) == []
    assert changed(direction, centre=(Money | None, None)) == []


@pytest.mark.parametrize("direction", list(Direction))
def test_removed(direction: Direction) -> None:
    assert changes(schema(Need), without("codes"), direction) == [("removed", "/properties/codes")]


@pytest.mark.parametrize("direction", list(Direction))
def test_renamed(direction: Direction) -> None:
    new = without("codes")
    new["properties"]["isic"] = schema(Need)["properties"]["codes"]
    assert changes(schema(Need), new, direction) == [("renamed", "/properties/codes")]


@pytest.mark.parametrize("direction", list(Direction))
def test_retyped(direction: Direction) -> None:
    assert changed(direction, id=(int,)) == [("retyped", "/properties/id")]
    assert changed(direction, codes=(dict[str, str],)) == [("retyped", "/properties/codes")]
    assert changed(direction, codes=(list[int],)) == [("retyped", "/properties/codes/items")]
    assert changed(direction, budget=(str | None,)) == [("retyped", "/properties/budget")]


@pytest.mark.parametrize("direction", list(Direction))
def test_another_format_is_another_type(direction: Direction) -> None:
    new = schema(Need)
    new["properties"]["deadline"]["format"] = "date-time"
    assert changes(schema(Need), new, direction) == [("retyped", "/properties/deadline")]


def test_newly_required() -> None:
    wanted = [("newly_required", "/properties/country")]
    assert changed(REQUEST, country=(str,)) == changed(EVENT, country=(str,)) == wanted
    assert changed(ANSWER, country=(str,)) == []
    assert changed(REQUEST, note=(str | None,)) == [("newly_required", "/properties/note")]


def test_not_guaranteed() -> None:
    wanted = [("not_guaranteed", "/properties/budget")]
    assert changed(ANSWER, budget=(Money | None, None)) == changed(EVENT, budget=(Money | None, None)) == wanted
    assert changed(REQUEST, budget=(Money | None, None)) == []


CLOSER: list[tuple[str, Any]] = [
    ("title", Annotated[str, Field(max_length=100)]),
    ("id", Annotated[str, Field(min_length=3)]),
    ("id", Annotated[str, Field(pattern="^x")]),
    ("budget", Money),
    ("codes", Annotated[list[str], Field(max_length=50)]),
    ("codes", Annotated[list[str], Field(json_schema_extra={"uniqueItems": True})]),
    ("id", Literal["a", "b"]),
]


@pytest.mark.parametrize(("name", "type_"), CLOSER)
def test_narrowed(name: str, type_: Any) -> None:
    wanted = [("narrowed", f"/properties/{name}")]
    assert changed(REQUEST, **{name: (type_,)}) == changed(EVENT, **{name: (type_,)}) == wanted
    assert changed(ANSWER, **{name: (type_,)}) == []


def test_fewer_numbers_are_narrower() -> None:
    assert changed(REQUEST, places=(Annotated[int, Field(ge=2, le=20)], 1)) == [("narrowed", "/properties/places")]
    assert changed(REQUEST, places=(Annotated[int, Field(ge=1, le=10)], 1)) == [("narrowed", "/properties/places")]


WIDER: list[tuple[str, Any]] = [
    ("title", str),
    ("title", Annotated[str, Field(max_length=300)]),
    ("id", str | None),
    ("id", str | int),
    ("codes", list[str] | None),
]


@pytest.mark.parametrize(("name", "type_"), WIDER)
def test_widened(name: str, type_: Any) -> None:
    wanted = [("widened", f"/properties/{name}")]
    assert changed(ANSWER, **{name: (type_,)}) == changed(EVENT, **{name: (type_,)}) == wanted
    assert changed(REQUEST, **{name: (type_,)}) == []


def test_a_whole_number_may_become_any_number_where_we_read_only() -> None:
    places = (Annotated[float, Field(ge=1, le=20)], 1)
    assert changed(REQUEST, places=places) == []
    assert changed(ANSWER, places=places) == [("widened", "/properties/places")]


def test_enum_widened() -> None:
    wider = (Literal["low", "high", "critical"],)
    wanted = [("enum_widened", "/properties/urgency")]
    assert changed(ANSWER, urgency=wider) == changed(EVENT, urgency=wider) == wanted
    assert changed(REQUEST, urgency=wider) == []
    assert changed(EVENT, urgency=(str,)) == wanted


def test_a_value_less_narrows_a_request() -> None:
    assert changed(REQUEST, urgency=(Literal["low"],)) == [("narrowed", "/properties/urgency")]
    assert changed(ANSWER, urgency=(Literal["low"],)) == []


def test_default_changed() -> None:
    places = (Annotated[int, Field(ge=1, le=20)], 2)
    wanted = [("default_changed", "/properties/places")]
    assert changed(REQUEST, places=places) == changed(EVENT, places=places) == wanted
    assert changed(ANSWER, places=places) == []


def test_refusing_unknown_members_narrows_a_request() -> None:
    assert changes(schema(Need), {**schema(Need), "additionalProperties": False}, REQUEST) == [("narrowed", "")]


def test_values_of_a_map_are_looked_into() -> None:
    old, new = ({"type": "object", "additionalProperties": {"type": kind}} for kind in ("boolean", "string"))
    assert changes(old, new, EVENT) == [("retyped", "/additionalProperties")]
    assert changes(old, {"type": "object"}, ANSWER) == [("widened", "")]
    assert changes(old, {"type": "object", "additionalProperties": False}, ANSWER) == [("removed", "")]


def test_a_rule_that_the_checker_does_not_know_is_not_passed_over() -> None:
    new = schema(Need)
    new["properties"]["id"]["contentEncoding"] = "base64"
    assert changes(schema(Need), new, EVENT) == [("narrowed", "/properties/id")]


def test_a_part_that_many_refer_to_is_told_of_once_where_it_stands() -> None:
    old = {"$defs": {"Money": schema(Money)}, "type": "object"}
    old["properties"] = {name: {"$ref": "#/$defs/Money"} for name in ("budget", "gap")}
    new = copy.deepcopy(old)
    del new["$defs"]["Money"]["properties"]["currency"]
    assert changes(old, new, ANSWER) == [("removed", "/$defs/Money/properties/currency")]


def test_a_schema_that_refers_to_itself_ends() -> None:
    tree = {"$defs": {"Tree": {"type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}}}}}
    whole = {**tree, "$ref": "#/$defs/Tree"}
    assert changes(whole, copy.deepcopy(whole), EVENT) == []


# what the checker calls clean really is: values of one side always fit the other

_SCALARS = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("string")}, optional={"maxLength": st.integers(1, 4), "minLength": st.integers(0, 2)}
    ),
    st.fixed_dictionaries(
        {"type": st.just("integer")}, optional={"minimum": st.integers(0, 3), "maximum": st.integers(4, 8)}
    ),
    st.fixed_dictionaries({"enum": st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, unique=True)}),
    st.just({"type": "null"}),
)
_VALUES = st.one_of(
    _SCALARS,
    st.builds(lambda items: {"type": "array", "items": items}, _SCALARS),
    st.builds(lambda one, other: {"anyOf": [one, other]}, _SCALARS, st.just({"type": "null"})),
)
_OBJECTS = st.builds(
    lambda members, required: {
        "type": "object",
        "properties": members,
        "required": sorted(required & members.keys()),
    },
    st.dictionaries(st.sampled_from(["x", "y"]), _VALUES),
    st.sets(st.sampled_from(["x", "y"])),
)
_DATA = st.dictionaries(
    st.sampled_from(["x", "y"]),
    st.one_of(
        st.none(),
        st.integers(-1, 9),
        st.sampled_from(["", "a", "b", "c", "abcde"]),
        st.lists(st.integers(0, 9) | st.sampled_from(["a", "abcde"]), max_size=2),
    ),
)


@st.composite
def _pairs(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A schema and one that differs a little, so that many pairs are clean."""
    old, other = draw(_OBJECTS), draw(_OBJECTS)
    new = copy.deepcopy(old)
    for name in draw(st.sets(st.sampled_from(["x", "y"]), max_size=1)) & other["properties"].keys():
        new["properties"][name] = other["properties"][name]
    new["required"] = draw(st.sampled_from([old["required"], sorted(new["properties"]), []]))
    return old, new


@settings(max_examples=1000)
@given(_pairs(), _DATA)
def test_what_is_clean_for_a_request_refuses_nothing_that_was_taken(pair: Any, data: Any) -> None:
    """With members that the old schema knows: of others it said nothing."""
    old, new = pair
    known = {name: value for name, value in data.items() if name in old["properties"]}
    if Draft202012Validator(old).is_valid(known) and not Draft202012Validator(new).is_valid(known):
        assert changes(old, new, REQUEST)


@settings(max_examples=1000)
@given(_pairs(), _DATA)
def test_what_is_clean_for_an_answer_gives_nothing_that_was_not_given(pair: Any, data: Any) -> None:
    old, new = pair
    known = {name: value for name, value in data.items() if name in old["properties"]}
    if Draft202012Validator(new).is_valid(data) and not Draft202012Validator(old).is_valid(known):
        assert changes(old, new, ANSWER)


def test_changes_speak() -> None:
    comparison = Comparison(schema(Need), without("codes"), EVENT)
    comparison.compare(comparison.old, comparison.new, "")
    assert comparison.changes == [Change("removed", "/properties/codes", "is gone")]
