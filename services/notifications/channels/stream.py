"""Server-sent events: a stream that holds no database connection, resumes, and ends when it should."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from starlette.responses import StreamingResponse

from shared.ops.waiting import wait_any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from shared.ops.waiting import Bell

COMMENT_SECONDS = 15.0
LOOK_SECONDS = 2.0
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

Message = str


def message(identity: str, data: str, event: str | None = None) -> Message:
    """One message; `data` has no line breaks."""
    name = f"event: {event}\n" if event else ""
    return f"{name}id: {identity}\ndata: {data}\n\n"


def described(data: str, event: str | None = None) -> dict[str, Any]:
    """What a route says of its stream in the OpenAPI document."""
    content = {"schema": {"type": "string"}, "example": message("AVb1Q2ZyZWVzWzQyXQ", data, event)}
    return {"responses": {"200": {"content": {"text/event-stream": content}}}}


def event_stream(
    read: Callable[[], Awaitable[Sequence[Message]]], bell: Bell, stopping: asyncio.Event, *, lasts_seconds: float
) -> StreamingResponse:
    """The answer. `read` gives what is new since it was called last, in batches, and an empty list at the end.

    The stream ends at shutdown, when the client leaves (the server cancels it), and when no token can still be
    valid; a client comes back with `Last-Event-ID`.
    """
    return StreamingResponse(
        _messages(read, bell, stopping, lasts_seconds), media_type="text/event-stream", headers=HEADERS
    )


async def _messages(
    read: Callable[[], Awaitable[Sequence[Message]]], bell: Bell, stopping: asyncio.Event, lasts_seconds: float
) -> AsyncIterator[Message]:
    ends = time.monotonic() + lasts_seconds
    quiet_since = time.monotonic()
    yield ": open\n\n"
    with bell.listening() as rung:
        while not stopping.is_set() and time.monotonic() < ends:
            rung.clear()
            batch = await read()
            if batch:
                yield "".join(batch)
            elif time.monotonic() - quiet_since < COMMENT_SECONDS:
                await wait_any(LOOK_SECONDS, rung, stopping)
                continue
            else:
                yield ": still here\n\n"
            quiet_since = time.monotonic()
