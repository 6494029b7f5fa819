"""Capabilities."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query

from services.registry.commands import capabilities as commands
from services.registry.domain.capabilities import EDITS, LIFECYCLE
from services.registry.domain.common import Standing
from services.registry.schemas.capabilities import CapabilityFields, CapabilityIn, CapabilityOut, RenewIn, WithdrawIn
from services.registry.schemas.common import JsonObject, OwnerOut, UpdatedSince, reason_out
from services.registry.store import engagements, offers
from services.registry.tables import CapabilityRow
from shared.api import CallerDep, Nothing, Router, TxDep
from shared.messaging.transaction import Tx
from shared.reference.types import CountryCode, IsicCode, Title
from shared.reference.vocabulary import ResourceKind
from shared.web.auth import SIGNED_IN, Caller, only
from shared.web.paging import Page, Paging
from shared.web.versions import IfMatch

router = Router("capabilities")
Status = Literal["draft", "published", "withdrawn", "expired"]


@router.post(
    "/capabilities",
    only("owner", "editor", "operator"),
    status=201,
    refuses={"wrong_institution", "not_found", *LIFECYCLE.codes("publish")},
)
async def create_capability(tx: TxDep, caller: CallerDep, body: CapabilityIn) -> CapabilityOut:
    """Makes a draft, or publishes it at once with `publish: true`."""
    return _answer(caller, await commands.create(tx, body), 0)


@router.get("/capabilities", SIGNED_IN)
async def list_capabilities(  # noqa: PLR0913, PLR0917 (one parameter per filter)
    tx: TxDep,
    caller: CallerDep,
    paging: Paging,
    institution_id: UUID | None = None,
    status: Annotated[list[Status] | None, Query()] = None,
    country: Annotated[CountryCode | None, Query(description="Of its institution")] = None,
    isic: IsicCode | None = None,
    resource_kind: ResourceKind | None = None,
    q: Annotated[Title | None, Query(description="Words of title and summary")] = None,
    updated_since: UpdatedSince = None,
) -> Page[CapabilityOut]:
    """What was ever published, and one's own drafts."""
    filters = offers.Filters(institution_id, status or (), country, isic, resource_kind, q, updated_since)
    found, after = await offers.page(tx, caller, CapabilityRow, filters, paging)
    engaged = await engagements.engaged(tx, [capability.row.id for capability in found])
    return Page(items=[_answer(caller, c, engaged.get(c.row.id, 0)) for c in found], next=after)


@router.get("/capabilities/{capability_id}", SIGNED_IN)
async def get_capability(tx: TxDep, caller: CallerDep, capability_id: UUID) -> CapabilityOut:
    """One capability."""
    return await _show(tx, caller, await offers.get_visible(tx, caller, CapabilityRow, capability_id))


@router.patch(
    "/capabilities/{capability_id}",
    SIGNED_IN,
    by=EDITS.who("change"),
    refuses=EDITS.codes("change"),
    patches=CapabilityFields,
)
async def change_capability(
    tx: TxDep, caller: CallerDep, capability_id: UUID, body: JsonObject, if_match: IfMatch
) -> CapabilityOut:
    """Changes a draft or a published capability."""
    return await _show(tx, caller, await commands.change(tx, capability_id, body, if_match))


@router.post(
    "/capabilities/{capability_id}/publish", SIGNED_IN, by=LIFECYCLE.who("publish"), refuses=LIFECYCLE.codes("publish")
)
async def publish_capability(
    tx: TxDep,
    caller: CallerDep,
    capability_id: UUID,
    if_match: IfMatch,
    body: Nothing,  # noqa: ARG001 (refuses members)
) -> CapabilityOut:
    """Offers a draft to all."""
    return await _show(tx, caller, await commands.publish(tx, capability_id, if_match))


@router.post(
    "/capabilities/{capability_id}/withdraw",
    SIGNED_IN,
    by=LIFECYCLE.who("withdraw"),
    refuses=LIFECYCLE.codes("withdraw"),
)
async def withdraw_capability(
    tx: TxDep, caller: CallerDep, capability_id: UUID, body: WithdrawIn, if_match: IfMatch
) -> CapabilityOut:
    """Ends the offer; what is engaged goes on."""
    return await _show(tx, caller, await commands.withdraw(tx, capability_id, body, if_match))


@router.post(
    "/capabilities/{capability_id}/renew", SIGNED_IN, by=LIFECYCLE.who("renew"), refuses=LIFECYCLE.codes("renew")
)
async def renew_capability(
    tx: TxDep, caller: CallerDep, capability_id: UUID, body: RenewIn, if_match: IfMatch
) -> CapabilityOut:
    """Says that it is still true, until the given day."""
    return await _show(tx, caller, await commands.renew(tx, capability_id, body, if_match))


async def _show(tx: Tx, caller: Caller, capability: commands.Capability) -> CapabilityOut:
    engaged = await engagements.engaged(tx, [capability.row.id])
    return _answer(caller, capability, engaged.get(capability.row.id, 0))


def _answer(caller: Caller, capability: commands.Capability, engaged: int) -> CapabilityOut:
    row, institution = capability.row, capability.institution
    hats = caller.hats(owner=[row.institution_id])
    return CapabilityOut.model_validate(
        {
            **row.model_dump(),
            "institution": OwnerOut(id=institution.id, name=institution.name, country=institution.country),
            "engaged": engaged,
            "reason": reason_out(row.reason_code, row.reason_text),
            "actions": LIFECYCLE.actions(
                row.status, Standing(institution.status == "suspended"), hats, can_sign=caller.can_sign
            ),
        }
    )
