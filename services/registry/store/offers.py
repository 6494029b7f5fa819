"""What capabilities and needs have in common: drafts are private, the rest is for everybody to see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Select, or_, select
from sqlmodel import col

from services.registry.store import common
from services.registry.store.common import Owned
from services.registry.tables import CapabilityRow, InstitutionRow, NeedRow
from shared.messaging.transaction import Tx
from shared.web.auth import Caller
from shared.web.paging import PageQuery
from shared.web.problems import not_found

R = TypeVar("R", CapabilityRow, NeedRow)


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of `GET /capabilities` and `GET /needs`."""

    institution_id: UUID | None = None
    status: Sequence[str] = ()
    country: str | None = None
    isic: str | None = None
    resource_kind: str | None = None
    q: str | None = None
    updated_since: datetime | None = None


def _visible_to(caller: Caller, kind: Any) -> Any:  # noqa: ANN401 (a SQL condition)
    published = kind.status != "draft"
    return published if caller.institution_id is None else or_(published, kind.institution_id == caller.institution_id)


async def get_visible(tx: Tx, caller: Caller, kind: type[R], key: UUID, *, lock: bool = False) -> Owned[R]:
    """The row with its institution; `lock` takes the row, not the institution. Raises `not_found`."""
    rows = select(kind, InstitutionRow).join(InstitutionRow, col(InstitutionRow.id) == kind.institution_id)
    rows = rows.where(col(kind.id) == key)
    if not caller.is_operator:
        rows = rows.where(_visible_to(caller, kind))
    if lock:
        rows = rows.with_for_update(of=kind).execution_options(populate_existing=True)
    found = (await tx.session.execute(rows)).one_or_none()
    if found is None:
        raise not_found("capability" if kind is CapabilityRow else "need")
    return Owned(found[0], found[1])


async def page(
    tx: Tx, caller: Caller, kind: type[R], filters: Filters, query: PageQuery
) -> tuple[list[Owned[R]], str | None]:
    """One page of what the caller may see and the filters let through."""
    rows = _filtered(select(kind), kind, filters)
    if not caller.is_operator:
        rows = rows.where(_visible_to(caller, kind))
    found, after = await common.page(tx, rows, kind, query, filters.updated_since)
    return await common.with_institutions(tx, found), after


def _filtered(rows: Select[R], kind: Any, filters: Filters) -> Select[R]:  # noqa: ANN401 (a table class)
    if filters.institution_id is not None:
        rows = rows.where(kind.institution_id == filters.institution_id)
    if filters.status:
        rows = rows.where(kind.status.in_(filters.status))
    if filters.isic is not None:
        rows = rows.where(kind.isic.contains([filters.isic]))
    if filters.resource_kind is not None:
        rows = rows.where(kind.resource_kinds.contains([filters.resource_kind]))
    if filters.country is not None:
        rows = rows.where(_in_country(kind, filters.country))
    for word in (filters.q or "").split():
        told = col(CapabilityRow.summary if kind is CapabilityRow else NeedRow.problem)
        rows = rows.where(or_(kind.title.icontains(word, autoescape=True), told.icontains(word, autoescape=True)))
    return rows


def _in_country(kind: Any, country: str) -> Any:  # noqa: ANN401 (a SQL condition)
    if kind is NeedRow:
        return kind.country == country
    return kind.institution_id.in_(select(col(InstitutionRow.id)).where(col(InstitutionRow.country) == country))


async def due(tx: Tx, kind: type[R], status: str, day: str, today: date) -> list[Owned[R]]:
    """A batch of rows in a status whose day is over, locked, with their institutions."""
    over = select(kind).where(col(kind.status) == status, getattr(kind, day) < today)
    over = over.order_by(col(kind.id)).limit(100).with_for_update(skip_locked=True)
    return await common.with_institutions(tx, list(await tx.session.scalars(over)))
