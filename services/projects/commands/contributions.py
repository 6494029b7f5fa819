"""Contributions are pledged, committed, delivered in parts, and confirmed or disputed."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

from services.projects.commands.common import admit, changed
from services.projects.domain import contributions as rules
from services.projects.domain import roles
from services.projects.domain.contributions import CONTRIBUTION, ContributionFacts
from services.projects.domain.projects import WORK, check_not_future, check_reason
from services.projects.schemas.contributions import ConfirmIn, ContributionIn, DeliverIn, DisputeIn
from services.projects.states import contribution_state
from services.projects.store import contributions, projects
from services.projects.store.contributions import Contribution
from services.projects.tables import ContributionRow, DeliveryRow
from shared.events.projects import (
    ContributionCommitted,
    ContributionConfirmed,
    ContributionDelivered,
    ContributionDisputed,
    ContributionEvent,
    ContributionPledged,
)
from shared.lifecycle import Invalid
from shared.messaging.transaction import Tx
from shared.ops.ids import new_id
from shared.reference import currencies
from shared.reference.types import amount_text
from shared.web.auth import Caller
from shared.web.versions import ANY_VERSION, Precondition


def facts_of(contribution: Contribution) -> ContributionFacts:
    """What the steps of a contribution depend on."""
    return rules.facts_of(contribution.project.row.status, contribution.deliveries)


def hats_of(contribution: Contribution, caller: Caller) -> frozenset[str]:
    """The caller's parts in a contribution."""
    return caller.hats(giver=[contribution.row.giver_id], receiver=[contribution.row.receiver_id])


async def pledge(tx: Tx, caller: Caller, project_id: UUID, body: ContributionIn) -> Contribution:
    """The caller's institution promises something to another partner."""
    project = await projects.lock_visible(tx, caller, project_id)
    today = tx.clock.today()
    admit(WORK, "contributions", project.row, None, project.hats(caller, today), caller, ANY_VERSION)
    giver = caller.acting_institution(None)
    rules.check_receiver(giver, body.receiver_id, roles.standing(project.roles, today))
    row = ContributionRow(
        id=new_id(),
        project_id=project_id,
        status="pledged",
        giver_id=giver,
        amount=body.value.amount if body.value else None,
        currency=body.value.currency if body.value else None,
        updated_at=tx.now,
        **body.model_dump(exclude={"value"}),
    )
    tx.session.add(row)
    return _tell(tx, Contribution(row, [], project), ContributionPledged)


async def commit(tx: Tx, caller: Caller, contribution_id: UUID, if_match: Precondition) -> Contribution:
    """The giver binds itself."""
    contribution = await contributions.lock_visible(tx, caller, contribution_id)
    changed(tx, contribution.row, _step(contribution, "commit", caller, if_match))
    return _tell(tx, contribution, ContributionCommitted)


async def deliver(
    tx: Tx, caller: Caller, contribution_id: UUID, body: DeliverIn, if_match: Precondition
) -> Contribution:
    """The giver delivered a part, or all that remained."""
    contribution = await contributions.lock_visible(tx, caller, contribution_id)
    _step(contribution, "deliver", caller, if_match)
    delivered_on = body.delivered_on or tx.clock.today()
    check_not_future(delivered_on, tx.clock.today(), "/delivered_on")
    _check_amount(body.amount, contribution.row.currency)
    part = rules.part_to_deliver(contribution.row, contribution.deliveries, body.quantity, body.amount)
    delivery = _delivery(contribution, part, delivered_on)
    tx.session.add(delivery)
    contribution.deliveries.append(delivery)
    return _judged(tx, contribution, ContributionDelivered)


def _check_amount(amount: Decimal | None, currency: str | None) -> None:
    if amount is None or currency is None:
        return
    if not amount:
        raise Invalid("/amount", "Must be more than 0", "amount_not_positive")
    if amount != round(amount, currencies.decimals(currency)):
        raise Invalid("/amount", f"Has more decimals than {currency}", "amount_too_precise")


def _delivery(contribution: Contribution, part: Decimal, delivered_on: date) -> DeliveryRow:
    row = contribution.row
    cash = row.kind == "cash"
    return DeliveryRow(
        id=new_id(),
        contribution_id=row.id,
        position=len(contribution.deliveries),
        quantity=None if cash else part,
        amount=Decimal(amount_text(part, row.currency)) if cash and row.currency else None,
        delivered_on=delivered_on,
        status="delivered",
    )


async def confirm(
    tx: Tx, caller: Caller, contribution_id: UUID, body: ConfirmIn, if_match: Precondition
) -> Contribution:
    """The receiver got it: one delivery, or all that wait."""
    contribution = await contributions.lock_visible(tx, caller, contribution_id)
    _step(contribution, "confirm", caller, if_match)
    for delivery in rules.to_confirm(contribution.row, contribution.deliveries, body.delivery_id):
        delivery.status, delivery.reason = "confirmed", None
    return _judged(tx, contribution, ContributionConfirmed)


async def dispute(
    tx: Tx, caller: Caller, contribution_id: UUID, body: DisputeIn, if_match: Precondition
) -> Contribution:
    """The receiver says no to a delivery, with a reason; it no longer counts as delivered."""
    contribution = await contributions.lock_visible(tx, caller, contribution_id)
    _step(contribution, "dispute", caller, if_match)
    delivery = rules.to_dispute(contribution.row, contribution.deliveries, body.delivery_id)
    delivery.status, delivery.reason = "disputed", check_reason(body.reason_code, body.text)
    return _judged(tx, contribution, ContributionDisputed)


def _step(contribution: Contribution, action: str, caller: Caller, if_match: Precondition) -> str | None:
    hats = hats_of(contribution, caller)
    return admit(CONTRIBUTION, action, contribution.row, facts_of(contribution), hats, caller, if_match).target


def _judged(tx: Tx, contribution: Contribution, event: type[ContributionEvent]) -> Contribution:
    changed(tx, contribution.row, rules.status_after(contribution.row, contribution.deliveries))
    return _tell(tx, contribution, event)


def _tell(tx: Tx, contribution: Contribution, event: type[ContributionEvent]) -> Contribution:
    thread = contribution.project.row.correlation_id
    tx.publish(event(contribution=contribution_state(contribution), by=tx.by), correlation=thread)
    return contribution
