"""Reading a body: size, media type, JSON syntax and hostile text are settled before any model sees it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.web.problems import refuse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

MAX_BODY_BYTES = 256 * 1024
MAX_DEPTH = 32
_JSON_TYPES = frozenset({"application/json", "application/merge-patch+json"})
# a cheap look at the raw bytes tells whether the walk over all strings is needed at all
_SUSPICIOUS = re.compile(rb"\\u0000|\\u[dD][89abAB]|\\u[dD][c-fC-F]")


@dataclass(frozen=True, slots=True)
class Plain:
    """A body that is no JSON: what it is, and how large it may be."""

    media_type: str
    max_bytes: int


async def read_plain(request: Request, kind: Plain) -> bytes:
    """The body as it was sent; also leaves it where FastAPI looks for it.

    Raises `unsupported_media_type` or `body_too_large`.
    """
    if _media_type(request) != kind.media_type:
        title = f"The body must be {kind.media_type}"
        raise refuse("unsupported_media_type", f"Send the body as {kind.media_type}.", title=title)
    request._body = await read_bytes(request, kind.max_bytes)  # noqa: SLF001 (as in `read_json`)
    return request._body  # noqa: SLF001


async def read_json(request: Request) -> Any:  # noqa: ANN401 (any JSON)
    """The parsed body, `{}` when there is none; also leaves it where FastAPI looks for it.

    Raises `body_too_large`, `unsupported_media_type`, `malformed_json` or `validation_failed`.
    """
    raw = await read_bytes(request)
    if not raw:
        value: Any = {}
    else:
        _check_json(request)
        value = _parse(raw)
    # FastAPI asks the request for both; filled in here so that the body is parsed once and `no body` equals `{}`
    request._body = raw or b"{}"  # noqa: SLF001
    request._json = value  # noqa: SLF001
    return value


async def read_bytes(request: Request, most: int = MAX_BODY_BYTES) -> bytes:
    """The raw body; raises `body_too_large`."""
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > most:
        raise _too_large(most)
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise _too_large(most)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(most: int) -> Exception:
    return refuse("body_too_large", f"A body may have {most} bytes at most.")


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _check_json(request: Request) -> None:
    if _media_type(request) not in _JSON_TYPES:
        raise refuse("unsupported_media_type", "Send the body as application/json.")


def _parse(raw: bytes) -> Any:  # noqa: ANN401
    try:
        # decoded here: json.loads would guess UTF-16 and let lone surrogates through
        value = json.loads(raw.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite)
        depth = _depth(value)
    except (ValueError, RecursionError) as error:
        raise refuse("malformed_json", f"The body is not valid JSON: {str(error)[:200]}") from error
    if depth > MAX_DEPTH:
        raise refuse("malformed_json", f"The body is nested deeper than {MAX_DEPTH} levels.")
    if _SUSPICIOUS.search(raw):
        _check_text(value)
    return value


def _no_constant(name: str) -> None:
    msg = f"{name} is not JSON"
    raise ValueError(msg)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _depth(value: Any) -> int:  # noqa: ANN401
    """Nesting depth, without recursion."""
    depth, level = 0, [value]
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            break
        level = [child for item in level for child in _children(item)]
    return depth


def _children(item: Any) -> list[Any]:  # noqa: ANN401
    values = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    return [value for value in values if isinstance(value, dict | list)]


def _check_text(value: Any) -> None:  # noqa: ANN401
    errors = [
        {"pointer": pointer, "code": "invalid_text", "message": "NUL and lone surrogates are not text"}
        for pointer, text in _strings(value, "")
        if not is_text(text)
    ]
    if errors:
        raise refuse("validation_failed", f"{errors[0]['pointer']}: {errors[0]['message']}", errors=errors[:20])


def is_text(text: str) -> bool:
    """Whether PostgreSQL and UTF-8 can hold this: no NUL, no lone surrogate."""
    return "\x00" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


def _strings(value: Any, pointer: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield pointer, key
            yield from _strings(item, f"{pointer}/{key}")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _strings(item, f"{pointer}/{position}")
