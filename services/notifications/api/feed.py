"""The feed: every event that the caller may see, in one order that is the same for all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Header, Query, Request
from pydantic_core import PydanticCustomError
from sqlalchemy.ext.asyncio import AsyncSession

from services.notifications.channels.stream import Message, described, event_stream, message
from services.notifications.parts import PartsDep
from services.notifications.schemas.feed import CloudEventOut
from services.notifications.schemas.webhooks import check_event_name
from services.notifications.store import events, positions
from services.notifications.tables import EventRow
from shared.api import CallerDep, Router, RunningDep
from shared.web.auth import SIGNED_IN, Caller
from shared.web.paging import Page, Paging, decode, encode
from shared.web.problems import refuse

router = Router("feed")
BATCH = 100
SCOPE = "/events"


@router.get(
    "/events",
    SIGNED_IN,
    transaction=False,
    response_model=Page[CloudEventOut],
    openapi_extra=described('{"specversion": "1.0", ...}'),
    refuses=("cursor_expired",),
)
async def list_events(
    request: Request,
    running: RunningDep,
    caller: CallerDep,
    parts: PartsDep,
    paging: Paging,
    types: Annotated[
        str | None, Query(description="Event types, comma separated", examples=["NeedPosted,MatchProposed"])
    ] = None,
    last_event_id: Annotated[str | None, Header(description="With text/event-stream: `id` of the last message")] = None,
) -> Any:  # noqa: ANN401 (a page or a stream)
    """Events behind `cursor`; store `next` and ask again. With `Accept: text/event-stream` they come as they happen.

    Without a cursor the page begins with the oldest event kept, the stream with what comes from now on.
    """
    names = _names(types)
    kept = timedelta(days=running.settings.feed_retention_days)
    reader = FeedReader(running, caller, names, kept)
    if "text/event-stream" not in request.headers.get("accept", ""):
        return await reader.page(paging.after, paging.limit)
    after = decode(SCOPE, last_event_id) if last_event_id is not None else paging.after
    await reader.begin(after)
    return event_stream(
        reader.read, parts.signals.stamped, running.stopping, lasts_seconds=running.settings.token_ttl_seconds
    )


def _names(types: str | None) -> list[str]:
    """Short names; an unknown one is 422."""
    names = types.split(",") if types is not None else []
    for name in names:
        try:
            check_event_name(name)
        except PydanticCustomError as error:
            pointed = {"pointer": "?types", "code": error.type, "message": f"{name}: {error.message()}"}
            raise refuse("validation_failed", f"?types: {name} is not an event type.", errors=[pointed]) from error
    return names


class FeedReader:
    """One reader of the feed and where it stands."""

    def __init__(self, running: Any, caller: Caller, names: Sequence[str], kept: timedelta) -> None:  # noqa: ANN401 (Running)
        self._session_of, self._clock = running.database.request_session, running.clock
        self._caller, self._names, self._kept = caller, names, kept
        self._position = 0

    async def page(self, after: list[Any] | None, limit: int) -> Page[dict[str, Any]]:
        """One page; its `next` is always set."""
        async with self._session_of() as session:
            last = await positions.last(session, positions.FEED)
            start = await self._oldest(session, last) if after is None else await self._checked(session, after, last)
            rows = await events.feed(session, self._caller, self._names, start, last, limit)
        reached = rows[-1].position or last if len(rows) == limit else max(start, last)
        return Page(items=[events.structured(row) for row in rows], next=encode(SCOPE, [reached]))

    async def begin(self, after: list[Any] | None) -> None:
        """Where a stream starts."""
        async with self._session_of() as session:
            last = await positions.last(session, positions.FEED)
            self._position = last if after is None else await self._checked(session, after, last)

    async def read(self) -> Sequence[Message]:
        """The next messages of a stream."""
        async with self._session_of() as session:
            last = await positions.last(session, positions.FEED)
            if last <= self._position:
                return []
            rows = await events.feed(session, self._caller, self._names, self._position, last, BATCH)
        self._position = rows[-1].position or last if len(rows) == BATCH else last
        return [self._message(row) for row in rows]

    def _message(self, row: EventRow) -> Message:
        return message(encode(SCOPE, [row.position]), json.dumps(events.structured(row)))

    async def _oldest(self, session: AsyncSession, last: int) -> int:
        first = await events.first_kept(session, self._clock.real() - self._kept)
        return last if first is None else first - 1

    async def _checked(self, session: AsyncSession, after: list[Any], last: int) -> int:
        """The position of a cursor; 410 when events behind it are kept no longer, or were never here."""
        if len(after) != 1 or not isinstance(after[0], int) or after[0] < 0:
            raise refuse("invalid_cursor", "Use the `next` of the previous answer unchanged, or leave the cursor out.")
        position: int = after[0]
        stamped = await events.stamped_at(session, position + 1)
        if position > last or (stamped is not None and stamped < self._clock.real() - self._kept):
            raise refuse("cursor_expired", "Read the resources again with ?updated_since, then start without a cursor.")
        return position
