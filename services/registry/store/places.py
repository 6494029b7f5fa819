"""Centres and the operators' word on scheduled country status."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from services.registry.store import common
from services.registry.tables import CentreRow, ConfirmationRow, CountryRow
from shared.messaging.transaction import Tx
from shared.web.paging import PageQuery
from shared.web.problems import not_found


async def centre(tx: Tx, centre_id: UUID, *, lock: bool = False) -> CentreRow:
    """A centre; raises `not_found`."""
    row = await common.load(tx, CentreRow, centre_id, lock=lock)
    if row is None:
        raise not_found("centre")
    return row


async def centre_exists(tx: Tx, centre_id: UUID) -> bool:
    """Whether there is such a centre."""
    return await common.load(tx, CentreRow, centre_id) is not None


async def centres(
    tx: Tx, kind: str | None, status: Sequence[str], host_country: str | None, query: PageQuery
) -> tuple[list[CentreRow], str | None]:
    """One page of centres."""
    rows = select(CentreRow)
    if kind is not None:
        rows = rows.where(col(CentreRow.kind) == kind)
    if status:
        rows = rows.where(col(CentreRow.status).in_(status))
    if host_country is not None:
        rows = rows.where(col(CentreRow.host_country) == host_country)
    return await common.page(tx, rows, CentreRow, query)


async def known_centres(tx: Tx) -> set[UUID]:
    """The ids of all centres."""
    return set(await tx.session.scalars(select(col(CentreRow.id))))


async def confirmations(tx: Tx) -> dict[tuple[str, str], date | None]:
    """What operators have said about scheduled ends: (country, group) to the day, None when called off."""
    word = ConfirmationRow
    rows = await tx.session.execute(select(col(word.country), col(word.group), col(word.leaves_on)))
    return {(country, group): leaves_on for country, group, leaves_on in rows}


async def country_versions(tx: Tx) -> dict[str, int]:
    """Versions of those countries that are past their first."""
    rows = await tx.session.execute(select(col(CountryRow.code), col(CountryRow.version)))
    return {row.code: row.version for row in rows}


async def lock_country(tx: Tx, code: str) -> CountryRow:
    """The country's row, made if it has none yet, locked."""
    await tx.session.execute(
        insert(CountryRow).values(code=code, version=1, updated_at=tx.now).on_conflict_do_nothing()
    )
    row = await common.load(tx, CountryRow, code, lock=True)
    if row is None:
        raise not_found("country")
    return row


async def due_confirmations(tx: Tx, today: date) -> list[str]:
    """Countries for which the day of a confirmed end has come and has not been announced."""
    due = select(func.distinct(ConfirmationRow.country)).where(
        col(ConfirmationRow.leaves_on) <= today, col(ConfirmationRow.announced).is_(False)
    )
    return sorted(await tx.session.scalars(due.limit(100)))


async def mark_announced(tx: Tx, code: str, today: date) -> None:
    """The day of these confirmed ends has been told of."""
    due = update(ConfirmationRow).where(col(ConfirmationRow.country) == code, col(ConfirmationRow.leaves_on) <= today)
    await tx.session.execute(due.values(announced=True))
