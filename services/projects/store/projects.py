"""Projects with what is needed to judge and show them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, false, or_, select, true
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from services.projects.domain import reports, roles
from services.projects.domain.projects import RUNNING, ProjectFacts, ProjectStatus
from services.projects.store import institutions
from services.projects.tables import InstitutionRow, MilestoneRow, ProjectRow, ReportRow, RoleRow
from shared.data.keyset import page
from shared.messaging.transaction import Tx
from shared.web.auth import Caller
from shared.web.paging import PageQuery
from shared.web.problems import not_found

NEWEST: list[Any] = [ProjectRow.opened_at, ProjectRow.id]
CHANGED: list[Any] = [ProjectRow.updated_at, ProjectRow.id]


@dataclass
class Project:
    """A project row and the rows beside it, as loaded."""

    row: ProjectRow
    roles: list[RoleRow]
    known: dict[UUID, InstitutionRow]
    milestones_open: bool = False
    signers: list[frozenset[UUID]] = field(default_factory=list)
    """Who signed, per completion report."""

    @property
    def partner_ids(self) -> list[UUID]:
        """Partners past and present: who may see it."""
        return roles.everybody(self.roles)

    @property
    def running(self) -> bool:
        """It has neither ended well nor badly."""
        return self.row.status in RUNNING

    def hats(self, caller: Caller, today: date) -> frozenset[str]:
        """The caller's parts in it; a role that is still ahead counts, one that is over does not."""
        return caller.hats(
            leader=roles.standing(self.roles, today, roles.LEADING),
            partner=roles.standing(self.roles, today),
            ever=self.partner_ids,
        )

    def facts(self, today: date, completed_on: date | None = None) -> ProjectFacts:
        """What its steps depend on; the report must be signed by the partners of the day of completion."""
        signatories = roles.holders_on(self.roles, completed_on or today)
        standing = roles.standing(self.roles, today)
        return ProjectFacts(
            agreed=self.row.status != ProjectStatus.PIPELINE,
            roles=roles.held_on(self.roles, today),
            partner_suspended=any(self.known[i].status == "suspended" for i in standing if i in self.known),
            milestones_open=self.milestones_open,
            report_signed=any(reports.covers(signed, signatories) for signed in self.signers),
        )


def visible_to(caller: Caller) -> ColumnElement[bool]:
    """Partners past and present, operator and verifier."""
    if caller.is_staff:
        return true()
    if caller.institution_id is None:
        return false()
    return exists().where(
        col(RoleRow.project_id) == col(ProjectRow.id), col(RoleRow.institution_id) == caller.institution_id
    )


async def get_visible(tx: Tx, caller: Caller, project_id: UUID) -> Project:
    """The project; 404 for strangers."""
    return await _one(tx, select(ProjectRow).where(col(ProjectRow.id) == project_id, visible_to(caller)))


async def lock_visible(tx: Tx, caller: Caller, project_id: UUID) -> Project:
    """The same, locked until the transaction ends."""
    rows = select(ProjectRow).where(col(ProjectRow.id) == project_id, visible_to(caller))
    return await _one(tx, rows.with_for_update(of=ProjectRow))


async def _one(tx: Tx, rows: Select[ProjectRow]) -> Project:
    row = await tx.session.scalar(rows.execution_options(populate_existing=True))
    if row is None:
        raise not_found("project")
    return (await load(tx, [row]))[0]


async def by_id(tx: Tx, project_id: UUID) -> Project:
    """The project whoever asks, for the system's own work."""
    return await _one(tx, select(ProjectRow).where(col(ProjectRow.id) == project_id))


async def page_visible(
    tx: Tx,
    caller: Caller,
    query: PageQuery,
    *,
    match_id: UUID | None,
    statuses: Sequence[str],
    updated_since: datetime | None,
) -> tuple[list[Project], str | None]:
    """Newest first, or in order of change with `updated_since`."""
    rows = select(ProjectRow).where(visible_to(caller))
    if match_id is not None:
        rows = rows.where(col(ProjectRow.match_id) == match_id)
    if statuses:
        rows = rows.where(col(ProjectRow.status).in_(statuses))
    if updated_since is None:
        found, following = await page(tx.session, rows, NEWEST, query, descending=True)
    else:
        changed = rows.where(col(ProjectRow.updated_at) >= updated_since)
        found, following = await page(tx.session, changed, CHANGED, query)
    return await load(tx, found), following


async def lock_active_of(tx: Tx, institution_id: UUID, today: date) -> list[Project]:
    """The active projects in which an institution still has a role, locked in order of their ids."""
    lasting = or_(col(RoleRow.to_on).is_(None), col(RoleRow.to_on) > today)
    mine = select(col(RoleRow.project_id)).where(col(RoleRow.institution_id) == institution_id, lasting)
    rows = (
        select(ProjectRow)
        .where(col(ProjectRow.id).in_(mine), col(ProjectRow.status) == ProjectStatus.ACTIVE)
        .order_by(col(ProjectRow.id))
        .with_for_update(of=ProjectRow)
        .execution_options(populate_existing=True)
    )
    return await load(tx, list(await tx.session.scalars(rows)))


async def load(tx: Tx, rows: Sequence[ProjectRow]) -> list[Project]:
    """The rows beside these project rows, one query per table."""
    if not rows:
        return []
    held = await _roles(tx, [row.id for row in rows])
    known = await institutions.known(tx, {role.institution_id for its in held.values() for role in its})
    loaded = [Project(row, held[row.id], known) for row in rows]
    await _add_completion(tx, {project.row.id: project for project in loaded if project.row.status == "active"})
    return loaded


async def _roles(tx: Tx, ids: Collection[UUID]) -> dict[UUID, list[RoleRow]]:
    rows = select(RoleRow).where(col(RoleRow.project_id).in_(ids)).order_by(col(RoleRow.position))
    held: defaultdict[UUID, list[RoleRow]] = defaultdict(list)
    for role in await tx.session.scalars(rows.execution_options(populate_existing=True)):
        held[role.project_id].append(role)
    return held


async def _add_completion(tx: Tx, active: dict[UUID, Project]) -> None:
    """What stands in the way of completing; only an active project can be completed."""
    if not active:
        return
    planned = select(col(MilestoneRow.project_id)).where(
        col(MilestoneRow.project_id).in_(list(active)), col(MilestoneRow.status) == "planned"
    )
    for project_id in await tx.session.scalars(planned.distinct()):
        active[project_id].milestones_open = True
    signed = select(col(ReportRow.project_id), col(ReportRow.signatures)).where(
        col(ReportRow.project_id).in_(list(active)), col(ReportRow.kind) == "completion"
    )
    for project_id, signatures in await tx.session.execute(signed):
        signers = frozenset(UUID(signature["institution_id"]) for signature in signatures)
        active[project_id].signers.append(signers)


async def insert_once(tx: Tx, row: ProjectRow) -> bool:
    """Whether it was new: one project per id, and one per match, for ever."""
    values = {name: getattr(row, name) for name in ProjectRow.model_fields}
    added = insert(ProjectRow).values(**values).on_conflict_do_nothing().returning(col(ProjectRow.id))
    return (await tx.session.scalar(added)) is not None
