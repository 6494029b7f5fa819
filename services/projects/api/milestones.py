"""Milestones."""

from __future__ import annotations

from uuid import UUID

from services.projects.commands import milestones as commands
from services.projects.domain.milestones import MILESTONE, MilestoneFacts
from services.projects.domain.projects import WORK
from services.projects.schemas.common import ReasonOut, ThreadPage
from services.projects.schemas.milestones import MilestoneIn, MilestoneOut, ReachIn, WaiveIn
from services.projects.store import projects
from services.projects.store.parts import MILESTONES
from services.projects.store.projects import Project
from services.projects.tables import MilestoneRow
from shared.api import CallerDep, Router, TxDep
from shared.messaging.transaction import Tx
from shared.web.auth import SIGNED_IN, Caller
from shared.web.paging import Paging
from shared.web.versions import IfMatch

router = Router("milestones")


@router.post(
    "/projects/{project_id}/milestones",
    SIGNED_IN,
    by=WORK.who("milestones"),
    status=201,
    refuses=WORK.codes("milestones"),
)
async def plan_milestone(tx: TxDep, caller: CallerDep, project_id: UUID, body: MilestoneIn) -> MilestoneOut:
    """Plan something to be reached."""
    return show(*await commands.plan(tx, caller, project_id, body), tx, caller)


@router.get("/projects/{project_id}/milestones", SIGNED_IN)
async def list_milestones(tx: TxDep, caller: CallerDep, project_id: UUID, paging: Paging) -> ThreadPage[MilestoneOut]:
    """The milestones of a project, newest first."""
    project = await projects.get_visible(tx, caller, project_id)
    rows, following = await MILESTONES.page_of(tx, project, paging)
    items = [show(row, project, tx, caller) for row in rows]
    return ThreadPage[MilestoneOut](items=items, next=following).in_thread(project.row.correlation_id)


@router.get("/milestones/{milestone_id}", SIGNED_IN)
async def get_milestone(tx: TxDep, caller: CallerDep, milestone_id: UUID) -> MilestoneOut:
    """One milestone."""
    return show(*await MILESTONES.get_visible(tx, caller, milestone_id), tx, caller)


@router.post("/milestones/{milestone_id}/reach", SIGNED_IN, by=MILESTONE.who("reach"), refuses=MILESTONE.codes("reach"))
async def reach_milestone(
    tx: TxDep, caller: CallerDep, milestone_id: UUID, body: ReachIn, if_match: IfMatch
) -> MilestoneOut:
    """`planned -> reached`."""
    return show(*await commands.reach(tx, caller, milestone_id, body, if_match), tx, caller)


@router.post("/milestones/{milestone_id}/waive", SIGNED_IN, by=MILESTONE.who("waive"), refuses=MILESTONE.codes("waive"))
async def waive_milestone(
    tx: TxDep, caller: CallerDep, milestone_id: UUID, body: WaiveIn, if_match: IfMatch
) -> MilestoneOut:
    """`planned -> waived`."""
    return show(*await commands.waive(tx, caller, milestone_id, body, if_match), tx, caller)


def show(row: MilestoneRow, project: Project, tx: Tx, caller: Caller) -> MilestoneOut:
    """The milestone as this caller sees it."""
    hats = project.hats(caller, tx.clock.today())
    return MilestoneOut(
        **row.model_dump(exclude={"reason", "updated_at"}),
        reason=ReasonOut.model_validate(row.reason) if row.reason else None,
        actions=MILESTONE.actions(row.status, MilestoneFacts(project.running), hats, can_sign=caller.can_sign),
    ).in_thread(project.row.correlation_id)
