"""Keyset pages over any select: never an OFFSET, so a page neither skips nor repeats under writes."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import tuple_

from shared.web.problems import refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import InstrumentedAttribute

    from shared.web.paging import PageQuery


async def page(
    session: AsyncSession,
    rows: Select[Any],
    keys: Sequence[InstrumentedAttribute[Any]],
    query: PageQuery,
    *,
    descending: bool = False,
) -> tuple[list[Any], str | None]:
    """One page ordered by `keys` (all in one direction, the last one unique) and the cursor of the next.

    The select must give one ORM entity per row that has the key attributes.
    """
    if query.after is not None:
        here = tuple_(*keys)
        values = _typed(keys, query.after)
        rows = rows.where(here < values if descending else here > values)
    rows = rows.order_by(*(key.desc() if descending else key.asc() for key in keys)).limit(query.limit + 1)
    found = list((await session.scalars(rows)).all())
    if len(found) <= query.limit:
        return found, None
    last = found[query.limit - 1]
    return found[: query.limit], query.cursor([_plain(getattr(last, key.key)) for key in keys])


def _plain(value: Any) -> Any:  # noqa: ANN401
    return value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, UUID) else value


def _typed(keys: Sequence[InstrumentedAttribute[Any]], values: list[Any]) -> Any:  # noqa: ANN401
    try:
        pairs = zip(keys, values, strict=True)
        return tuple_(*(_cast(key.type.python_type, value) for key, value in pairs))
    except (ValueError, TypeError) as error:
        raise refuse("invalid_cursor", "This cursor belongs to another order of the list.") from error


def _cast(kind: type, value: Any) -> Any:  # noqa: ANN401
    if kind is datetime:
        return datetime.fromisoformat(value)
    return UUID(value) if kind is UUID else kind(value)
