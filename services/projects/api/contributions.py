"""Contributions and their deliveries."""

from __future__ import annotations

from uuid import UUID

from services.projects.commands import contributions as commands
from services.projects.domain.contributions import CONTRIBUTION
from services.projects.domain.projects import WORK
from services.projects.schemas.common import Empty, ReasonOut, ThreadPage
from services.projects.schemas.contributions import (
    ConfirmIn,
    ContributionIn,
    ContributionOut,
    DeliverIn,
    DeliveryOut,
    DisputeIn,
)
from services.projects.store import contributions, projects
from services.projects.store.contributions import Contribution
from services.projects.tables import DeliveryRow
from shared.api import CallerDep, Router, TxDep
from shared.reference.types import MoneyOrZero, amount_text
from shared.web.auth import SIGNED_IN, Caller
from shared.web.paging import Paging
from shared.web.versions import IfMatch

router = Router("contributions")


@router.post(
    "/projects/{project_id}/contributions",
    SIGNED_IN,
    by=WORK.who("contributions"),
    status=201,
    refuses=WORK.codes("contributions"),
)
async def pledge_contribution(tx: TxDep, caller: CallerDep, project_id: UUID, body: ContributionIn) -> ContributionOut:
    """Pledge something to another partner."""
    return show(await commands.pledge(tx, caller, project_id, body), caller)


@router.get("/projects/{project_id}/contributions", SIGNED_IN)
async def list_contributions(
    tx: TxDep, caller: CallerDep, project_id: UUID, paging: Paging
) -> ThreadPage[ContributionOut]:
    """The contributions of a project, newest first."""
    project = await projects.get_visible(tx, caller, project_id)
    found, following = await contributions.page_of(tx, project, paging)
    items = [show(contribution, caller) for contribution in found]
    return ThreadPage[ContributionOut](items=items, next=following).in_thread(project.row.correlation_id)


@router.get("/contributions/{contribution_id}", SIGNED_IN)
async def get_contribution(tx: TxDep, caller: CallerDep, contribution_id: UUID) -> ContributionOut:
    """One contribution."""
    return show(await contributions.get_visible(tx, caller, contribution_id), caller)


@router.post(
    "/contributions/{contribution_id}/commit",
    SIGNED_IN,
    by=CONTRIBUTION.who("commit"),
    refuses=CONTRIBUTION.codes("commit"),
)
async def commit_contribution(
    tx: TxDep, caller: CallerDep, contribution_id: UUID, body: Empty, if_match: IfMatch
) -> ContributionOut:
    """`pledged -> committed`."""
    del body
    return show(await commands.commit(tx, caller, contribution_id, if_match), caller)


@router.post(
    "/contributions/{contribution_id}/deliver",
    SIGNED_IN,
    by=CONTRIBUTION.who("deliver"),
    refuses=CONTRIBUTION.codes("deliver"),
)
async def deliver_contribution(
    tx: TxDep, caller: CallerDep, contribution_id: UUID, body: DeliverIn, if_match: IfMatch
) -> ContributionOut:
    """Report a part as delivered, or all that remains."""
    return show(await commands.deliver(tx, caller, contribution_id, body, if_match), caller)


@router.post(
    "/contributions/{contribution_id}/confirm",
    SIGNED_IN,
    by=CONTRIBUTION.who("confirm"),
    refuses=CONTRIBUTION.codes("confirm"),
)
async def confirm_contribution(
    tx: TxDep, caller: CallerDep, contribution_id: UUID, body: ConfirmIn, if_match: IfMatch
) -> ContributionOut:
    """Confirm the receipt of one delivery, or of all that wait."""
    return show(await commands.confirm(tx, caller, contribution_id, body, if_match), caller)


@router.post(
    "/contributions/{contribution_id}/dispute",
    SIGNED_IN,
    by=CONTRIBUTION.who("dispute"),
    refuses=CONTRIBUTION.codes("dispute"),
)
async def dispute_contribution(
    tx: TxDep, caller: CallerDep, contribution_id: UUID, body: DisputeIn, if_match: IfMatch
) -> ContributionOut:
    """Say that a delivery did not arrive as reported."""
    return show(await commands.dispute(tx, caller, contribution_id, body, if_match), caller)


def show(contribution: Contribution, caller: Caller) -> ContributionOut:
    """The contribution as this caller sees it."""
    row = contribution.row
    facts, hats = commands.facts_of(contribution), commands.hats_of(contribution, caller)
    return ContributionOut(
        **row.model_dump(exclude={"amount", "currency", "updated_at"}),
        value=MoneyOrZero(amount=row.amount, currency=row.currency)
        if row.amount is not None and row.currency
        else None,
        deliveries=[_delivery(delivery, row.currency) for delivery in contribution.deliveries],
        actions=CONTRIBUTION.actions(row.status, facts, hats, can_sign=caller.can_sign),
    ).in_thread(contribution.project.row.correlation_id)


def _delivery(row: DeliveryRow, currency: str | None) -> DeliveryOut:
    return DeliveryOut(
        id=row.id,
        quantity=row.quantity,
        amount=amount_text(row.amount, currency) if row.amount is not None and currency else None,
        delivered_on=row.delivered_on,
        status=row.status,
        reason=ReasonOut.model_validate(row.reason) if row.reason else None,
    )
