"""Places in feed and inbox stream.

Stamping happens under the row lock of the counter, so positions become visible in their order and without a gap:
who has seen position n has seen all below it. A cursor `id > last` over rows that commit concurrently would lose some.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text

from services.notifications.tables import PositionRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

# the table class as SQL columns: SQLModel declares the types of the values
_position: Any = PositionRow
FEED, INBOX = "feed", "inbox"

_STAMP_EVENTS = text("""
    update event set position = :last + given.number, stamped_at = :at
    from unnest(cast(:ids as bigint[])) with ordinality as given (id, number)
    where event.id = given.id
""")
_STAMP_ENTRIES = text("""
    with found as (
        select id, row_number() over (order by id) as number
        from (select id from inbox_entry where position is null order by id limit :limit) as oldest
    )
    update inbox_entry set position = :last + found.number from found where inbox_entry.id = found.id
""")
_ADVANCE = text("update position set last = last + :by where name = :name")


async def last(session: AsyncSession, name: str) -> int:
    """The last position given out."""
    return await session.scalar(select(_position.last).where(_position.name == name)) or 0


_WAITING = text("""
    select exists (select from event where position is null and visibility <> 'private') as events,
           exists (select from inbox_entry where position is null) as entries
""")


async def waiting(session: AsyncSession) -> tuple[bool, bool]:
    """Whether events, and inbox entries, wait for a position."""
    row = (await session.execute(_WAITING)).one()
    return row.events, row.entries


async def lasts(session: AsyncSession) -> dict[str, int]:
    """Both counters."""
    return {row.name: row.last for row in await session.scalars(select(_position))}


async def lock(session: AsyncSession, name: str) -> int:
    """The last position, which stays the last until this transaction ends. Lock order: counter before webhook rows."""
    row = select(_position.last).where(_position.name == name).with_for_update()
    found: int = (await session.execute(row)).scalar_one()
    return found


async def stamp_events(session: AsyncSession, ids: Sequence[int], after: int, at: datetime) -> None:
    """Gives these events the next positions, in this order; the counter is locked."""
    await session.execute(_STAMP_EVENTS, {"ids": list(ids), "last": after, "at": at})
    await session.execute(_ADVANCE, {"by": len(ids), "name": FEED})


async def stamp_entries(session: AsyncSession, after: int, limit: int) -> int:
    """Gives unstamped inbox entries the next positions; returns how many."""
    result: Any = await session.execute(_STAMP_ENTRIES, {"last": after, "limit": limit})
    if result.rowcount:
        await session.execute(_ADVANCE, {"by": result.rowcount, "name": INBOX})
    return int(result.rowcount)
