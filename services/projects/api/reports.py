"""Reports."""

from __future__ import annotations

from uuid import UUID

from services.projects.commands import reports as commands
from services.projects.domain.projects import WORK
from services.projects.domain.reports import REPORT
from services.projects.schemas.common import Empty, SignatureOut, ThreadPage
from services.projects.schemas.reports import ReportIn, ReportOut
from services.projects.states import signatures_of
from services.projects.store import projects
from services.projects.store.parts import REPORTS
from services.projects.store.projects import Project
from services.projects.tables import ReportRow
from shared.api import CallerDep, Router, TxDep
from shared.messaging.transaction import Tx
from shared.web.auth import SIGNED_IN, Caller
from shared.web.paging import Paging
from shared.web.versions import IfMatch

router = Router("reports")


@router.post(
    "/projects/{project_id}/reports",
    SIGNED_IN,
    by=WORK.who("progress reports", "completion reports"),
    status=201,
    refuses=WORK.codes("progress reports", "completion reports"),
)
async def submit_report(tx: TxDep, caller: CallerDep, project_id: UUID, body: ReportIn) -> ReportOut:
    """Submit a report of the project."""
    return show(*await commands.submit(tx, caller, project_id, body), tx, caller)


@router.get("/projects/{project_id}/reports", SIGNED_IN)
async def list_reports(tx: TxDep, caller: CallerDep, project_id: UUID, paging: Paging) -> ThreadPage[ReportOut]:
    """The reports of a project, newest first."""
    project = await projects.get_visible(tx, caller, project_id)
    rows, following = await REPORTS.page_of(tx, project, paging)
    items = [show(row, project, tx, caller) for row in rows]
    return ThreadPage[ReportOut](items=items, next=following).in_thread(project.row.correlation_id)


@router.get("/reports/{report_id}", SIGNED_IN)
async def get_report(tx: TxDep, caller: CallerDep, report_id: UUID) -> ReportOut:
    """One report."""
    return show(*await REPORTS.get_visible(tx, caller, report_id), tx, caller)


@router.post("/reports/{report_id}/sign", SIGNED_IN, by=REPORT.who("sign"), refuses=REPORT.codes("sign"))
async def sign_report(tx: TxDep, caller: CallerDep, report_id: UUID, body: Empty, if_match: IfMatch) -> ReportOut:
    """Sign the completion report for the caller's institution."""
    del body
    return show(*await commands.sign(tx, caller, report_id, if_match), tx, caller)


def show(row: ReportRow, project: Project, tx: Tx, caller: Caller) -> ReportOut:
    """The report as this caller sees it."""
    today = tx.clock.today()
    facts, hats = commands.facts_of(row, project, caller), project.hats(caller, today)
    signatures = signatures_of(row, project, today)
    return ReportOut(
        **row.model_dump(exclude={"signatures", "updated_at"}),
        signatures=[SignatureOut(institution_id=s.institution_id, signed_on=s.signed_on) for s in signatures],
        actions=REPORT.actions(row.status, facts, hats, can_sign=caller.can_sign),
    ).in_thread(project.row.correlation_id)
