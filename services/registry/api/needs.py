"""Needs."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query

from services.registry.commands import needs as commands
from services.registry.domain.common import Standing
from services.registry.domain.needs import EDITS, LIFECYCLE
from services.registry.schemas.capabilities import WithdrawIn
from services.registry.schemas.common import JsonObject, OwnerOut, UpdatedSince, reason_out
from services.registry.schemas.needs import NeedFields, NeedIn, NeedOut
from services.registry.store import offers
from services.registry.tables import NeedRow
from shared.api import CallerDep, Nothing, Router, TxDep
from shared.reference.types import CountryCode, IsicCode, Title
from shared.reference.vocabulary import ResourceKind
from shared.web.auth import SIGNED_IN, Caller, only
from shared.web.paging import Page, Paging
from shared.web.versions import IfMatch

router = Router("needs")
Status = Literal["draft", "open", "engaged", "fulfilled", "withdrawn", "expired"]


@router.post(
    "/needs",
    only("owner", "editor", "operator"),
    status=201,
    refuses={"wrong_institution", "not_found", *LIFECYCLE.codes("post")},
)
async def create_need(tx: TxDep, caller: CallerDep, body: NeedIn) -> NeedOut:
    """Makes a draft, or posts it at once with `post: true`."""
    return _show(caller, await commands.create(tx, body))


@router.get("/needs", SIGNED_IN)
async def list_needs(  # noqa: PLR0913, PLR0917 (one parameter per filter)
    tx: TxDep,
    caller: CallerDep,
    paging: Paging,
    institution_id: UUID | None = None,
    status: Annotated[list[Status] | None, Query()] = None,
    country: CountryCode | None = None,
    isic: IsicCode | None = None,
    resource_kind: ResourceKind | None = None,
    q: Annotated[Title | None, Query(description="Words of title and problem")] = None,
    updated_since: UpdatedSince = None,
) -> Page[NeedOut]:
    """What was ever posted, and one's own drafts."""
    filters = offers.Filters(institution_id, status or (), country, isic, resource_kind, q, updated_since)
    found, after = await offers.page(tx, caller, NeedRow, filters, paging)
    return Page(items=[_show(caller, need) for need in found], next=after)


@router.get("/needs/{need_id}", SIGNED_IN)
async def get_need(tx: TxDep, caller: CallerDep, need_id: UUID) -> NeedOut:
    """One need."""
    return _show(caller, await offers.get_visible(tx, caller, NeedRow, need_id))


@router.patch("/needs/{need_id}", SIGNED_IN, by=EDITS.who("change"), refuses=EDITS.codes("change"), patches=NeedFields)
async def change_need(tx: TxDep, caller: CallerDep, need_id: UUID, body: JsonObject, if_match: IfMatch) -> NeedOut:
    """Changes a draft or an open need."""
    return _show(caller, await commands.change(tx, need_id, body, if_match))


@router.post("/needs/{need_id}/post", SIGNED_IN, by=LIFECYCLE.who("post"), refuses=LIFECYCLE.codes("post"))
async def post_need(
    tx: TxDep,
    caller: CallerDep,
    need_id: UUID,
    if_match: IfMatch,
    body: Nothing,  # noqa: ARG001 (refuses members)
) -> NeedOut:
    """Opens a draft for partners."""
    return _show(caller, await commands.post(tx, need_id, if_match))


@router.post("/needs/{need_id}/withdraw", SIGNED_IN, by=LIFECYCLE.who("withdraw"), refuses=LIFECYCLE.codes("withdraw"))
async def withdraw_need(tx: TxDep, caller: CallerDep, need_id: UUID, body: WithdrawIn, if_match: IfMatch) -> NeedOut:
    """Ends the search; open matches are withdrawn."""
    return _show(caller, await commands.withdraw(tx, need_id, body, if_match))


def _show(caller: Caller, need: commands.Need) -> NeedOut:
    row, institution = need.row, need.institution
    hats = caller.hats(owner=[row.institution_id])
    return NeedOut.model_validate(
        {
            **row.model_dump(),
            "institution": OwnerOut(id=institution.id, name=institution.name, country=institution.country),
            "reason": reason_out(row.reason_code, row.reason_text),
            "actions": LIFECYCLE.actions(
                row.status, Standing(institution.status == "suspended"), hats, can_sign=caller.can_sign
            ),
        }
    )
