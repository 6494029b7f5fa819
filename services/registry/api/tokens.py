"""`POST /token` (RFC 6749 client credentials), the key set and the issuer's metadata (RFC 8414)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from fastapi import Request, Response
from starlette.responses import JSONResponse

from services.registry.commands.keys import is_secret
from services.registry.domain.keys import is_good
from services.registry.signing import signing_keys, token
from services.registry.store import keys as store
from services.registry.tables import KeyRow
from shared.api import Router, RunningDep, TxDep
from shared.lifecycle import Refused
from shared.messaging.transaction import Tx
from shared.web.auth import PUBLIC
from shared.web.body import is_text, read_bytes

router = Router("tokens")

GRANT = "client_credentials"
_FIELDS = {
    "grant_type": {"type": "string", "enum": [GRANT]},
    "client_id": {"type": "string", "description": "Or by HTTP Basic"},
    "client_secret": {"type": "string", "description": "Or by HTTP Basic"},
}
_TOKEN = {
    "access_token": {"type": "string", "description": "A JWT, signed with Ed25519"},
    "token_type": {"const": "Bearer"},
    "expires_in": {"type": "integer", "description": "Seconds"},
}
_ERROR = {"error": {"type": "string"}, "error_description": {"type": "string"}}


def _object(members: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "required": list(required or members), "properties": members}


def _answer(words: str, schema: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    return {"description": words, "content": {"application/json": {"schema": schema, "example": example}}}


def _error(words: str, error: str) -> dict[str, Any]:
    return _answer(words, _object(_ERROR, "error"), {"error": error, "error_description": words})


DOCUMENT = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": _object(_FIELDS, "grant_type"),
                "example": {"grant_type": GRANT, "client_id": "bdk_operator", "client_secret": "bds_..."},
            }
        },
    },
    "responses": {
        "200": _answer(
            "A token of 15 minutes",
            _object(_TOKEN),
            {"access_token": "eyJhbGciOiJFZERTQSJ9.e30.c2ln", "token_type": "Bearer", "expires_in": 900},
        ),
        "400": _error("A field is missing, or another grant is asked for", "invalid_request"),
        "401": _error("Unknown client or wrong secret", "invalid_client"),
    },
}
"""What OpenAPI says of the route: RFC 6749 has its own form and its own errors."""


class TokenError(Exception):
    """An error of RFC 6749, section 5.2."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error, self.description, self.status = error, description, status


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who asks for a token, and whether by the Authorization header."""

    client_id: str
    secret: str
    basic: bool


@router.post("/token", PUBLIC, reads_json=False, openapi_extra=DOCUMENT)
async def issue_token(request: Request, tx: TxDep, running: RunningDep) -> Response:
    """Exchanges an API key for an access token of 15 minutes. Errors are those of RFC 6749, not problem documents."""
    try:
        form = await _form(request)
        _check_grant(form)
        key = await _authenticate(tx, _credentials(request, form))
    except TokenError as error:
        return _refused(request, error)
    access_token = await token(signing_keys(running), key, running.settings, int(tx.clock.real().timestamp()))
    answer = {"access_token": access_token, "token_type": "Bearer", "expires_in": running.settings.token_ttl_seconds}
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


@router.get("/.well-known/jwks.json", PUBLIC, transaction=False)
async def jwks(running: RunningDep) -> dict[str, Any]:
    """The public keys of all access tokens that may be about."""
    return await signing_keys(running).public()


@router.get("/.well-known/oauth-authorization-server", PUBLIC, transaction=False)
async def metadata(running: RunningDep) -> dict[str, Any]:
    """What this issuer offers."""
    issuer = running.settings.issuer
    return {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "grant_types_supported": [GRANT],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "service_documentation": f"{issuer}/docs",
    }


async def _form(request: Request) -> dict[str, str]:
    try:
        pairs = parse_qsl((await read_bytes(request)).decode(), keep_blank_values=False, max_num_fields=50)
    except (Refused, ValueError) as error:
        raise TokenError("invalid_request", "The body is no form") from error
    if len({name for name, _ in pairs}) < len(pairs):
        raise TokenError("invalid_request", "A parameter is given twice")
    return dict(pairs)


def _check_grant(form: dict[str, str]) -> None:
    grant = form.get("grant_type")
    if grant is None:
        raise TokenError("invalid_request", "grant_type is missing")
    if grant != GRANT:
        raise TokenError("unsupported_grant_type", f"Only {GRANT} is offered")


def _credentials(request: Request, form: dict[str, str]) -> Credentials:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        return _from_basic(value)
    if "client_id" not in form or "client_secret" not in form:
        raise TokenError("invalid_request", "client_id and client_secret are needed")
    return Credentials(form["client_id"], form["client_secret"], basic=False)


def _from_basic(value: str) -> Credentials:
    """Id and secret are form-encoded before they are joined (RFC 6749, section 2.3.1)."""
    try:
        client_id, colon, secret = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        raise TokenError("invalid_request", "The Authorization header is not HTTP Basic") from error
    if not colon:
        raise TokenError("invalid_request", "The Authorization header is not HTTP Basic")
    return Credentials(unquote_plus(client_id), unquote_plus(secret), basic=True)


async def _authenticate(tx: Tx, who: Credentials) -> KeyRow:
    """The key; an unknown id, a wrong secret, a revoked and an expired key all look the same."""
    key = await store.by_client_id(tx, who.client_id) if is_text(who.client_id) and is_text(who.secret) else None
    if key is None or not is_secret(key, who.secret) or not is_good(key.status, key.expires_on, tx.clock.real().date()):
        raise TokenError("invalid_client", "Unknown client or wrong secret", 401)
    return key


def _refused(request: Request, error: TokenError) -> Response:
    headers = {"Cache-Control": "no-store"}
    if error.status == 401 and request.headers.get("authorization"):  # noqa: PLR2004 (RFC 6749, section 5.2)
        headers["WWW-Authenticate"] = 'Basic realm="bandung"'
    answer = {"error": error.error, "error_description": error.description}
    return JSONResponse(answer, error.status, headers=headers)
