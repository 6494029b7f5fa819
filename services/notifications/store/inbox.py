"""Inbox entries and read marks. An entry belongs to an institution or a platform role; marks belong to a `sub`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from services.notifications.domain.recipients import institution_recipient, role_recipient
from services.notifications.tables import KERNEL, InboxEntryRow, ReadMarkRow
from shared.data.keyset import page
from shared.web.auth import PLATFORM_ROLES
from shared.web.problems import not_found

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Row, Select
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.messaging.transaction import Tx
    from shared.web.auth import Caller
    from shared.web.paging import PageQuery

# the table class as SQL columns: SQLModel declares the types of the values
_entry: Any = InboxEntryRow
_ADD = insert(InboxEntryRow.metadata.tables["inbox_entry"]).on_conflict_do_nothing()
_mark: Any = ReadMarkRow


def dead_letter_source(number: int) -> str:
    """`source` and `subject` of the entry about a dead letter: records with the same `ce_id` are told apart."""
    return f"dead_letters/{number}"


def recipients_of(caller: Caller) -> list[str]:
    """Under which names this caller is addressed."""
    names = [role_recipient(role) for role in PLATFORM_ROLES if role in caller.roles]
    return names + ([institution_recipient(caller.institution_id)] if caller.institution_id else [])


async def add(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """One entry per event and recipient, whatever comes again."""
    if rows:
        await session.execute(_ADD, list(rows))


async def knows(session: AsyncSession, recipients: Iterable[str], source: str, subject: str) -> bool:
    """Whether one of these has been told of the subject; for the few events that are not kept."""
    found = select(_entry.id).where(
        _entry.recipient.in_(list(recipients)), _entry.source == source, _entry.subject == subject
    )
    return await session.scalar(select(found.exists())) or False


def _mine(caller: Caller) -> Select[Any]:
    """Stamped entries only, so that list and stream agree on what is already there."""
    return select(_entry).where(_entry.recipient.in_(recipients_of(caller)), _entry.position.is_not(None))


def _unread(rows: Select[Any], sub: str) -> Select[Any]:
    return rows.where(~_marked(sub))


def _marked(sub: str) -> Any:  # noqa: ANN401 (an SQL condition)
    return select(_mark.sub).where(_mark.sub == sub, _mark.entry_id == _entry.id).exists()


async def list_page(
    tx: Tx, caller: Caller, query: PageQuery, *, unread: bool | None
) -> tuple[list[InboxEntryRow], str | None]:
    """Newest first; `unread` picks those that the caller has not read, or has."""
    rows = _mine(caller)
    if unread is not None:
        rows = _unread(rows, caller.sub) if unread else rows.where(_marked(caller.sub))
    return await page(tx.session, rows, [_entry.id], query, descending=True)


async def count_unread(tx: Tx, caller: Caller) -> int:
    """How many the caller has not read."""
    mine = _unread(_mine(caller), caller.sub).subquery()
    return await tx.session.scalar(select(func.count()).select_from(mine)) or 0


async def read_at(session: AsyncSession, sub: str, ids: Iterable[UUID]) -> dict[UUID, datetime]:
    """When this caller read these entries."""
    marks = select(_mark).where(_mark.sub == sub, _mark.entry_id.in_(ids))
    return {mark.entry_id: mark.read_at for mark in await session.scalars(marks)}


async def get_visible(session: AsyncSession, caller: Caller, entry_id: UUID) -> InboxEntryRow:
    """An entry addressed to the caller; 404 else."""
    row: InboxEntryRow | None = await session.scalar(_mine(caller).where(_entry.id == entry_id))
    if row is None:
        raise not_found("inbox entry")
    return row


async def mark_read(tx: Tx, sub: str, entry_id: UUID) -> None:
    """Reading twice keeps the first time."""
    mark = insert(ReadMarkRow).values(sub=sub, entry_id=entry_id, read_at=tx.now)
    await tx.session.execute(mark.on_conflict_do_nothing())


async def stream(session: AsyncSession, caller: Caller, after: int, upto: int, limit: int) -> list[InboxEntryRow]:
    """Stamped entries of the caller behind `after`, in order."""
    position: Any = _entry.position
    rows = _mine(caller).where(position > after, position <= upto).order_by(position).limit(limit)
    return list(await session.scalars(rows))


async def untold_dead_letters(session: AsyncSession, limit: int) -> list[Row[Any]]:
    """Dead letters of this service of which the operator has not been told yet."""
    letter = KERNEL.inbox.dead_letters
    told = select(_entry.id).where(_entry.source == func.concat("dead_letters/", letter.c.id))
    rows = select(letter).where(letter.c.redriven_at.is_(None), ~told.exists()).order_by(letter.c.id).limit(limit)
    return list((await session.execute(rows)).all())
