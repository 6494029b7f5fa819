"""Projects and their partners."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from fastapi import Query

from services.projects.commands import partners
from services.projects.commands import projects as commands
from services.projects.domain import contributions as ledger
from services.projects.domain import roles
from services.projects.domain.projects import PROJECT, WORK, ProjectStatus
from services.projects.schemas.common import Empty, ReasonIn, ReasonOut
from services.projects.schemas.projects import (
    CancelIn,
    CashTotals,
    CompleteIn,
    InKindTotals,
    LeaveIn,
    PartnerIn,
    PartnerOut,
    ProjectIn,
    ProjectOut,
    ProjectPatch,
    ResumeIn,
    StartIn,
    TotalsOut,
)
from services.projects.states import country_of, name_of
from services.projects.store import contributions, projects
from services.projects.store.projects import Project
from shared.api import CallerDep, Router, TxDep
from shared.messaging.transaction import Tx
from shared.reference.types import MoneyOrZero, UtcDateTime, amount_text, quantity_text
from shared.web.auth import SIGNED_IN, Caller, only
from shared.web.paging import Page, Paging
from shared.web.versions import IfMatch

router = Router("projects")


@router.post("/projects", only("owner", "operator"), status=201, refuses=("invalid_transition",))
async def open_project(tx: TxDep, caller: CallerDep, body: ProjectIn) -> ProjectOut:
    """Open a project without a match."""
    return show(await commands.open_direct(tx, caller, body), tx, caller)


@router.get("/projects", SIGNED_IN)
async def list_projects(
    tx: TxDep,
    caller: CallerDep,
    paging: Paging,
    match_id: UUID | None = None,
    status: Annotated[list[ProjectStatus], Query()] = [],  # noqa: B006 (FastAPI copies it)
    updated_since: UtcDateTime | None = None,
) -> Page[ProjectOut]:
    """Those that the caller may see, newest first, or in order of change with `updated_since`."""
    found, following = await projects.page_visible(
        tx, caller, paging, match_id=match_id, statuses=status, updated_since=updated_since
    )
    return Page(items=[show(project, tx, caller) for project in found], next=following)


@router.get("/projects/{project_id}", SIGNED_IN)
async def get_project(tx: TxDep, caller: CallerDep, project_id: UUID) -> ProjectOut:
    """One project."""
    return show(await projects.get_visible(tx, caller, project_id), tx, caller)


@router.patch("/projects/{project_id}", SIGNED_IN, by=WORK.who("edit"), refuses=WORK.codes("edit"))
async def edit_project(
    tx: TxDep, caller: CallerDep, project_id: UUID, body: ProjectPatch, if_match: IfMatch
) -> ProjectOut:
    """Set title and planned dates."""
    return show(await commands.edit(tx, caller, project_id, body, if_match), tx, caller)


@router.post(
    "/projects/{project_id}/partners", SIGNED_IN, by=WORK.who("partners"), status=201, refuses=WORK.codes("partners")
)
async def add_partner(tx: TxDep, caller: CallerDep, project_id: UUID, body: PartnerIn, if_match: IfMatch) -> ProjectOut:
    """Give a role to an institution, from a day on that may lie in the past."""
    return show(await partners.join(tx, caller, project_id, body, if_match), tx, caller)


@router.post(
    "/projects/{project_id}/partners/{institution_id}/leave",
    SIGNED_IN,
    by=WORK.who("leave"),
    refuses=WORK.codes("leave"),
)
async def leave_project(
    tx: TxDep, caller: CallerDep, project_id: UUID, institution_id: UUID, body: LeaveIn, if_match: IfMatch
) -> ProjectOut:
    """End a partner's role."""
    return show(await partners.leave(tx, caller, project_id, institution_id, body, if_match), tx, caller)


@router.post("/projects/{project_id}/start", SIGNED_IN, by=PROJECT.who("start"), refuses=PROJECT.codes("start"))
async def start_project(tx: TxDep, caller: CallerDep, project_id: UUID, body: StartIn, if_match: IfMatch) -> ProjectOut:
    """`agreed -> active`."""
    return show(await commands.start(tx, caller, project_id, body, if_match), tx, caller)


