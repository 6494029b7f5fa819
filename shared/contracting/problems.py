"""Error responses of one route: which stable codes it can answer with, under which status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.api import Rule
from shared.web.dependants import query_names
from shared.web.problems import CODES, MEDIA_TYPE, RETRY_AFTER_SECONDS

if TYPE_CHECKING:
    from fastapi.routing import APIRoute

Json = dict[str, Any]
_ANSWERED_BY_HEADERS = {
    401: ("WWW-Authenticate",),
    409: ("Retry-After",),
    412: ("ETag",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
PROBLEM: Json = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457. `code` is stable: decide by it, show `detail` to people. A code may bring more members.",
    "required": ["type", "title", "status", "code", "detail", "instance", "request_id", "errors"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "urn:bandung:problem:<code>"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "Path of the request"},
        "request_id": {"type": "string", "description": "Also in X-Request-Id and in the log of the service"},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/ProblemError"}},
        "current_status": {
            "type": "string",
            "description": "With invalid_transition: where it stands, or the part of it that is named",
        },
        "allowed": {
            "type": "array",
            "items": {"type": "string"},
            "description": "With invalid_transition: what you may do with that now",
        },
    },
}
PROBLEM_ERROR: Json = {
    "type": "object",
    "title": "ProblemError",
    "description": "One fault of a request: where (JSON pointer into the body, or `?name`), which, and in words.",
    "required": ["pointer", "code", "message"],
    "properties": {
        "pointer": {"type": "string"},
        "code": {"type": "string"},
        "message": {"type": "string"},
    },
}


def codes_of(route: APIRoute) -> list[str]:
    """Every code that this route can answer with: those of the conventions that apply, and those of its own rules."""
    rule = rule_of(route)
    names = set(query_names(route.dependant))
    found = {"validation_failed", "internal_error", "unavailable", *rule.refuses}
    if not rule.policy.public:
        found |= {"unauthenticated", "rate_limited"}
    if rule.policy.roles:
        found.add("forbidden")
    if "{" in route.path:
        found.add("not_found")
    if "cursor" in names:
        found.add("invalid_cursor")
    found |= _of_body(route, rule) | _of_headers(route, rule)
    return [code for code in CODES if code in found]


def _of_body(route: APIRoute, rule: Rule) -> set[str]:
    if rule.reads is not None:
        return {"body_too_large", "unsupported_media_type"}
    reads = rule.reads_json and method_of(route) != "GET"
    return {"malformed_json", "body_too_large", "unsupported_media_type"} if reads else set()


def _of_headers(route: APIRoute, rule: Rule) -> set[str]:
    found: set[str] = set()
    if takes_if_match(route):
        found |= {"invalid_header", "precondition_required", "version_mismatch"}
    if takes_idempotency_key(route, rule):
        found |= {"invalid_header", "idempotency_key_reused", "idempotency_in_flight"}
    return found


def rule_of(route: APIRoute) -> Rule:
    """What the kernel knows of the route."""
    rule: Rule = route.endpoint.__rule__  # type: ignore[attr-defined]
    return rule


def method_of(route: APIRoute) -> str:
    """The method; the kernel gives each route exactly one."""
    [method] = sorted(route.methods or ())
    return method


def takes_if_match(route: APIRoute) -> bool:
    """Whether it is a change of something that has a version."""
    return any(param.alias == "if-match" for d in route.dependant.dependencies for param in d.header_params)


def takes_idempotency_key(route: APIRoute, rule: Rule) -> bool:
    """Whether repeating it with the same key gives the first answer again."""
    return method_of(route) == "POST" and rule.transaction and not rule.policy.public


def responses(codes: list[str], shared: Json) -> Json:
    """Responses by status, as references into `shared`: many routes answer with the same codes."""
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(CODES[code][0], []).append(code)
    found = {}
    for status, its in by_status.items():
        name = ".".join([str(status), *its])
        shared.setdefault(name, _response(status, its))
        found[str(status)] = {"$ref": f"#/components/responses/{name}"}
    return found


def _response(status: int, codes: list[str]) -> Json:
    members = {"properties": {"status": {"const": status}, "code": {"enum": codes}}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, members]}
    examples = {code: {"$ref": f"#/components/examples/{code}"} for code in codes}
    names = ("X-Request-Id", *_ANSWERED_BY_HEADERS.get(status, ()))
    return {
        "description": "; ".join(f"`{code}`: {CODES[code][1]}" for code in codes),
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": {MEDIA_TYPE: {"schema": schema, "examples": examples}},
    }


def example(code: str) -> Json:
    """One problem document of this code."""
    status, title = CODES[code]
    document = {
        "type": f"urn:bandung:problem:{code}",
        "title": title,
        "status": status,
        "code": code,
        "detail": f"{title}.",
        "instance": "/needs/01a20cda-0b06-7006-8006-000000000006",
        "request_id": "01a20cda-3001-7001-8001-000000000001",
        "errors": [],
    }
    if code == "validation_failed":
        document["errors"] = [{"pointer": "/deadline", "code": "missing", "message": "This is required"}]
    if code == "invalid_transition":
        document |= {"current_status": "withdrawn", "allowed": []}
    words = {"summary": title}
    return (
        words
        | ({"description": "Try again after Retry-After."} if code in RETRY_AFTER_SECONDS else {})
        | {"value": document}
    )
