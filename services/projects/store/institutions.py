"""The projection of institutions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from services.projects.tables import InstitutionRow
from shared.messaging.transaction import Tx

_STANDING = func.hashtextextended("standing of partners", 0)


async def keep_standing(tx: Tx) -> None:
    """No partner becomes suspended from here until this transaction ends; read them after this."""
    await tx.session.execute(select(func.pg_advisory_xact_lock_shared(_STANDING)))


async def alter_standing(tx: Tx) -> None:
    """Waits for all that rely on the standing of a partner; later ones wait for this transaction."""
    await tx.session.execute(select(func.pg_advisory_xact_lock(_STANDING)))


async def known(tx: Tx, ids: Collection[UUID]) -> dict[UUID, InstitutionRow]:
    """What is known of these institutions."""
    rows = select(InstitutionRow).where(col(InstitutionRow.id).in_(list(ids)))
    found = await tx.session.scalars(rows.execution_options(populate_existing=True))
    return {row.id: row for row in found}


async def mention(tx: Tx, named: Mapping[UUID, tuple[str | None, str | None]]) -> None:
    """Make sure that a row exists for each, with name and country if given, unless registry's word is there.

    Rows that need nothing are not touched: an upsert would wait for whoever holds them, against the lock order.
    """
    here = await known(tx, named)
    for institution_id in sorted(named):
        name, country = named[institution_id]
        found = here.get(institution_id)
        if found is None or (not found.sequence and name is not None):
            await _place(tx, institution_id, name, country)


async def _place(tx: Tx, institution_id: UUID, name: str | None, country: str | None) -> None:
    row = insert(InstitutionRow).values(id=institution_id, name=name, country=country, sequence="")
    if name is None:
        await tx.session.execute(row.on_conflict_do_nothing())
        return
    newer = {"name": name, "country": country}
    placeholder = col(InstitutionRow.sequence) == ""
    await tx.session.execute(row.on_conflict_do_update(index_elements=["id"], set_=newer, where=placeholder))


async def update(tx: Tx, institution_id: UUID, sequence: str, state: dict[str, Any]) -> bool:
    """Take over registry's word unless a newer one is here; whether it was newer."""
    row = insert(InstitutionRow).values(id=institution_id, sequence=sequence, **state)
    newer = row.on_conflict_do_update(
        index_elements=["id"],
        set_={"sequence": sequence, **state},
        where=col(InstitutionRow.sequence) < row.excluded.sequence,
    )
    return (await tx.session.scalar(newer.returning(col(InstitutionRow.id)))) is not None


async def is_suspended(tx: Tx, institution_id: UUID | None) -> bool:
    """Whether registry says that it is suspended."""
    if institution_id is None:
        return False
    status = select(col(InstitutionRow.status)).where(col(InstitutionRow.id) == institution_id)
    return (await tx.session.scalar(status)) == "suspended"
