"""Opening, changing and ending projects."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from services.projects.commands.common import admit, changed
from services.projects.domain import projects as rules
from services.projects.domain import roles
from services.projects.domain.projects import PROJECT, WORK, ProjectStatus
from services.projects.schemas.common import ReasonIn
from services.projects.schemas.projects import (
    CancelIn,
    CompleteIn,
    PartnerIn,
    ProjectIn,
    ProjectPatch,
    ResumeIn,
    StartIn,
)
from services.projects.states import project_state
from services.projects.store import institutions, projects
from services.projects.store.projects import Project
from services.projects.tables import ProjectRow, RoleRow
from shared.events.projects import (
    ProjectCancelled,
    ProjectClosed,
    ProjectCompleted,
    ProjectEvent,
    ProjectOpened,
    ProjectResumed,
    ProjectStarted,
    ProjectSuspended,
)
from shared.lifecycle import SYSTEM
from shared.messaging.transaction import Tx
from shared.ops.ids import new_id
from shared.reference.vocabulary import SystemReason
from shared.web.auth import Caller
from shared.web.problems import refuse
from shared.web.versions import Precondition

COPIED = set(ProjectIn.model_fields) & set(ProjectRow.model_fields) - {"budget"}

Named = dict[UUID, tuple[str | None, str | None]]


async def open_direct(tx: Tx, caller: Caller, body: ProjectIn) -> Project:
    """A project without a match, by an operator or by an owner that is one of its partners."""
    if not caller.is_operator and caller.institution_id not in {partner.institution_id for partner in body.partners}:
        raise refuse("forbidden", "Your institution must be one of the partners.")
    justification = rules.check_reason(body.justification_code, body.text)
    rules.check_plan(body.planned_start_on, body.planned_end_on)
    await institutions.mention(tx, {partner.institution_id: (None, None) for partner in body.partners})
    row = _direct_row(tx, body, justification)
    project = Project(row, [], await institutions.known(tx, {partner.institution_id for partner in body.partners}))
    for position, partner in enumerate(body.partners):
        add_role(project, partner, f"/partners/{position}/role")
    tx.session.add(row)
    await tx.session.flush()
    return await _opened(tx, project)


def _direct_row(tx: Tx, body: ProjectIn, justification: dict[str, Any]) -> ProjectRow:
    project_id = new_id()
    return ProjectRow(
        id=project_id,
        status=ProjectStatus.PIPELINE,
        correlation_id=project_id,
        justification=justification,
        budget=body.budget.model_dump(mode="json") if body.budget else None,
        opened_at=tx.now,
        updated_at=tx.now,
        **body.model_dump(include=COPIED),
    )


def add_role(project: Project, partner: PartnerIn, pointer: str) -> RoleRow:
    """One more role, not yet stored; 409 for an overlap, 422 for a pivotal partner of the North."""
    known = project.known.get(partner.institution_id)
    roles.check_pivotal(partner.role, known.country if known else None, partner.from_, pointer)
    roles.check_no_overlap(project.roles, partner.institution_id, partner.role, partner.from_, None)
    role = RoleRow(
        id=new_id(),
        project_id=project.row.id,
        position=len(project.roles),
        institution_id=partner.institution_id,
        role=partner.role,
        from_on=partner.from_,
    )
    project.roles.append(role)
    return role


async def open_for_match(tx: Tx, row: ProjectRow, held: list[RoleRow], named: Named) -> None:
    """The project of a formalised match, once, under the id that matching gave it."""
    if not await projects.insert_once(tx, row):
        return
    await institutions.mention(tx, named)
    stored = await tx.session.get_one(ProjectRow, row.id)
    await _opened(tx, Project(stored, held, await institutions.known(tx, named)))


async def _opened(tx: Tx, project: Project) -> Project:
    tx.session.add_all(project.roles)
    tx.publish(ProjectOpened(project=project_state(project, tx.clock.today()), by=tx.by))
    return project


async def edit(tx: Tx, caller: Caller, project_id: UUID, patch: ProjectPatch, if_match: Precondition) -> Project:
    """Title and planned dates; without an event, since nobody has to act on it."""
    project = await projects.lock_visible(tx, caller, project_id)
    row = project.row
    admit(WORK, "edit", row, None, project.hats(caller, tx.clock.today()), caller, if_match)
    news = {name: getattr(patch, name) for name in patch.model_fields_set}
    rules.check_plan(news.get("planned_start_on", row.planned_start_on), news.get("planned_end_on", row.planned_end_on))
    if any(getattr(row, name) != value for name, value in news.items()):
        for name, value in news.items():
            setattr(row, name, value)
        changed(tx, row)
        await tx.audit("edit", f"projects/{row.id}")
    return project


async def start(tx: Tx, caller: Caller, project_id: UUID, body: StartIn, if_match: Precondition) -> Project:
    """`agreed -> active`."""
    project = await _lock_with_partners(tx, caller, project_id)
    target = _step(tx, caller, project, "start", if_match)
    rules.check_not_future(body.started_on, tx.clock.today(), "/started_on")
    project.row.started_on = body.started_on
    return _moved(tx, project, target, ProjectStarted)


async def suspend(tx: Tx, caller: Caller, project_id: UUID, body: ReasonIn, if_match: Precondition) -> Project:
    """`active -> suspended`, with a reason."""
    project = await projects.lock_visible(tx, caller, project_id)
    target = _step(tx, caller, project, "suspend", if_match)
    project.row.reason = rules.check_reason(body.reason_code, body.text)
    return _moved(tx, project, target, ProjectSuspended)


async def suspend_for_partner(tx: Tx, institution_id: UUID) -> None:
    """A partner was suspended: its active projects rest until somebody resumes them."""
    await institutions.alter_standing(tx)
    for project in await projects.lock_active_of(tx, institution_id, tx.clock.today()):
        step = PROJECT.check("suspend", project.row.status, project.facts(tx.clock.today()), {SYSTEM})
        project.row.reason = {"code": SystemReason.PARTNER_SUSPENDED.value, "text": None}
        _moved(tx, project, step.target, ProjectSuspended)


async def resume(tx: Tx, caller: Caller, project_id: UUID, body: ResumeIn, if_match: Precondition) -> Project:
    """`suspended -> active`; 409 while a partner is suspended."""
    del body  # its words are not kept: a project that goes on shows no reason
    project = await _lock_with_partners(tx, caller, project_id)
    target = _step(tx, caller, project, "resume", if_match)
    project.row.reason = None
    return _moved(tx, project, target, ProjectResumed)


async def complete(tx: Tx, caller: Caller, project_id: UUID, body: CompleteIn, if_match: Precondition) -> Project:
    """`active -> completed`, once all milestones are settled and all partners have signed the report."""
    project = await projects.lock_visible(tx, caller, project_id)
    today = tx.clock.today()
    facts = project.facts(today, body.completed_on)
    step = admit(PROJECT, "complete", project.row, facts, project.hats(caller, today), caller, if_match)
    rules.check_completion_day(body.completed_on, project.row.started_on, today)
    project.row.completed_on = body.completed_on
    return _moved(tx, project, step.target, ProjectCompleted)


async def close(tx: Tx, caller: Caller, project_id: UUID, if_match: Precondition) -> Project:
    """`completed -> closed`."""
    project = await projects.lock_visible(tx, caller, project_id)
    return _moved(tx, project, _step(tx, caller, project, "close", if_match), ProjectClosed)


async def cancel(tx: Tx, caller: Caller, project_id: UUID, body: CancelIn, if_match: Precondition) -> Project:
    """The end without a result; says whether the need seeks again."""
    project = await projects.lock_visible(tx, caller, project_id)
    target = _step(tx, caller, project, "cancel", if_match)
    project.row.reason = rules.check_reason(body.reason_code, body.text)
    project.row.reopen_need = body.reopen_need
    return _moved(tx, project, target, ProjectCancelled)


async def _lock_with_partners(tx: Tx, caller: Caller, project_id: UUID) -> Project:
    """Keeps the partners' standing until the end, so that a suspension comes before or after, never between."""
    project = await projects.lock_visible(tx, caller, project_id)
    await institutions.keep_standing(tx)
    project.known = await institutions.known(tx, project.partner_ids)
    return project


def _step(tx: Tx, caller: Caller, project: Project, action: str, if_match: Precondition) -> str | None:
    today = tx.clock.today()
    hats = project.hats(caller, today)
    return admit(PROJECT, action, project.row, project.facts(today), hats, caller, if_match).target


def _moved(tx: Tx, project: Project, target: str | None, event: type[ProjectEvent]) -> Project:
    changed(tx, project.row, target)
    tx.publish(event(project=project_state(project, tx.clock.today()), by=tx.by))
    return project


def agree(tx: Tx, project: Project) -> None:
    """The agreement that needs both sides is signed; AgreementSigned tells of it."""
    step = PROJECT.check("agree", project.row.status, project.facts(tx.clock.today()), {SYSTEM})
    changed(tx, project.row, step.target)
