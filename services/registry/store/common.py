"""Loading rows and owned rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlmodel import SQLModel, col

from services.registry.tables import InstitutionRow
from shared.data import keyset
from shared.messaging.transaction import Tx
from shared.web.paging import PageQuery

R = TypeVar("R", bound=SQLModel)
Belonging = TypeVar("Belonging", bound="OwnedRow")


class Changing(Protocol):
    """A row with a version."""

    version: int
    updated_at: datetime


class OwnedRow(Protocol):
    """A row that belongs to an institution."""

    id: UUID
    institution_id: UUID


@dataclass(frozen=True)  # with slots too, a generic class cannot be called by its subscripted name on Python 3.11
class Owned(Generic[Belonging]):
    """A row and the institution it belongs to."""

    row: Belonging
    institution: InstitutionRow


def touch(tx: Tx, row: Changing) -> None:
    """Counts a change of a row."""
    row.version += 1
    row.updated_at = tx.now


async def load(tx: Tx, kind: type[R], key: Any, *, lock: bool = False) -> R | None:  # noqa: ANN401 (any primary key)
    """A row by its key; `lock` waits for whoever changes it and reads what he left."""
    return await tx.session.get(kind, key, with_for_update=lock or None, populate_existing=lock)


async def hold(tx: Tx, name: str) -> None:
    """A lock on a name until the transaction ends, for rules over rows that do not exist yet."""
    await tx.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


async def page(
    tx: Tx,
    rows: Select[R],
    kind: Any,  # noqa: ANN401 (the table class, for its columns)
    query: PageQuery,
    updated_since: datetime | None = None,
) -> tuple[list[R], str | None]:
    """Newest first; with `updated_since` in the order of changes, oldest first."""
    if updated_since is None:
        return await keyset.page(tx.session, rows, [kind.id], query, descending=True)
    return await keyset.page(
        tx.session, rows.where(kind.updated_at >= updated_since), [kind.updated_at, kind.id], query
    )


async def with_institutions(tx: Tx, rows: Sequence[Belonging]) -> list[Owned[Belonging]]:
    """The rows of a page with their institutions, in the same order."""
    ids = {row.institution_id for row in rows}
    if not ids:
        return []
    found = await tx.session.scalars(select(InstitutionRow).where(col(InstitutionRow.id).in_(ids)))
    by_id = {institution.id: institution for institution in found}
    return [Owned(row, by_id[row.institution_id]) for row in rows]
