"""Examples: what the table knows, what the schema says, and what is left null."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contracting.examples import Examples, Fill

MONEY = {
    "title": "Money",
    "type": "object",
    "properties": {"amount": {"type": "string", "examples": ["1.00"]}, "currency": {"type": "string"}},
    "required": ["amount", "currency"],
}
NEED = {
    "title": "Need",
    "type": "object",
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "title": {"type": "string"},
        "urgency": {"enum": ["low", "high"]},
        "kind": {"const": "need"},
        "places": {"type": "integer", "default": 3},
        "codes": {"type": "array", "items": {"type": "string", "examples": ["1511"]}},
        "budget": {"anyOf": [{"$ref": "#/components/schemas/Money"}, {"type": "null"}]},
        "flags": {"type": "object", "additionalProperties": {"type": "boolean"}},
    },
    "required": ["id", "title", "codes"],
}
SCHEMAS = {"Money": MONEY, "Need": NEED}
REFERENCE = {"$ref": "#/components/schemas/Need"}


def example(fill: Fill, operation: str = "", **values: Any) -> dict[str, Any]:
    made: dict[str, Any] = Examples({k.replace("__", "."): v for k, v in values.items()}, SCHEMAS, fill).of(
        REFERENCE, operation
    )
    return made


def test_what_the_table_does_not_know_comes_from_the_schema() -> None:
    assert example(Fill.ALL) == {
        "id": "01a20cda-4001-7001-8001-000000000001",
        "title": "Title",
        "urgency": "low",
        "kind": "need",
        "places": 1,
        "codes": ["1511"],
        "budget": {"amount": "1.00", "currency": "Currency"},
        "flags": {"example": True},
    }


def test_an_answer_is_null_where_nothing_is_known_and_has_its_defaults() -> None:
    made = example(Fill.STORY, title="A need")
    assert (made["title"], made["budget"], made["places"]) == ("A need", None, 3)


def test_a_request_holds_what_is_required_and_what_is_known() -> None:
    assert set(example(Fill.KNOWN, urgency="high")) == {"id", "title", "codes", "urgency"}


def test_the_nearest_name_wins() -> None:
    values = {"title": "any", "Need__title": "of a need", "post__title": "of a post"}
    assert example(Fill.STORY, **values)["title"] == "of a need"
    assert example(Fill.STORY, "post", **values)["title"] == "of a post"
    assert example(Fill.STORY, "post", post={"title": "whole"}) == {"title": "whole"}


@pytest.mark.parametrize("given", [None, {"amount": "5.00", "currency": None}])
def test_nothing_is_null_and_no_list_empty_when_all_is_wanted(given: Any) -> None:
    made = example(Fill.ALL, budget=given, codes=[])
    assert made["budget"] == {"amount": "1.00" if given is None else "5.00", "currency": "Currency"}
    assert made["codes"] == ["1511"]


def test_everything_is_null_that_may_be() -> None:
    assert example(Fill.NULLS, budget={"amount": "5.00", "currency": "USD"})["budget"] is None
