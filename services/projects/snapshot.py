"""The present state of every aggregate as events again, after Kafka or a reader lost theirs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from services.projects import states
from services.projects.domain.contributions import COUNTED
from services.projects.store import contributions, practices, projects
from services.projects.store.contributions import Contribution
from services.projects.store.projects import Project
from services.projects.tables import AgreementRow, MilestoneRow, PracticeRow, ProjectRow, ReportRow
from shared.events import projects as events
from shared.messaging.envelope import Event
from shared.messaging.transaction import Tx

BATCH = 200
PROJECT = {
    "pipeline": events.ProjectOpened,
    "agreed": events.ProjectOpened,  # there is no other; the AgreementSigned that follows tells of the agreement
    "active": events.ProjectStarted,
    "suspended": events.ProjectSuspended,
    "completed": events.ProjectCompleted,
    "closed": events.ProjectClosed,
    "cancelled": events.ProjectCancelled,
}
AGREEMENT = {"proposed": events.AgreementProposed, "signed": events.AgreementSigned}
CONTRIBUTION = {
    "pledged": events.ContributionPledged,
    "committed": events.ContributionCommitted,
    "delivered": events.ContributionDelivered,
    "confirmed": events.ContributionConfirmed,
}
MILESTONE = {
    "planned": events.MilestonePlanned,
    "reached": events.MilestoneReached,
    "waived": events.MilestoneWaived,
}
REPORT = {"submitted": events.ReportSubmitted, "signed": events.ReportSigned}


async def snapshot(tx: Tx) -> AsyncIterator[Event]:
    """One event per aggregate, of the type that led to its status; its row stays locked, so that none is overtaken.

    Children and practices are published here instead of yielded: their thread is that of their project.
    """
    async for row in _all(tx, ProjectRow):
        project = (await projects.load(tx, [row]))[0]
        yield PROJECT[row.status](project=states.project_state(project, tx.clock.today()), by=tx.by)
        async for part in _parts(tx, project):
            tx.publish(part, correlation=row.correlation_id)
    async for practice in _all(tx, PracticeRow, col(PracticeRow.status) == "published"):
        async for event in _of_practice(tx, practice):
            tx.publish(event, correlation=practice.correlation_id)


async def _parts(tx: Tx, project: Project) -> AsyncIterator[events.PartEvent]:
    by, today = tx.by, tx.clock.today()
    for agreement in await _children(tx, AgreementRow, project):
        yield AGREEMENT[agreement.status](agreement=states.agreement_state(agreement, project), by=by)
    for contribution in await contributions.all_of(tx, project):
        yield _of_contribution(contribution)(contribution=states.contribution_state(contribution), by=by)
    for milestone in await _children(tx, MilestoneRow, project):
        yield MILESTONE[milestone.status](milestone=states.milestone_state(milestone, project), by=by)
    for report in await _children(tx, ReportRow, project):
        yield REPORT[report.status](report=states.report_state(report, project, today), by=by)


def _of_contribution(contribution: Contribution) -> type[events.ContributionEvent]:
    """It stays `committed` until all is delivered; what was delivered of it so far is told all the same."""
    if contribution.row.status != "committed" or not contribution.deliveries:
        return CONTRIBUTION[contribution.row.status]
    delivered = any(delivery.status in COUNTED for delivery in contribution.deliveries)
    return events.ContributionDelivered if delivered else events.ContributionDisputed


async def _of_practice(tx: Tx, practice: PracticeRow) -> AsyncIterator[events.PracticeEvent]:
    state = states.practice_state(practice, await projects.by_id(tx, practice.project_id))
    yield events.PracticePublished(practice=state, by=tx.by)
    for row in await practices.replications_of(tx, practice):
        replication = states.replication_state(row, await projects.by_id(tx, row.project_id))
        yield events.PracticeReplicated(practice=state, replication=replication, by=tx.by)


async def _children(tx: Tx, kind: Any, project: Project) -> list[Any]:  # noqa: ANN401 (a table class)
    rows = select(kind).where(kind.project_id == project.row.id).order_by(kind.id)
    return list(await tx.session.scalars(rows))


async def _all(tx: Tx, kind: Any, condition: Any = True) -> AsyncIterator[Any]:  # noqa: ANN401 (a table class)
    last = UUID(int=0)
    while True:
        rows = select(kind).where(kind.id > last, condition).order_by(kind.id).limit(BATCH).with_for_update()
        found = list(await tx.session.scalars(rows))
        for row in found:
            yield row
        if len(found) < BATCH:
            return
        last = found[-1].id
