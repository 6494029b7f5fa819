"""Lists: `{"items": [...], "next": cursor}`, opaque cursors that cannot be made up."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query, Request
from pydantic import BaseModel, ConfigDict

from shared.web.problems import refuse

Item = TypeVar("Item")
DEFAULT_LIMIT, MAX_LIMIT = 50, 200
_DIGEST_BYTES = 8


class Page(BaseModel, Generic[Item]):
    """One page of a list; `next` is null at the end."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)
    items: list[Item]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class PageQuery:
    """`limit` and `cursor` of a list request; a cursor belongs to the list (path) that gave it out."""

    limit: int
    after: list[Any] | None
    path: str

    def cursor(self, values: list[Any]) -> str:
        """The cursor that goes on behind a row with these key values."""
        return encode(self.path, values)


def encode(scope: str, values: list[Any]) -> str:
    """An opaque cursor: JSON with a digest over it and its scope."""
    body = json.dumps(values, default=str, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_digest(scope, body) + body).decode().rstrip("=")


def decode(scope: str, cursor: str) -> list[Any]:
    """The values of a cursor; raises `invalid_cursor`."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        body = raw[_DIGEST_BYTES:]
        values: list[Any] | None = json.loads(body) if raw[:_DIGEST_BYTES] == _digest(scope, body) else None
    except (ValueError, binascii.Error):
        values = None
    if values is None:
        raise refuse("invalid_cursor", "Use the `next` of the previous answer unchanged, or leave the cursor out.")
    return values


def _digest(scope: str, body: bytes) -> bytes:
    # not a secret: a cursor grants nothing, the digest only tells a mangled one from a real one
    return hashlib.blake2b(body, digest_size=_DIGEST_BYTES, key=scope.encode()[:64]).digest()


async def _page_query(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Items per page")] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(description="The `next` of the previous page")] = None,
) -> PageQuery:
    path = request.url.path
    return PageQuery(limit, decode(path, cursor) if cursor is not None else None, path)


Paging = Annotated[PageQuery, Depends(_page_query)]
