"""Children of projects: found by id, visible with their project, locked after it."""

from __future__ import annotations

from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import select

from services.projects.store import projects
from services.projects.store.projects import Project
from services.projects.tables import AgreementRow, ContributionRow, MilestoneRow, ReportRow
from shared.data.keyset import page
from shared.messaging.transaction import Tx
from shared.web.auth import Caller
from shared.web.paging import PageQuery
from shared.web.problems import not_found

Row = TypeVar("Row", AgreementRow, ContributionRow, MilestoneRow, ReportRow)


class Parts(Generic[Row]):
    """The statements that agreements, contributions, milestones and reports have in common."""

    def __init__(self, table: type[Row], noun: str) -> None:
        self._noun = noun
        self._table: Any = table

    async def get_visible(self, tx: Tx, caller: Caller, part_id: UUID) -> tuple[Row, Project]:
        """The child and its project; 404 for strangers."""
        row: Row | None = await tx.session.get(self._table, part_id)
        if row is None:
            raise not_found(self._noun)
        return row, await projects.get_visible(tx, caller, row.project_id)

    async def lock_visible(self, tx: Tx, caller: Caller, part_id: UUID) -> tuple[Row, Project]:
        """The same, the project locked first, then the child."""
        project_id = await tx.session.scalar(select(self._table.project_id).where(self._table.id == part_id))
        if project_id is None:
            raise not_found(self._noun)
        project = await projects.lock_visible(tx, caller, project_id)
        locked = select(self._table).where(self._table.id == part_id).with_for_update()
        row: Row = (await tx.session.scalars(locked.execution_options(populate_existing=True))).one()
        return row, project

    async def page_of(self, tx: Tx, project: Project, query: PageQuery) -> tuple[list[Row], str | None]:
        """The children of one project, newest first."""
        rows = select(self._table).where(self._table.project_id == project.row.id)
        return await page(tx.session, rows, [self._table.id], query, descending=True)


AGREEMENTS = Parts(AgreementRow, "agreement")
CONTRIBUTIONS = Parts(ContributionRow, "contribution")
MILESTONES = Parts(MilestoneRow, "milestone")
REPORTS = Parts(ReportRow, "report")
