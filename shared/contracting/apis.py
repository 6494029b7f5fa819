"""Whether one OpenAPI document may take the place of another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from shared.contracting.structure import Change, Comparison, Direction, Kind, escaped, follow
from shared.web.problems import MEDIA_TYPE as PROBLEM

Json = dict[str, Any]
_FIRST_ERROR = "400"


def compare(old: Json, new: Json) -> list[Change]:
    """Every change of operations and webhooks that breaks a client or an endpoint."""
    comparison = _Apis(old, new)
    for path, operations in old.get("paths", {}).items():
        for method, operation in operations.items():
            where = f"/paths/{escaped(path)}/{method}"
            now = new.get("paths", {}).get(path, {}).get(method)
            comparison.operation(operation, now, where)
    for name, hook in old.get("webhooks", {}).items():
        now = new.get("webhooks", {}).get(name, {}).get("post")
        comparison.webhook(hook["post"], now, f"/webhooks/{name}/post")
    return comparison.changes


@dataclass
class _Apis:
    old: Json
    new: Json
    changes: list[Change] = field(default_factory=list)
    _by_direction: dict[Direction, Comparison] = field(init=False)

    def __post_init__(self) -> None:
        """One comparison per direction, so that a model that many operations share is told of once."""
        self._by_direction = {way: Comparison(self.old, self.new, way, self.changes) for way in Direction}

    def operation(self, old: Json, new: Json | None, where: str) -> None:
        """One operation; `new` None when it is gone."""
        if new is None:
            self._add("operation_removed", where, f"{old['operationId']} is gone")
            return
        if old["operationId"] != new["operationId"]:
            self._add("renamed", f"{where}/operationId", f"{old['operationId']} is called {new['operationId']} now")
        self._admission(old, new, where)
        self._parameters(old, new, where)
        self._body(old.get("requestBody"), new.get("requestBody"), f"{where}/requestBody", Direction.REQUEST)
        for status, response in old["responses"].items():
            self._response(response, new["responses"].get(status), f"{where}/responses/{status}", status)

    def webhook(self, old: Json, new: Json | None, where: str) -> None:
        """One event on its way to an endpoint: we write, they read."""
        if new is None:
            self._add("operation_removed", where, "is no longer delivered")
            return
        self._body(old["requestBody"], new["requestBody"], f"{where}/requestBody", Direction.ANSWER)
        kept = {p["name"] for p in new["parameters"]}
        for name in (p["name"] for p in old["parameters"] if p["name"] not in kept):
            self._add("removed", f"{where}/parameters", f"header {name} is gone")

    def _admission(self, old: Json, new: Json, where: str) -> None:
        if not old.get("security") and new.get("security"):
            self._add("newly_required", f"{where}/security", "a token must be sent now")
        before, after = set(old.get("x-roles", ())), set(new.get("x-roles", ()))
        if after and (not before or before - after):
            lost = ", ".join(sorted(before - after)) or "roles that are not named"
            self._add("narrowed", f"{where}/x-roles", f"no longer for {lost}")

    def _parameters(self, old: Json, new: Json, where: str) -> None:
        before, after = _parameters(self.old, old), _parameters(self.new, new)
        for key in before.keys() - after.keys():
            self._add("parameter_removed", f"{where}/parameters", f"{key[0]} parameter {key[1]} is gone")
        for key, parameter in after.items():
            place = f"{where}/parameters/{escaped(key[1])}"
            if parameter.get("required") and not before.get(key, {}).get("required"):
                self._add("newly_required", place, f"{key[0]} parameter {key[1]} must be given now")
            if key in before:
                was, now = before[key]["schema"], parameter["schema"]
                self._by_direction[Direction.REQUEST].defaults(was, now, f"{place}/schema")
                self._schema(was, now, f"{place}/schema", Direction.REQUEST)

    def _body(self, old: Json | None, new: Json | None, where: str, direction: Direction) -> None:
        if old is None or new is None:
            if new is not None and new.get("required"):
                self._add("newly_required", where, "a body must be sent now")
            return
        if new.get("required") and not old.get("required"):
            self._add("newly_required", where, "a body must be sent now")
        self._content(old.get("content", {}), new.get("content", {}), f"{where}/content", direction)

    def _response(self, old: Json, new: Json | None, where: str, status: str) -> None:
        if new is None:
            kind: Kind = "removed" if status < _FIRST_ERROR else "error_code_removed"
            self._add(kind, where, f"is never answered any more ({', '.join(self._codes(self.old, old)) or status})")
            return
        for code in sorted(set(self._codes(self.old, old)) - set(self._codes(self.new, new))):
            self._add("error_code_removed", where, f"{code} is gone")
        before, after = _followed(self.old, old), _followed(self.new, new)
        for name in before.get("headers", {}).keys() - after.get("headers", {}).keys():
            self._add("removed", f"{where}/headers/{name}", "the header is gone")
        self._content(_plain(before), _plain(after), f"{where}/content", Direction.ANSWER)

    @staticmethod
    def _codes(document: Json, response: Json) -> list[str]:
        schema = _followed(document, response).get("content", {}).get(PROBLEM, {}).get("schema", {})
        parts: list[Json] = schema.get("allOf", [])
        return [code for part in parts for code in part.get("properties", {}).get("code", {}).get("enum", ())]

    def _content(self, old: Json, new: Json, where: str, direction: Direction) -> None:
        for media, body in old.items():
            place = f"{where}/{escaped(media)}"
            if media not in new:
                self._add("removed", place, "this media type is gone")
            else:
                self._schema(body.get("schema", {}), new[media].get("schema", {}), f"{place}/schema", direction)

    def _schema(self, old: Json, new: Json, where: str, direction: Direction) -> None:
        self._by_direction[direction].compare(old, new, where)

    def _add(self, kind: Kind, where: str, words: str) -> None:
        self.changes.append(Change(kind, where, words))


def _followed(document: Json, item: Json) -> Json:
    return follow(document, item["$ref"]) if "$ref" in item else item


def _plain(response: Json) -> Json:
    """Its content by media type, without problem documents: of those only the codes count."""
    return {media: body for media, body in response.get("content", {}).items() if media != PROBLEM}


def _parameters(document: Json, operation: Json) -> dict[tuple[str, str], Json]:
    found = (_followed(document, item) for item in operation.get("parameters", ()))
    return {(parameter["in"], parameter["name"]): parameter for parameter in found}
