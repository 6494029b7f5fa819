"""Institutions, their external ids, and to whom their contact is disclosed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, cast, delete, func, literal, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Uuid
from sqlmodel import col

from services.registry.similarity import fold
from services.registry.store import common
from services.registry.tables import ExternalIdRow, InstitutionRow, MatchViewRow
from shared.lifecycle import Invalid
from shared.messaging.transaction import Tx
from shared.web.auth import Caller
from shared.web.paging import PageQuery
from shared.web.problems import not_found

DISCLOSING = ("accepted", "formalised")
_REGISTERING = "registry:names and external ids"


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of `GET /institutions`."""

    country: str | None = None
    type: str | None = None
    status: Sequence[str] = ()
    external_id: tuple[str, str] | None = None
    q: str | None = None
    parent_id: UUID | None = None
    updated_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """What near duplicates are recognised by."""

    id: UUID
    name: str
    country: str | None
    folded_names: list[str]


async def get(tx: Tx, institution_id: UUID, *, lock: bool = False) -> InstitutionRow:
    """An institution, which everybody may see; raises `not_found`."""
    row = await common.load(tx, InstitutionRow, institution_id, lock=lock)
    if row is None:
        raise not_found("institution")
    return row


async def acting(tx: Tx, caller: Caller, named: UUID | None) -> InstitutionRow:
    """The institution for which this caller makes something; an unknown one is 422."""
    row = await common.load(tx, InstitutionRow, caller.acting_institution(named))
    if row is None:
        raise Invalid("/institution_id", "No institution has this id", "unknown")
    return row


async def page(tx: Tx, filters: Filters, query: PageQuery) -> tuple[list[InstitutionRow], str | None]:
    """One page of the institutions that fit."""
    rows = select(InstitutionRow)
    for name in ("country", "type", "parent_id"):
        value = getattr(filters, name)
        if value is not None:
            rows = rows.where(col(getattr(InstitutionRow, name)) == value)
    if filters.status:
        rows = rows.where(col(InstitutionRow.status).in_(filters.status))
    if filters.external_id is not None:
        rows = rows.where(col(InstitutionRow.id).in_(_owner_of(*filters.external_id)))
    if filters.q is not None:
        for word in fold(filters.q).split():
            rows = rows.where(col(InstitutionRow.searched).contains(word, autoescape=True))
    return await common.page(tx, rows, InstitutionRow, query, filters.updated_since)


def _owner_of(scheme: str, value: str) -> Select[UUID]:
    return select(col(ExternalIdRow.institution_id)).where(
        col(ExternalIdRow.scheme) == scheme, col(ExternalIdRow.value) == value
    )


async def hold_names(tx: Tx) -> None:
    """One registration at a time, so that two at once cannot be each other's duplicate."""
    await common.hold(tx, _REGISTERING)


async def holders_of(tx: Tx, external_ids: Collection[tuple[str, str]], *, but: UUID | None) -> list[Identity]:
    """Other institutions that have one of these external ids."""
    if not external_ids:
        return []
    ids = select(col(ExternalIdRow.institution_id)).where(
        tuple_(col(ExternalIdRow.scheme), col(ExternalIdRow.value)).in_(external_ids)
    )
    return await _identities(tx, col(InstitutionRow.id).in_(ids) & (col(InstitutionRow.id) != (but or UUID(int=0))))


async def of_country(tx: Tx, country: str | None) -> list[Identity]:
    """All institutions of one country, or all of none."""
    return await _identities(tx, col(InstitutionRow.country).is_not_distinct_from(country))


async def _identities(tx: Tx, condition: ColumnElement[bool]) -> list[Identity]:
    row = InstitutionRow
    rows = select(col(row.id), col(row.name), col(row.country), col(row.folded_names)).where(condition)
    return [Identity(*found) for found in await tx.session.execute(rows)]


async def save_external_ids(tx: Tx, row: InstitutionRow) -> None:
    """Makes the table of unique ids say what the row says."""
    await tx.session.flush()
    await tx.session.execute(delete(ExternalIdRow).where(col(ExternalIdRow.institution_id) == row.id))
    tx.session.add_all(ExternalIdRow(**external_id, institution_id=row.id) for external_id in row.external_ids)


async def is_above(tx: Tx, institution_id: UUID, parent_id: UUID) -> bool:
    """Whether the institution is the would-be parent itself or stands above it."""
    row: Select[UUID, UUID | None] = select(
        col(InstitutionRow.id).label("id"), col(InstitutionRow.parent_id).label("parent_id")
    )
    chain = row.where(col(InstitutionRow.id) == parent_id).cte(recursive=True)
    chain = chain.union(row.where(col(InstitutionRow.id) == chain.c.parent_id))
    return bool(await tx.session.scalar(select(literal(1)).where(chain.c.id == institution_id).limit(1)))


async def exists(tx: Tx, institution_id: UUID) -> bool:
    """Whether there is such an institution."""
    return await common.load(tx, InstitutionRow, institution_id) is not None


async def disclosed(tx: Tx, caller: Caller, ids: Collection[UUID]) -> frozenset[UUID]:
    """Those of the institutions whose contact the caller may read."""
    if caller.is_staff:
        return frozenset(ids)
    own = frozenset({caller.institution_id}) & frozenset(ids)
    others = [i for i in ids if i not in own]
    if caller.institution_id is None or not others:
        return frozenset(i for i in own if i is not None)
    met = select(func.unnest(MatchViewRow.parties)).where(
        col(MatchViewRow.parties).contains(cast([caller.institution_id], ARRAY(Uuid))),
        col(MatchViewRow.status).in_(DISCLOSING),
    )
    known = frozenset(await tx.session.scalars(met))
    return frozenset(i for i in ids if i in own or i in known)


async def due(tx: Tx, today: date) -> list[InstitutionRow]:
    """A batch of verified institutions whose verification has ended, locked."""
    rows = select(InstitutionRow).where(
        col(InstitutionRow.status) == "verified", col(InstitutionRow.verified_until) <= today
    )
    return list(
        await tx.session.scalars(rows.order_by(col(InstitutionRow.id)).limit(100).with_for_update(skip_locked=True))
    )
