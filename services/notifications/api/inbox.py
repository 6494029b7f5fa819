"""Inbox: what the caller is told, in its language."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import Header, Query, Response
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import StreamingResponse

from services.notifications.channels.stream import Message, described, event_stream, message
from services.notifications.commands import inbox as commands
from services.notifications.domain.happening import subject_of
from services.notifications.domain.words import choose, institutions_in, render
from services.notifications.parts import PartsDep
from services.notifications.schemas.inbox import InboxItem, InboxPage, ReadIn, Subject
from services.notifications.store import inbox, institutions, positions
from services.notifications.tables import InboxEntryRow
from shared.api import CallerDep, Router, RunningDep, TxDep
from shared.web.auth import SIGNED_IN, Caller
from shared.web.paging import Paging
from shared.web.problems import refuse

router = Router("inbox")
BATCH = 100


@router.get("/inbox", SIGNED_IN)
async def list_inbox(
    tx: TxDep,
    caller: CallerDep,
    paging: Paging,
    unread: Annotated[bool | None, Query(description="true: not read by you; false: read by you")] = None,
) -> InboxPage:
    """What is addressed to your institution or platform role, newest first."""
    rows, after = await inbox.list_page(tx, caller, paging, unread=unread)
    items = await show(tx.session, caller, rows)
    return InboxPage(items=items, next=after, unread=await inbox.count_unread(tx, caller))


@router.post("/inbox/{entry_id}/read", SIGNED_IN, status=204)
async def read_inbox_entry(tx: TxDep, caller: CallerDep, entry_id: UUID, body: ReadIn | None = None) -> Response:
    """Marks it as read by you; once is enough, twice is no fault."""
    del body
    await commands.mark_read(tx, caller, entry_id)
    return Response(status_code=204)


@router.get(
    "/inbox/stream",
    SIGNED_IN,
    transaction=False,
    response_class=StreamingResponse,
    refuses=("invalid_cursor", "not_found"),
    openapi_extra=described('{"event_type": "MatchProposed", ...}', "inbox"),
)
async def stream_inbox(
    running: RunningDep,
    caller: CallerDep,
    parts: PartsDep,
    last_event_id: Annotated[str | None, Header(description="`id` of the last message you got")] = None,
) -> StreamingResponse:
    """The same as it comes (`event: inbox`); without `Last-Event-ID` from now on."""
    session_of = running.database.request_session
    async with session_of() as session:
        start = await _start(session, caller, last_event_id)
    reader = _Reader(session_of, caller, start)
    return event_stream(
        reader.read, parts.signals.stamped, running.stopping, lasts_seconds=running.settings.token_ttl_seconds
    )


async def _start(session: AsyncSession, caller: Caller, last_event_id: str | None) -> int:
    """The position behind which to read."""
    if last_event_id is None:
        return await positions.last(session, positions.INBOX)
    try:
        entry_id = UUID(last_event_id)
    except ValueError as error:
        raise refuse("invalid_cursor", "Last-Event-ID must be the id of a message of this stream.") from error
    return (await inbox.get_visible(session, caller, entry_id)).position or 0


class _Reader:
    """Where one stream stands."""

    def __init__(self, session_of: Any, caller: Caller, position: int) -> None:  # noqa: ANN401 (makes sessions)
        self._session_of, self._caller, self._position = session_of, caller, position

    async def read(self) -> Sequence[Message]:
        """The next messages."""
        async with self._session_of() as session:
            last = await positions.last(session, positions.INBOX)
            if last <= self._position:
                return []
            rows = await inbox.stream(session, self._caller, self._position, last, BATCH)
            items = await show(session, self._caller, rows)
        self._position = rows[-1].position or last if len(rows) == BATCH else last
        return [message(str(item.id), item.model_dump_json(), "inbox") for item in items]


async def show(session: AsyncSession, caller: Caller, rows: Sequence[InboxEntryRow]) -> list[InboxItem]:
    """Entries in the words of the caller's language, with the names that institutions have now."""
    if not rows:
        return []
    language = choose(await institutions.languages(session, caller.institution_id))
    names = await institutions.names(session, institutions_in(row.facts for row in rows))
    read = await inbox.read_at(session, caller.sub, _ids(rows))
    return [_item(row, language, *render(language, row.template, row.facts, names), read.get(row.id)) for row in rows]


def _ids(rows: Iterable[InboxEntryRow]) -> list[UUID]:
    return [row.id for row in rows]


def _item(row: InboxEntryRow, language: str, title: str, text: str, read_at: Any) -> InboxItem:  # noqa: ANN401 (time or None)
    return InboxItem(
        id=row.id,
        event_id=row.event_id,
        event_type=row.name,
        subject=Subject(**subject_of(row.subject)),
        correlation_id=row.correlation or None,
        title=title,
        text=text,
        language=language,
        action_required=row.action_required,
        due_at=row.due_at,
        created_at=row.created_at,
        read_at=read_at,
    )
