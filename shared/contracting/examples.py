"""Examples made from JSON Schemas and a table of values by name, so that every document tells one story.

A member is looked up as `<operation>.<member>`, `<Model>.<member>` and `<member>`, a whole body as `<operation>` or
`<Model>`. What the table does not know comes from the schema itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

Json = dict[str, Any]
_FORMATS = {
    "uuid": "01a20cda-4001-7001-8001-000000000001",
    "date": "2026-11-24",
    "date-time": "2026-11-24T09:20:00Z",
    "uri": "https://example.org",
    "email": "me@example.org",
}
_PLAIN: dict[str, Any] = {"object": {}, "integer": 1, "number": 0.5, "boolean": True, "null": None}


class Fill(Enum):
    """What to do with members that may be left out or null."""

    KNOWN = "those that the table knows, in a request"
    STORY = "null where the table knows nothing, in an answer"
    NULLS = "null wherever the schema allows it"
    ALL = "null nowhere, and no list empty"


@dataclass(frozen=True)
class Examples:
    """Makes examples of the schemas of one document."""

    values: Mapping[str, Any]
    schemas: Mapping[str, Json]
    """By name, as `#/components/schemas/<name>` or `#/$defs/<name>` refers to them."""
    fill: Fill = Fill.STORY

    def of(self, schema: Json, operation: str = "") -> Any:  # noqa: ANN401 (any JSON)
        """An example of this schema; the table may have values for this operation."""
        return self.values[operation] if operation in self.values else self._of(schema, operation, "")

    def _of(self, schema: Json, scope: str, member: str) -> Any:  # noqa: ANN401
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            its = self.schemas[name]
            return self._fitted(self.values[name], its) if name in self.values else self._of(its, scope, member)
        if "anyOf" in schema:
            return self._of(self._choice(schema["anyOf"]), scope, member)
        if "oneOf" in schema:
            return self._of(schema["oneOf"][0], scope, member)
        if "const" in schema:
            return schema["const"]
        if "properties" in schema:
            return self._object(schema, scope)
        return self._value(schema, member)

    def _choice(self, alternatives: list[Json]) -> Json:
        wanted = [one for one in alternatives if (one.get("type") == "null") == (self.fill is Fill.NULLS)]
        return (wanted or alternatives)[0]

    def _object(self, schema: Json, scope: str) -> Json:
        required = schema.get("required", ())
        made = {name: self._member(schema, name, scope) for name in schema["properties"]}
        if self.fill is not Fill.KNOWN:
            return made
        return {name: value for name, value in made.items() if name in required or self._known(schema, name, scope)}

    def _member(self, parent: Json, name: str, scope: str) -> Any:  # noqa: ANN401
        schema = parent["properties"][name]
        nullable = any(one.get("type") == "null" for one in schema.get("anyOf", ()))
        if nullable and self.fill is Fill.NULLS:
            return None
        known = self._known(parent, name, scope)
        if known and not self._rules_out(self.values[known]):
            return self._fitted(self.values[known], schema)
        return None if nullable and self.fill is Fill.STORY else self._of(schema, "", name)

    def _fitted(self, value: Any, schema: Json) -> Any:  # noqa: ANN401
        """A value of the table with its own members null, or not null, as `fill` wants it."""
        if self.fill in (Fill.KNOWN, Fill.STORY):
            return value
        if "$ref" in schema:
            return self._fitted(value, self.schemas[schema["$ref"].rpartition("/")[2]])
        if "anyOf" in schema:
            return self._fitted(value, self._choice(schema["anyOf"]))
        if isinstance(value, list):
            return [self._fitted(item, schema["items"]) for item in value]
        if isinstance(value, dict) and "properties" in schema:
            return self._with(schema["title"], value).of(schema)
        return value

    def _with(self, model: str, members: Json) -> Examples:
        """With these members for one model, but for those that `fill` rules out."""
        given = {f"{model}.{name}": item for name, item in members.items() if not self._rules_out(item)}
        return Examples({**self.values, **given}, self.schemas, self.fill)

    def _rules_out(self, value: Any) -> bool:  # noqa: ANN401
        return self.fill is Fill.ALL and value in (None, [])

    def _known(self, parent: Json, name: str, scope: str) -> str | None:
        """The key under which the table has a value for this member."""
        keys = (f"{scope}.{name}", f"{parent.get('title')}.{name}", name)
        return next((key for key in keys if key in self.values), None)

    def _value(self, schema: Json, member: str) -> Any:  # noqa: ANN401
        if schema.get("examples"):
            return schema["examples"][0]
        if "enum" in schema:
            return schema["enum"][0]
        if schema.get("default") is not None and self.fill is not Fill.ALL:
            return schema["default"]
        kind = schema.get("type", "object")
        if kind == "array":
            return [self._of(schema["items"], "", member)] if schema.get("items") else []
        if isinstance(schema.get("additionalProperties"), dict):
            return {"example": self._of(schema["additionalProperties"], "", member)}
        return _PLAIN.get(kind, _FORMATS.get(schema.get("format", ""), member.replace("_", " ").capitalize()))
