"""The kept events: thread, feed and webhook bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, false, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from services.notifications.domain.happening import PARTIES, PRIVATE, PUBLIC
from services.notifications.tables import EventRow
from shared.data.keyset import page
from shared.messaging.envelope import CloudEvent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.messaging.transaction import Tx
    from shared.web.auth import Caller
    from shared.web.paging import PageQuery


async def add(session: AsyncSession, values: dict[str, Any]) -> int | None:
    """Keeps an event; None when it is here already."""
    row = insert(EventRow).values(values).on_conflict_do_nothing(index_elements=["source", "event_id"])
    return await session.scalar(row.returning(EventRow.id))  # type: ignore[call-overload]


async def is_restated(session: AsyncSession, name: str, subject: str, version: int, sequence: str) -> bool:
    """Whether an earlier epoch has said the same of the same version: then a snapshot says it again."""
    same = select(
        EventRow.id
    ).where(  # type: ignore[call-overload]
        EventRow.subject == subject,
        EventRow.version == version,
        EventRow.name == name,
        EventRow.sequence < sequence[:5],
    )
    return await session.scalar(select(same.exists())) or False


async def get(session: AsyncSession, row_id: int) -> EventRow | None:
    """One kept event."""
    return await session.get(EventRow, row_id)


def _visible(caller: Caller) -> ColumnElement[bool]:
    if caller.is_staff:
        return EventRow.visibility != PRIVATE  # type: ignore[return-value]
    mine: Any = false()
    if caller.institution_id is not None:
        mine = (EventRow.visibility == PARTIES) & EventRow.parties.any(caller.institution_id)  # type: ignore[attr-defined]
    return or_(EventRow.visibility == PUBLIC, mine)  # type: ignore[arg-type]


async def thread(tx: Tx, caller: Caller, correlation: str, query: PageQuery) -> tuple[list[EventRow], str | None]:
    """The visible events of a thread, oldest first."""
    rows = select(EventRow).where(EventRow.correlation == correlation, _visible(caller))  # type: ignore[arg-type]
    return await page(tx.session, rows, [EventRow.time, EventRow.id], query)  # type: ignore[list-item]


async def knows_thread(tx: Tx, caller: Caller, correlation: str) -> bool:
    """Whether the caller may see anything of it."""
    found = select(EventRow.id).where(EventRow.correlation == correlation, _visible(caller))  # type: ignore[call-overload]
    return await tx.session.scalar(select(found.exists())) or False


async def feed(
    session: AsyncSession, caller: Caller, names: Sequence[str], after: int, upto: int, limit: int
) -> list[EventRow]:
    """Stamped events behind `after` up to `upto` that the caller may see, in feed order."""
    rows = select(EventRow).where(EventRow.position > after, EventRow.position <= upto, _visible(caller))  # type: ignore[operator, arg-type]
    if names:
        rows = rows.where(EventRow.name.in_(names))  # type: ignore[attr-defined]
    return list(await session.scalars(rows.order_by(EventRow.position).limit(limit)))  # type: ignore[arg-type]


async def first_kept(session: AsyncSession, kept_since: datetime) -> int | None:
    """The position of the oldest event that the feed still gives; None when there is none."""
    return await session.scalar(select(func.min(EventRow.position)).where(EventRow.stamped_at >= kept_since))  # type: ignore[arg-type, operator]


async def stamped_at(session: AsyncSession, position: int) -> datetime | None:
    """When the event at this position was stamped."""
    return await session.scalar(select(EventRow.stamped_at).where(EventRow.position == position))  # type: ignore[call-overload]


async def unstamped(session: AsyncSession, limit: int) -> list[Row[Any]]:
    """Committed events without a place in the feed, oldest first, with what webhooks are filtered by."""
    e = EventRow
    columns = (e.id, e.event_id, e.name, e.visibility, e.parties, e.countries, e.institutions, e.isic)
    rows = select(*columns).where(e.position.is_(None), e.visibility != PRIVATE).order_by(e.id).limit(limit)  # type: ignore[call-overload, union-attr]
    return list((await session.execute(rows)).all())


def structured(row: EventRow) -> dict[str, Any]:
    """A kept event as one CloudEvent document, for feed and webhooks."""
    return CloudEvent(
        id=row.event_id,
        source=row.source,
        type=row.type,
        subject=row.subject,
        time=row.time,
        sequence=row.sequence,
        partitionkey=row.partitionkey,
        correlationid=row.correlation,
        causationid=row.causation,
        dataschema=row.dataschema,
        traceparent=row.traceparent,
        data=row.data,
    ).structured()
