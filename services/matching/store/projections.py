"""Projections of other services' events: upserts that never go backwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import collate
from sqlalchemy.dialects.postgresql import insert

if TYPE_CHECKING:
    from services.matching.tables import Base
    from shared.messaging.transaction import Tx


async def upsert(tx: Tx, row: type[Base], values: dict[str, Any]) -> bool:
    """Inserts or replaces the row of `values["id"]` unless it is as new already; whether it did.

    The sequence is that of the event being handled; columns not in `values` are left alone.
    """
    assert tx.cause is not None  # noqa: S101 (projections are written by handlers only)
    table = row.__table__  # type: ignore[attr-defined]  # SQLModel does not type it
    new = insert(table).values(**values, sequence=tx.cause.sequence)
    # compared byte by byte whatever the collation of the database is
    newer = collate(table.c.sequence, "C") < collate(new.excluded.sequence, "C")
    changed = {name: new.excluded[name] for name in [*values, "sequence"] if name != "id"}
    stored = new.on_conflict_do_update(index_elements=["id"], set_=changed, where=newer).returning(table.c.id)
    return (await tx.session.execute(stored)).first() is not None


async def add_once(tx: Tx, row: type[Base], values: dict[str, Any]) -> bool:
    """Inserts a row that never changes; whether it was new."""
    table = row.__table__  # type: ignore[attr-defined]
    stored = insert(table).values(**values).on_conflict_do_nothing().returning(table.c.id)
    return (await tx.session.execute(stored)).first() is not None