@router.post("/projects/{project_id}/suspend", SIGNED_IN, by=PROJECT.who("suspend"), refuses=PROJECT.codes("suspend"))
async def suspend_project(
    tx: TxDep, caller: CallerDep, project_id: UUID, body: ReasonIn, if_match: IfMatch
) -> ProjectOut:
    """`active -> suspended`."""
    return show(await commands.suspend(tx, caller, project_id, body, if_match), tx, caller)


@router.post("/projects/{project_id}/resume", SIGNED_IN, by=PROJECT.who("resume"), refuses=PROJECT.codes("resume"))
async def resume_project(
    tx: TxDep, caller: CallerDep, project_id: UUID, body: ResumeIn, if_match: IfMatch
) -> ProjectOut:
    """`suspended -> active`."""
    return show(await commands.resume(tx, caller, project_id, body, if_match), tx, caller)


@router.post(
    "/projects/{project_id}/complete", SIGNED_IN, by=PROJECT.who("complete"), refuses=PROJECT.codes("complete")
)
async def complete_project(
    tx: TxDep, caller: CallerDep, project_id: UUID, body: CompleteIn, if_match: IfMatch
) -> ProjectOut:
    """`active -> completed`."""
    return show(await commands.complete(tx, caller, project_id, body, if_match), tx, caller)


@router.post("/projects/{project_id}/close", SIGNED_IN, by=PROJECT.who("close"), refuses=PROJECT.codes("close"))
async def close_project(tx: TxDep, caller: CallerDep, project_id: UUID, body: Empty, if_match: IfMatch) -> ProjectOut:
    """`completed -> closed`."""
    del body
    return show(await commands.close(tx, caller, project_id, if_match), tx, caller)


@router.post("/projects/{project_id}/cancel", SIGNED_IN, by=PROJECT.who("cancel"), refuses=PROJECT.codes("cancel"))
async def cancel_project(
    tx: TxDep, caller: CallerDep, project_id: UUID, body: CancelIn, if_match: IfMatch
) -> ProjectOut:
    """End it without a result."""
    return show(await commands.cancel(tx, caller, project_id, body, if_match), tx, caller)


@router.get("/projects/{project_id}/totals", SIGNED_IN)
async def get_totals(tx: TxDep, caller: CallerDep, project_id: UUID) -> TotalsOut:
    """What was promised and given, per currency and per unit."""
    project = await projects.get_visible(tx, caller, project_id)
    given = await contributions.all_of(tx, project)
    totals = ledger.totals((contribution.row, contribution.deliveries) for contribution in given)
    return show_totals(totals).in_thread(project.row.correlation_id)


def show_totals(totals: ledger.Totals) -> TotalsOut:
    """The figures as text: money with its currency's decimals, quantities plain."""
    cash = [
        CashTotals(currency=code, **{name: amount_text(number, code) for name, number in asdict(figures).items()})
        for code, figures in totals.cash.items()
    ]
    in_kind = [
        InKindTotals(unit=unit, **{name: quantity_text(number) for name, number in asdict(figures).items()})
        for unit, figures in totals.in_kind.items()
    ]
    return TotalsOut(cash=cash, in_kind=in_kind)


def show(project: Project, tx: Tx, caller: Caller) -> ProjectOut:
    """The project as this caller sees it."""
    row, today = project.row, tx.clock.today()
    hats = project.hats(caller, today)
    return ProjectOut(
        **row.model_dump(include=set(ProjectOut.model_fields) - {"budget", "justification", "reason"}),
        modality=roles.modality(project.roles, today, row.completed_on),
        partners=_partners(project),
        budget=MoneyOrZero.model_validate(row.budget) if row.budget else None,
        justification=ReasonOut.model_validate(row.justification) if row.justification else None,
        reason=ReasonOut.model_validate(row.reason) if row.reason else None,
        actions=PROJECT.actions(row.status, project.facts(today), hats, can_sign=caller.can_sign),
    ).in_thread(row.correlation_id)


def _partners(project: Project) -> list[PartnerOut]:
    return [
        PartnerOut(
            institution_id=role.institution_id,
            name=name_of(project, role.institution_id),
            country=country_of(project, role.institution_id),
            role=role.role,
            from_=role.from_on,
            to=role.to_on,
        )
        for role in project.roles
    ]
