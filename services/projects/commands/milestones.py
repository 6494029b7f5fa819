"""Milestones are planned, then reached or waived."""

from __future__ import annotations

from uuid import UUID

from services.projects.commands.common import admit, changed
from services.projects.domain.milestones import MILESTONE, MilestoneFacts
from services.projects.domain.projects import WORK, check_not_future, check_reason
from services.projects.schemas.milestones import MilestoneIn, ReachIn, WaiveIn
from services.projects.states import milestone_state
from services.projects.store import projects
from services.projects.store.parts import MILESTONES
from services.projects.store.projects import Project
from services.projects.tables import MilestoneRow
from shared.events.projects import MilestoneEvent, MilestonePlanned, MilestoneReached, MilestoneWaived
from shared.messaging.transaction import Tx
from shared.ops.ids import new_id
from shared.web.auth import Caller
from shared.web.versions import ANY_VERSION, Precondition

Part = tuple[MilestoneRow, Project]


async def plan(tx: Tx, caller: Caller, project_id: UUID, body: MilestoneIn) -> Part:
    """Something to be reached."""
    project = await projects.lock_visible(tx, caller, project_id)
    admit(WORK, "milestones", project.row, None, project.hats(caller, tx.clock.today()), caller, ANY_VERSION)
    row = MilestoneRow(
        id=new_id(),
        project_id=project_id,
        status="planned",
        title=body.title,
        due_on=body.due_on,
        updated_at=tx.now,
    )
    tx.session.add(row)
    return _tell(tx, row, project, MilestonePlanned)


async def reach(tx: Tx, caller: Caller, milestone_id: UUID, body: ReachIn, if_match: Precondition) -> Part:
    """It was reached."""
    row, project = await MILESTONES.lock_visible(tx, caller, milestone_id)
    target = _step(tx, caller, row, project, "reach", if_match)
    check_not_future(body.reached_on, tx.clock.today(), "/reached_on")
    row.reached_on = body.reached_on
    changed(tx, row, target)
    return _tell(tx, row, project, MilestoneReached)


async def waive(tx: Tx, caller: Caller, milestone_id: UUID, body: WaiveIn, if_match: Precondition) -> Part:
    """It no longer counts, for a reason."""
    row, project = await MILESTONES.lock_visible(tx, caller, milestone_id)
    target = _step(tx, caller, row, project, "waive", if_match)
    row.reason = check_reason(body.reason_code, body.text)
    changed(tx, row, target)
    return _tell(tx, row, project, MilestoneWaived)


def _step(
    tx: Tx, caller: Caller, row: MilestoneRow, project: Project, action: str, if_match: Precondition
) -> str | None:
    hats = project.hats(caller, tx.clock.today())
    return admit(MILESTONE, action, row, MilestoneFacts(project.running), hats, caller, if_match).target


def _tell(tx: Tx, row: MilestoneRow, project: Project, event: type[MilestoneEvent]) -> Part:
    tx.publish(event(milestone=milestone_state(row, project), by=tx.by), correlation=project.row.correlation_id)
    return row, project
