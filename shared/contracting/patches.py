"""The body of a JSON merge patch (RFC 7396), described by the model that the merged resource must fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.contracting import schemas

if TYPE_CHECKING:
    from pydantic import BaseModel

Json = dict[str, Any]
_WORDS = "JSON merge patch (RFC 7396): what is absent stays, null takes away."


def add(parts: Json, model: type[BaseModel]) -> Json:
    """Puts the patch of this model and what it refers to into `components/schemas`; a reference to it."""
    whole = model.model_json_schema(ref_template=schemas.AS_COMPONENT)
    for its in whole["$defs"].values():
        _write_as_fastapi(its)
    schemas.put(parts, whole.pop("$defs"))
    required = whole.pop("required", ())
    name = f"{model.__name__.removesuffix('Fields').removesuffix('In')}Patch"
    members = {member: _member(schema, required=member in required) for member, schema in whole["properties"].items()}
    parts[name] = whole | {"title": name, "description": _WORDS, "properties": members}
    return {"$ref": f"#/components/schemas/{name}"}


def _write_as_fastapi(part: Json) -> None:
    """The document has most of these parts already: FastAPI leaves out a default that is null."""
    schemas.untitle(part)
    for member in part.get("properties", {}).values():
        if "default" in member and member["default"] is None:
            del member["default"]


def _member(schema: Json, *, required: bool) -> Json:
    """Without a default, since what is absent stays; null for what may be taken away."""
    bare = {key: value for key, value in schema.items() if key not in ("default", "title")}
    if required or any(one.get("type") == "null" for one in bare.get("anyOf", ())):
        return bare
    return {"anyOf": [bare, {"type": "null"}]}
