"""Every operation says what a client must know of it, with examples that are true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter

from shared.web.problems import CODES
from tests.contract.conftest import NAMES, committed, fits

if TYPE_CHECKING:
    from fastapi.routing import APIRoute

    from shared.service import Service

PROBLEM = "application/problem+json"
JSON = "application/json"


@dataclass(frozen=True)
class Operation:
    """One operation of a committed document."""

    service: str
    method: str
    path: str

    @property
    def whole(self) -> dict[str, Any]:
        return committed(f"openapi/{self.service}.json")

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = self.whole["paths"][self.path][self.method]
        return found

    def resolved(self, kind: str, item: dict[str, Any]) -> dict[str, Any]:
        reference = item.get("$ref")
        return self.whole["components"][kind][reference.rpartition("/")[2]] if reference else item

    def responses(self) -> dict[str, dict[str, Any]]:
        return {status: self.resolved("responses", its) for status, its in self.document["responses"].items()}

    def headers_in(self) -> dict[str, dict[str, Any]]:
        parameters = [self.resolved("parameters", its) for its in self.document.get("parameters", [])]
        return {p["name"]: p for p in parameters if p["in"] == "header"}

    def codes(self) -> dict[str, list[str]]:
        problems = {
            status: its["content"][PROBLEM]
            for status, its in self.responses().items()
            if status >= "4" and PROBLEM in its["content"]
        }
        return {status: body["schema"]["allOf"][1]["properties"]["code"]["enum"] for status, body in problems.items()}

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"


ALL = [
    Operation(service, method, path)
    for service in NAMES
    for path, methods in committed(f"openapi/{service}.json")["paths"].items()
    for method in methods
]
every_operation = pytest.mark.parametrize("operation", ALL, ids=str)


def find(method: str, path: str) -> Operation:
    return next(o for o in ALL if (o.method, o.path) == (method, path))


@every_operation
def test_it_has_a_name_a_tag_words_and_says_who_may_call(operation: Operation) -> None:
    document = operation.document
    assert document["operationId"]
    assert document["tags"]
    assert document["summary"]
    assert document["description"]
    assert document["security"] in ([], [{"bearer": []}, {"apiKey": []}])


@pytest.mark.parametrize("service", NAMES)
def test_operation_ids_are_unique(service: str) -> None:
    ids = [o.document["operationId"] for o in ALL if o.service == service]
    assert len(ids) == len(set(ids))


@every_operation
def test_its_errors_are_known_codes_under_their_status(operation: Operation) -> None:
    codes = operation.codes()
    assert all(CODES[code][0] == int(status) for status, its in codes.items() for code in its)
    known = {code for its in codes.values() for code in its}
    assert {"internal_error", "unavailable"} <= known
    if operation.document["security"]:
        assert {"unauthenticated", "rate_limited"} <= known
    if "{" in operation.path:
        assert "not_found" in known


@every_operation
def test_what_changes_a_resource_takes_if_match_and_what_posts_takes_a_key(operation: Operation) -> None:
    headers = operation.headers_in()
    if operation.method == "patch":
        assert headers["If-Match"]["required"] is True
    if "If-Match" in headers:
        codes = operation.codes()
        assert codes["412"] == ["version_mismatch"]
        assert codes["428"] == ["precondition_required"]
        assert "ETag" in operation.responses()["412"]["headers"]
    assert ("Idempotency-Key" in headers) == (operation.method == "post" and bool(operation.document["security"]))


@every_operation
def test_every_answer_has_a_request_id_and_an_example(operation: Operation) -> None:
    for status, response in operation.responses().items():
        assert "X-Request-Id" in response["headers"], status
        for body in response.get("content", {}).values():
            assert "example" in body or "examples" in body, status


@every_operation
def test_the_example_answer_fits_its_schema(operation: Operation) -> None:
    for status, response in operation.responses().items():
        for media, body in response.get("content", {}).items():
            if media == JSON and status < "3":
                assert fits(body["example"], body["schema"], operation.whole) == []


@pytest.mark.parametrize("service", NAMES)
def test_every_example_of_a_problem_fits_its_schema(service: str) -> None:
    whole = committed(f"openapi/{service}.json")
    for response in whole["components"]["responses"].values():
        body = response["content"][PROBLEM]
        for code in body["examples"]:
            assert fits(whole["components"]["examples"][code]["value"], body["schema"], whole) == []


@every_operation
def test_the_service_takes_the_example_request(operation: Operation, services: list[Service]) -> None:
    content = operation.document.get("requestBody", {}).get("content", {})
    if JSON not in content:
        return
    example = content[JSON]["example"]
    assert fits(example, content[JSON]["schema"], operation.whole) == []
    route = next(r for s in services for r in _routes(s) if r.name == operation.document["operationId"])
    assert route.body_field is not None
    TypeAdapter(route.body_field.field_info.annotation).validate_python(example)


def _routes(service: Service) -> list[APIRoute]:
    return [route for router in service.routers for route in router.routes.routes]  # type: ignore[misc]


def test_a_state_change_of_the_lifecycle_names_the_codes_of_its_guards() -> None:
    assert "provider_not_interested" in find("post", "/matches/{match_id}/accept").codes()["409"]
    assert "capacity_exhausted" in find("post", "/matches/{match_id}/formalise").codes()["409"]
    assert "agreement_not_signed" in find("post", "/projects/{project_id}/start").codes()["409"]
    assert "four_eyes_required" in find("post", "/verifications/{verification_id}/approve").codes()["403"]


def test_headers_of_answers_follow_what_is_shown() -> None:
    created = find("post", "/needs").responses()["201"]["headers"]
    assert {"Location", "ETag", "X-Correlation-Id", "X-Request-Id", "Idempotency-Replayed"} == set(created)
    assert {"Link", "X-Request-Id"} == set(find("get", "/needs").responses()["200"]["headers"])
    listed = find("get", "/projects/{project_id}/agreements").responses()["200"]["headers"]
    assert {"Link", "X-Correlation-Id", "X-Request-Id"} == set(listed)
    assert "ETag" not in find("get", "/projects/{project_id}/totals").responses()["200"]["headers"]


def test_the_token_route_is_public_and_answers_as_oauth_does() -> None:
    token = find("post", "/token")
    assert token.document["security"] == []
    assert set(token.document["requestBody"]["content"]) == {"application/x-www-form-urlencoded"}
    assert token.responses()["200"]["content"][JSON]["example"]["token_type"] == "Bearer"
    assert set(token.responses()["401"]["content"]) == {JSON}
    schemes = token.whole["components"]["securitySchemes"]
    assert schemes["apiKey"]["flows"]["clientCredentials"]["tokenUrl"] == "http://127.0.0.1:8001/token"
