"""The texts of needs and capabilities, for what looks at words alone."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from services.matching.tables import CapabilityRow, NeedRow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Select

    from shared.messaging.transaction import Tx

PAGE_ROWS = 1000
FIRST = UUID(int=0)


async def posted(tx: Tx, page_rows: int = PAGE_ROWS) -> AsyncIterator[tuple[str, ...]]:
    """(title, body, technologies ...) of every need and capability that was ever posted, whatever became of it."""
    need, capability = NeedRow, CapabilityRow
    sought = select(col(need.id), col(need.title), col(need.problem), col(need.technologies))
    async for text in _paged(tx, sought, page_rows):
        yield text
    offered = select(col(capability.id), col(capability.title), col(capability.summary), col(capability.technologies))
    async for text in _paged(tx, offered, page_rows):
        yield text


async def _paged(tx: Tx, rows: Select[UUID, str, str, list[str]], page_rows: int) -> AsyncIterator[tuple[str, ...]]:
    """Rows (id, title, body, technologies) in id order, a page at a time."""
    key, last = rows.selected_columns[0], FIRST
    while page := (await tx.session.execute(rows.where(key > last).order_by(key).limit(page_rows))).all():
        for _, title, body, technologies in page:
            yield (title, body, *technologies)
        last = page[-1][0]
