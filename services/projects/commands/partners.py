"""Partners join and leave roles."""

from __future__ import annotations

from uuid import UUID

from services.projects.commands.common import admit, changed
from services.projects.commands.projects import add_role
from services.projects.domain import roles
from services.projects.domain.projects import WORK, check_reason
from services.projects.schemas.projects import LeaveIn, PartnerIn
from services.projects.states import project_state
from services.projects.store import institutions, projects
from services.projects.store.projects import Project
from shared.events.projects import PartnerRoleChanged
from shared.lifecycle import Invalid
from shared.messaging.transaction import Tx
from shared.web.auth import Caller
from shared.web.problems import not_found
from shared.web.versions import ANY_VERSION, Precondition


async def join(tx: Tx, caller: Caller, project_id: UUID, body: PartnerIn, if_match: Precondition) -> Project:
    """One more role. It makes a partner, so If-Match is not needed, but is honoured when sent."""
    project = await projects.lock_visible(tx, caller, project_id)
    known = if_match if if_match.sent else ANY_VERSION
    admit(WORK, "partners", project.row, None, project.hats(caller, tx.clock.today()), caller, known)
    roles.check_room(project.roles)
    await institutions.mention(tx, {body.institution_id: (None, None)})
    project.known |= await institutions.known(tx, [body.institution_id])
    tx.session.add(add_role(project, body, "/role"))
    return _changed(tx, project, None)


async def leave(
    tx: Tx, caller: Caller, project_id: UUID, institution_id: UUID, body: LeaveIn, if_match: Precondition
) -> Project:
    """A role ends; `to` is the first day on which it is no longer held."""
    project = await projects.lock_visible(tx, caller, project_id)
    if institution_id not in project.partner_ids:
        raise not_found("partner")
    admit(WORK, "leave", project.row, None, project.hats(caller, tx.clock.today()), caller, if_match)
    period = roles.leaving(project.roles, institution_id, body.role, tx.clock.today())
    roles.check_leave(period, body.to)
    others = [role for role in project.roles if role is not period]
    roles.check_no_overlap(others, institution_id, body.role, period.from_on, body.to)
    period.to_on = body.to
    period.reason = _reason(body)
    return _changed(tx, project, period.reason)


def _reason(body: LeaveIn) -> dict[str, str | None] | None:
    if body.reason_code is not None:
        return check_reason(body.reason_code, body.text)
    if body.text:
        raise Invalid("/reason_code", "Required with a text", "missing")
    return None


def _changed(tx: Tx, project: Project, reason: dict[str, str | None] | None) -> Project:
    changed(tx, project.row)
    state = project_state(project, tx.clock.today(), reason=reason)
    tx.publish(PartnerRoleChanged(project=state, by=tx.by))
    return project
