"""Practices and their replications."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, or_, select, true
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from services.projects.domain.practices import fold, isic_below
from services.projects.tables import PracticeRow, ReplicationRow
from shared.data.keyset import page
from shared.messaging.transaction import Tx
from shared.web.auth import Caller
from shared.web.paging import PageQuery
from shared.web.problems import not_found

NEWEST: list[Any] = [PracticeRow.id]
CHANGED: list[Any] = [PracticeRow.updated_at, PracticeRow.id]


def visible_to(caller: Caller) -> ColumnElement[bool]:
    """What is published is everybody's; a draft is its institution's and the operator's."""
    if caller.is_operator:
        return true()
    published = col(PracticeRow.status) == "published"
    if caller.institution_id is None:
        return published
    return or_(published, col(PracticeRow.institution_id) == caller.institution_id)


async def get_visible(tx: Tx, caller: Caller, practice_id: UUID) -> PracticeRow:
    """The practice; 404 for a draft of others."""
    return await _one(tx, select(PracticeRow).where(col(PracticeRow.id) == practice_id, visible_to(caller)))


async def lock_visible(tx: Tx, caller: Caller, practice_id: UUID) -> PracticeRow:
    """The same, locked: the key of its events."""
    rows = select(PracticeRow).where(col(PracticeRow.id) == practice_id, visible_to(caller))
    return await _one(tx, rows.with_for_update())


async def _one(tx: Tx, rows: Select[PracticeRow]) -> PracticeRow:
    row = await tx.session.scalar(rows.execution_options(populate_existing=True))
    if row is None:
        raise not_found("practice")
    return row


async def page_visible(
    tx: Tx,
    caller: Caller,
    query: PageQuery,
    *,
    words: str | None = None,
    isic: Sequence[str] = (),
    project_id: UUID | None = None,
    updated_since: datetime | None = None,
) -> tuple[list[PracticeRow], str | None]:
    """Newest first, or in order of change with `updated_since`; every word of `words` must occur."""
    rows = select(PracticeRow).where(visible_to(caller))
    for word in fold([words]).split():
        rows = rows.where(col(PracticeRow.words).contains(word, autoescape=True))
    if isic:
        wanted = sorted({below for code in isic for below in isic_below(code)})
        rows = rows.where(col(PracticeRow.isic).overlap(wanted))  # type: ignore[attr-defined]
    if project_id is not None:
        rows = rows.where(col(PracticeRow.project_id) == project_id)
    if updated_since is None:
        return await page(tx.session, rows, NEWEST, query, descending=True)
    return await page(tx.session, rows.where(col(PracticeRow.updated_at) >= updated_since), CHANGED, query)


async def get_replication(tx: Tx, caller: Caller, replication_id: UUID) -> tuple[ReplicationRow, PracticeRow]:
    """A replication and its practice; as visible as the practice."""
    row = await tx.session.get(ReplicationRow, replication_id)
    if row is None:
        raise not_found("replication")
    return row, await get_visible(tx, caller, row.practice_id)


async def page_replications(tx: Tx, practice: PracticeRow, query: PageQuery) -> tuple[list[ReplicationRow], str | None]:
    """The replications of one practice, newest first."""
    keys: list[Any] = [ReplicationRow.id]
    rows = select(ReplicationRow).where(col(ReplicationRow.practice_id) == practice.id)
    return await page(tx.session, rows, keys, query, descending=True)


async def replications_of(tx: Tx, practice: PracticeRow) -> Sequence[ReplicationRow]:
    """All replications of one practice, oldest first."""
    rows = select(ReplicationRow).where(col(ReplicationRow.practice_id) == practice.id)
    return (await tx.session.scalars(rows.order_by(col(ReplicationRow.id)))).all()


async def insert_replication_once(tx: Tx, row: ReplicationRow) -> bool:
    """Whether it was new: one per practice and project."""
    values = {name: getattr(row, name) for name in ReplicationRow.model_fields}
    added = insert(ReplicationRow).values(**values).on_conflict_do_nothing(index_elements=["practice_id", "project_id"])
    return (await tx.session.scalar(added.returning(col(ReplicationRow.id)))) is not None


async def lineage(tx: Tx, practice: PracticeRow) -> Sequence[ReplicationRow]:
    """The replications of a practice, those of the practices of the projects that reused it, and so on."""
    columns: list[Any] = [ReplicationRow.id, ReplicationRow.project_id]
    reached = select(*columns).where(col(ReplicationRow.practice_id) == practice.id).cte("reached", recursive=True)
    onward = (
        select(*columns)
        .join(PracticeRow, col(PracticeRow.id) == col(ReplicationRow.practice_id))
        .join(reached, and_(col(PracticeRow.project_id) == reached.c.project_id))
    )
    # UNION, not UNION ALL: projects may reuse each other's practices, and a circle must end
    all_reached = reached.union(onward)
    rows = select(ReplicationRow).join(all_reached, col(ReplicationRow.id) == all_reached.c.id)
    return (await tx.session.scalars(rows.order_by(col(ReplicationRow.id)))).all()
