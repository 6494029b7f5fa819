"""What one operation says beyond FastAPI's knowledge: headers, errors, security and examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from shared.api import Resource, Rule
from shared.contracting import problems
from shared.web.paging import Page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.routing import APIRoute

    from shared.contracting.examples import Examples

Json = dict[str, Any]
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
PARAMETERS: Json = {
    "If-Match": {
        "name": "If-Match",
        "in": "header",
        "required": True,
        "description": 'The ETag you read, e.g. `"3"`, or `*` for any version',
        "schema": {"type": "string"},
        "example": '"1"',
    },
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "Makes it safe to repeat: the first answer comes again for 24 hours, with Idempotency-Replayed",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        "example": "order-4711-1",
    },
}
_CREATED = 201


@dataclass(frozen=True)
class Operation:
    """One operation of the document and the route behind it."""

    route: APIRoute
    document: Json
    requests: Examples
    answers: Examples
    responses: Json
    """Responses that operations share; this one adds what is missing."""

    @property
    def rule(self) -> Rule:
        """What the kernel knows of the route."""
        return problems.rule_of(self.route)

    def complete(self) -> None:
        """Adds everything."""
        self.document["responses"].pop("422", None)
        self._parameters()
        self._body()
        self._success()
        for response in self.document["responses"].values():
            response.setdefault("headers", {"X-Request-Id": _reference("headers", "X-Request-Id")})
        self.document["responses"] |= problems.responses(problems.codes_of(self.route), self.responses)
        self._security()

    def _parameters(self) -> None:
        given = [_parameter(parameter) for parameter in self.document.pop("parameters", [])]
        for path_parameter in (one for one in given if one.get("in") == "path"):
            name = path_parameter["name"]
            path_parameter["example"] = self.requests.values.get(f"path.{name}", self.requests.values.get(name))
        if problems.takes_idempotency_key(self.route, self.rule):
            given.append(_reference("parameters", "Idempotency-Key"))
        if given:
            self.document["parameters"] = given

    def _body(self) -> None:
        content = self.document.get("requestBody", {}).get("content", {})
        if JSON not in content:
            return
        schema = content[JSON]["schema"]
        kinds = [self._named(kind) for kind in schema.get("oneOf", [schema])]
        self.document["requestBody"]["required"] = all(kind.get("required") for kind in kinds) or self._patches
        content[JSON]["example"] = self.requests.of(schema, self._operation)
        if self._patches:
            content[MERGE_PATCH] = content[JSON]

    def _named(self, schema: Json) -> Json:
        return self.requests.schemas.get(schema.get("$ref", "").rpartition("/")[2], {})

    def _success(self) -> None:
        status = str(self.route.status_code or 200)
        response = self.document["responses"][status]
        response["description"] = {"201": "Made", "202": "Accepted", "204": "Done"}.get(status, "Done")
        if self.document.get("operationId", "").startswith(("get_", "list_", "stream_")):
            response["description"] = "Found"
        names = list(self._headers())
        response["headers"] = {name: _reference("headers", name) for name in names}
        body = response.get("content", {}).get(JSON)
        if body is not None and "example" not in body:
            body["example"] = self.answers.of(body["schema"], f"{self._operation}.answer")

    @property
    def _patches(self) -> bool:
        return problems.method_of(self.route) == "PATCH"

    @property
    def _operation(self) -> str:
        return str(self.document["operationId"])

    def _headers(self) -> Iterator[str]:
        yield "X-Request-Id"
        models = [m for m in self._models() if isinstance(m, type)]
        if any(issubclass(m, Resource) and m.thread is not Resource.thread for m in models):
            yield "X-Correlation-Id"
        if any(issubclass(m, Resource) and "version" in m.model_fields for m in models):
            yield "ETag"
        if self.route.status_code == _CREATED and any(issubclass(m, Resource) and m.collection for m in models):
            yield "Location"
        if any(issubclass(m, Page) for m in models):
            yield "Link"
        if problems.takes_idempotency_key(self.route, self.rule):
            yield "Idempotency-Replayed"

    def _models(self) -> tuple[Any, ...]:
        model = self.route.response_model
        return get_args(model) if not isinstance(model, type) else (model,)

    def _security(self) -> None:
        if self.rule.policy.public:
            self.document["security"] = []
            return
        self.document["security"] = [{"bearer": []}, {"apiKey": []}]
        if self.rule.policy.roles:
            self.document["x-roles"] = sorted(self.rule.policy.roles)
        if self.rule.by:
            self.document["x-hats"] = sorted(self.rule.by)


def _parameter(given: Json) -> Json:
    if given["name"] == "if-match":
        return _reference("parameters", "If-Match")
    if given["in"] == "header":
        given["name"] = given["name"].title()
    for said_elsewhere in ("title", "description"):
        given["schema"].pop(said_elsewhere, None)
    return given


def _reference(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}
