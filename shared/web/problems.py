"""Problem documents (RFC 9457): the one table of stable codes, and how each fault becomes an answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from shared.lifecycle import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastapi import Request

MEDIA_TYPE = "application/problem+json"

# code -> (status, title); the only place where a code meets its status
CODES: dict[str, tuple[int, str]] = {
    "malformed_json": (400, "The body is not JSON"),
    "invalid_cursor": (400, "This cursor was not given out by this list"),
    "invalid_header": (400, "A header is malformed"),
    "unauthenticated": (401, "A valid access token is needed"),
    "forbidden": (403, "You may see this but not do it"),
    "four_eyes_required": (403, "Somebody else must decide this"),
    "wrong_institution": (403, "Your token acts for another institution"),
    "not_found": (404, "There is nothing here for you"),
    "method_not_allowed": (405, "This method is not offered here"),
    "invalid_transition": (409, "This is not possible in the present state"),
    "duplicate_institution": (409, "This institution seems to be registered already"),
    "due_diligence_not_met": (409, "An answer of the questionnaire is no"),
    "screening_hit_open": (409, "A sanctions hit is still open"),
    "institution_not_verified": (409, "An institution is not verified"),
    "institution_suspended": (409, "An institution is suspended"),
    "provider_not_interested": (409, "The provider has not expressed interest yet"),
    "capacity_exhausted": (409, "The capability has no free place"),
    "not_eligible": (409, "A rule excludes this pair"),
    "need_not_open": (409, "The need is no longer open"),
    "need_already_engaged": (409, "The need has all the partners it wanted"),
    "agreement_not_signed": (409, "The agreement is not signed by all parties"),
    "partners_incomplete": (409, "A beneficiary or a pivotal partner is missing"),
    "milestones_open": (409, "A milestone is neither reached nor waived"),
    "completion_report_not_signed": (409, "The completion report is not signed by all partners"),
    "project_not_completed": (409, "The project is not completed"),
    "idempotency_in_flight": (409, "The first request with this key is still running"),
    "cursor_expired": (410, "This cursor is older than the retention"),
    "version_mismatch": (412, "The resource has changed since you read it"),
    "body_too_large": (413, "The body is too large"),
    "unsupported_media_type": (415, "The body must be JSON"),
    "validation_failed": (422, "The request does not fit its description"),
    "idempotency_key_reused": (422, "This Idempotency-Key was used for another request"),
    "webhook_url_forbidden": (422, "This URL may not be called"),
    "precondition_required": (428, "If-Match is required"),
    "rate_limited": (429, "Too many requests"),
    "internal_error": (500, "Something broke on our side"),
    "unavailable": (503, "The service cannot answer just now"),
}
RETRY_AFTER_SECONDS = {"idempotency_in_flight": 1, "unavailable": 2}


def refuse(code: str, detail: str, **members: Any) -> Refused:  # noqa: ANN401
    """A refusal with a known code; `headers` in members become response headers."""
    if code not in CODES:
        msg = f"unknown problem code {code}"
        raise KeyError(msg)
    return Refused(code, detail, **members)


def not_found(what: str = "resource") -> Refused:
    """404 for what is absent or not visible to the caller: the two look the same."""
    return refuse("not_found", f"No such {what}, or you may not see it.")


def render(refused: Refused, *, path: str, request_id: str) -> Response:
    """The problem document of contract section 1."""
    status, title = CODES[refused.code]
    members = dict(refused.members)
    headers: dict[str, str] = members.pop("headers", {})
    if refused.code in RETRY_AFTER_SECONDS:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS[refused.code]), **headers}
    document = {
        "type": f"urn:bandung:problem:{refused.code}",
        "title": members.pop("title", title),
        "status": status,
        "code": refused.code,
        "detail": refused.detail,
        "instance": path,
        "request_id": request_id,
        "errors": members.pop("errors", []),
        **members,
    }
    return Response(json.dumps(document, default=str), status, headers, MEDIA_TYPE)


def answer(request: Request, refused: Refused) -> Response:
    """The problem document for a request."""
    return render(refused, path=request.url.path, request_id=request_id_of(request.scope))


def request_id_of(scope: Mapping[str, Any]) -> str:
    """The id given to this request by the server."""
    state: dict[str, Any] = scope.get("state") or {}
    return str(state.get("request_id", ""))


ALTERNATIVE = "body:"
"""Begins the tag of each kind of body where a route takes several; a tag is no part of a pointer."""


def from_validation(errors: Sequence[Mapping[str, Any]]) -> Refused:
    """Pydantic's errors as 422 with JSON pointers; a path id that is no UUID is simply absent (404)."""
    if any(error["loc"][0] == "path" for error in errors):
        return not_found()
    headers = [error for error in errors if error["loc"][0] == "header"]
    if headers:
        return refuse("invalid_header", f"Header {headers[0]['loc'][1]}: {headers[0]['msg']}")
    listed = [{"pointer": _pointer(e["loc"]), "code": _code(e["type"]), "message": _message(e)} for e in errors]
    detail = "; ".join(f"{e['pointer'] or '/'}: {e['message']}" for e in listed[:5])
    return refuse("validation_failed", detail, errors=listed)


def _pointer(loc: Sequence[str | int]) -> str:
    if loc[0] == "query":
        return f"?{loc[1]}"
    members = [str(part) for part in loc[1:] if not str(part).startswith(ALTERNATIVE)]
    parts = [member.replace("~", "~0").replace("/", "~1") for member in members]
    return "".join(f"/{part}" for part in parts)


def _code(kind: str) -> str:
    return {"extra_forbidden": "unknown_member", "value_error": "invalid"}.get(kind, kind)


def _message(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "This member is not known here; leave it out"
    if error["type"] == "missing":
        return "This is required"
    return str(error["msg"]).removeprefix("Value error, ")
