"""The kept events: thread, feed and webhook bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import any_, func, or_, select, text
from sqlalchemy.dialects.postgresql import insert

from services.notifications.domain.happening import PARTIES, PRIVATE, PUBLIC
from services.notifications.tables import EventRow
from shared.data.keyset import page
from shared.messaging.envelope import CloudEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Row
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.messaging.transaction import Tx
    from shared.web.auth import Caller
    from shared.web.paging import PageQuery

# the table class as SQL columns: SQLModel declares the types of the values
_event: Any = EventRow
_table: Any = EventRow.metadata.tables["event"]
# made once: building a statement costs more than running it
_ADD = insert(_table).on_conflict_do_nothing(index_elements=["source", "event_id"]).returning(_table.c.id)


async def add(session: AsyncSession, values: dict[str, Any]) -> int | None:
    """Keeps an event; None when it is here already."""
    kept: int | None = await session.scalar(_ADD, values)
    return kept


_RESTATED = text("""
    with same as (
        select sequence from event
        where subject = :subject and source = :source and (name = 'PracticeReplicated') = :replicated
            and position(cast(:mark as bytea) in data) > 0
    )
    select exists (select from same where sequence < :epoch)
        and not exists (select from same where sequence >= :epoch and sequence < :sequence)
""")


async def is_restated(
    session: AsyncSession, source: str, subject: str, sequence: str, *, replication: str | None = None
) -> bool:
    """Whether it is the first that this epoch says of a subject which an earlier one knew: that is a snapshot's.

    Replications share the subject of their practice, so each is looked for by its id in what was said.
    """
    values = {
        "source": source,
        "subject": subject,
        "sequence": sequence,
        "epoch": sequence[:5],
        "replicated": replication is not None,
        "mark": (replication or "").encode(),
    }
    return await session.scalar(_RESTATED, values) or False


async def last_said(session: AsyncSession, subject: str) -> bytes | None:
    """Data of the last event about a subject, by the order of its producer."""
    rows = select(_event.data).where(_event.subject == subject).order_by(_event.sequence.desc()).limit(1)
    said: bytes | None = await session.scalar(rows)
    return said


async def by_row(session: AsyncSession, row_ids: Iterable[int]) -> dict[int, EventRow]:
    """Kept events by their row ids."""
    rows = select(_event).where(_event.id.in_(list(row_ids)))
    return {row.id: row for row in await session.scalars(rows)}


def _visible(caller: Caller) -> ColumnElement[bool]:
    """Public events, those of the own institution, and for staff all but private ones."""
    seen: Any = _event.visibility == PUBLIC
    if caller.is_staff:
        seen = _event.visibility != PRIVATE
    elif caller.institution_id is not None:
        seen = or_(seen, (_event.visibility == PARTIES) & (caller.institution_id == any_(_event.parties)))
    return cast("ColumnElement[bool]", seen)


async def thread(tx: Tx, caller: Caller, correlation: str, query: PageQuery) -> tuple[list[EventRow], str | None]:
    """The visible events of a thread, oldest first."""
    rows = select(_event).where(_event.correlation == correlation, _visible(caller))
    return await page(tx.session, rows, [_event.time, _event.id], query)


async def knows_thread(tx: Tx, caller: Caller, correlation: str) -> bool:
    """Whether the caller may see anything of it."""
    found = select(_event.id).where(_event.correlation == correlation, _visible(caller))
    return await tx.session.scalar(select(found.exists())) or False


async def feed(
    session: AsyncSession, caller: Caller, names: Sequence[str], after: int, upto: int, limit: int
) -> list[EventRow]:
    """Stamped events behind `after` up to `upto` that the caller may see, in feed order."""
    rows = select(_event).where(_event.position > after, _event.position <= upto, _visible(caller))
    if names:
        rows = rows.where(_event.name.in_(names))
    return list(await session.scalars(rows.order_by(_event.position).limit(limit)))


async def first_kept(session: AsyncSession, kept_since: datetime) -> int | None:
    """The position of the oldest event that the feed still gives; None when there is none."""
    return await session.scalar(select(func.min(_event.position)).where(_event.stamped_at >= kept_since))


async def stamped_at(session: AsyncSession, position: int) -> datetime | None:
    """When the event at this position was stamped."""
    return await session.scalar(select(_event.stamped_at).where(_event.position == position))


async def unstamped(session: AsyncSession, limit: int) -> list[Row[Any]]:
    """Committed events without a place in the feed, oldest first, with what webhooks are filtered by."""
    e = _event
    columns = (e.id, e.event_id, e.name, e.visibility, e.parties, e.countries, e.institutions, e.isic)
    rows = select(*columns).where(e.position.is_(None), e.visibility != PRIVATE).order_by(e.id).limit(limit)
    found: Sequence[Any] = (await session.execute(rows)).all()
    return list(found)


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
