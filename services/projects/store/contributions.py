"""Contributions with their deliveries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from services.projects.store.parts import CONTRIBUTIONS
from services.projects.store.projects import Project
from services.projects.tables import ContributionRow, DeliveryRow
from shared.messaging.transaction import Tx
from shared.web.auth import Caller
from shared.web.paging import PageQuery


@dataclass
class Contribution:
    """A contribution as loaded."""

    row: ContributionRow
    deliveries: list[DeliveryRow]
    project: Project


async def get_visible(tx: Tx, caller: Caller, contribution_id: UUID) -> Contribution:
    """The contribution; 404 for strangers."""
    row, project = await CONTRIBUTIONS.get_visible(tx, caller, contribution_id)
    return (await _load(tx, [row], project))[0]


async def lock_visible(tx: Tx, caller: Caller, contribution_id: UUID) -> Contribution:
    """The same, project and contribution locked."""
    row, project = await CONTRIBUTIONS.lock_visible(tx, caller, contribution_id)
    return (await _load(tx, [row], project))[0]


async def page_of(tx: Tx, project: Project, query: PageQuery) -> tuple[list[Contribution], str | None]:
    """Newest first."""
    rows, following = await CONTRIBUTIONS.page_of(tx, project, query)
    return await _load(tx, rows, project), following


async def all_of(tx: Tx, project: Project) -> list[Contribution]:
    """All contributions of a project, oldest first."""
    rows = select(ContributionRow).where(col(ContributionRow.project_id) == project.row.id)
    return await _load(tx, list(await tx.session.scalars(rows.order_by(col(ContributionRow.id)))), project)


async def _load(tx: Tx, rows: Sequence[ContributionRow], project: Project) -> list[Contribution]:
    delivered = await _deliveries(tx, [row.id for row in rows])
    return [Contribution(row, delivered[row.id], project) for row in rows]


async def _deliveries(tx: Tx, ids: Collection[UUID]) -> dict[UUID, list[DeliveryRow]]:
    rows = select(DeliveryRow).where(col(DeliveryRow.contribution_id).in_(ids)).order_by(col(DeliveryRow.position))
    found: defaultdict[UUID, list[DeliveryRow]] = defaultdict(list)
    for delivery in await tx.session.scalars(rows.execution_options(populate_existing=True)):
        found[delivery.contribution_id].append(delivery)
    return found
