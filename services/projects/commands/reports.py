"""Reports are submitted; the completion report is signed by the partners."""

from __future__ import annotations

from uuid import UUID

from services.projects.commands.common import admit, changed
from services.projects.domain import roles
from services.projects.domain.projects import STARTED, WORK
from services.projects.domain.reports import REPORT, ReportFacts, covers
from services.projects.schemas.reports import ReportIn
from services.projects.states import report_state
from services.projects.store import projects
from services.projects.store.parts import REPORTS
from services.projects.store.projects import Project
from services.projects.tables import ReportRow
from shared.events.projects import ReportEvent, ReportSigned, ReportSubmitted
from shared.messaging.transaction import Tx
from shared.ops.ids import new_id
from shared.reference.vocabulary import ReportKind
from shared.web.auth import Caller
from shared.web.versions import ANY_VERSION, Precondition

Part = tuple[ReportRow, Project]


def facts_of(row: ReportRow, project: Project, caller: Caller) -> ReportFacts:
    """What signing depends on for this caller."""
    return ReportFacts(
        to_sign=row.kind == ReportKind.COMPLETION,
        signed=caller.institution_id in _signers(row),
        project_started=project.row.status in STARTED,
    )


def _signers(row: ReportRow) -> set[UUID]:
    return {UUID(signature["institution_id"]) for signature in row.signatures}


async def submit(tx: Tx, caller: Caller, project_id: UUID, body: ReportIn) -> Part:
    """A report for the partners to read or, when it is the completion report, to sign."""
    project = await projects.lock_visible(tx, caller, project_id)
    hats = project.hats(caller, tx.clock.today())
    admit(WORK, f"{body.kind} reports", project.row, None, hats, caller, ANY_VERSION)
    row = ReportRow(
        id=new_id(),
        project_id=project_id,
        status="submitted",
        submitted_by=caller.acting_institution(None),
        signatures=[],
        updated_at=tx.now,
        **body.model_dump(),
    )
    tx.session.add(row)
    return _tell(tx, row, project, ReportSubmitted)


async def sign(tx: Tx, caller: Caller, report_id: UUID, if_match: Precondition) -> Part:
    """One partner's signature; the last one of the partners in a role today is an event."""
    row, project = await REPORTS.lock_visible(tx, caller, report_id)
    today = tx.clock.today()
    hats = project.hats(caller, today)
    step = admit(REPORT, "sign", row, facts_of(row, project, caller), hats, caller, if_match)
    signature = {"institution_id": str(caller.acting_institution(None)), "signed_on": today.isoformat()}
    row.signatures = [*row.signatures, signature]
    last = row.status != "signed" and covers(_signers(row), roles.holders_on(project.roles, today))
    changed(tx, row, step.target if last else None)
    if last:
        return _tell(tx, row, project, ReportSigned)
    await tx.audit("sign", f"reports/{row.id}")
    return row, project


def _tell(tx: Tx, row: ReportRow, project: Project, event: type[ReportEvent]) -> Part:
    state = report_state(row, project, tx.clock.today())
    tx.publish(event(report=state, by=tx.by), correlation=project.row.correlation_id)
    return row, project
