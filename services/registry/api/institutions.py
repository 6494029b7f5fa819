"""Institutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query

from services.registry.commands import institutions as commands
from services.registry.domain.institutions import EDITS, LIFECYCLE, south_on
from services.registry.schemas.common import JsonObject, UpdatedSince, reason_out
from services.registry.schemas.institutions import InstitutionIn, InstitutionOut, ReinstateIn, SuspendIn
from services.registry.store import institutions as store
from services.registry.tables import InstitutionRow
from shared.api import CallerDep, Router, TxDep
from shared.lifecycle import Invalid
from shared.messaging.transaction import Tx
from shared.reference.countries import is_south
from shared.reference.types import CountryCode, Title
from shared.reference.vocabulary import InstitutionType
from shared.web.auth import SIGNED_IN, Caller, only
from shared.web.paging import Page, Paging
from shared.web.versions import IfMatch

router = Router("institutions")
Status = Literal["registered", "verified", "suspended"]


@router.post("/institutions", only("operator"), status=201, refuses=("duplicate_institution",))
async def register_institution(
    tx: TxDep,
    caller: CallerDep,
    body: InstitutionIn,
    force: Annotated[bool, Query(description="Register it although a similar one exists")] = False,
) -> InstitutionOut:
    """Registers an institution, unless it seems to be there already."""
    return await _show(tx, caller, await commands.register(tx, body, force=force))


@router.get("/institutions", SIGNED_IN)
async def list_institutions(  # noqa: PLR0913, PLR0917 (one parameter per filter)
    tx: TxDep,
    caller: CallerDep,
    paging: Paging,
    country: CountryCode | None = None,
    type: InstitutionType | None = None,  # noqa: A002 (the contract's name)
    status: Annotated[list[Status] | None, Query()] = None,
    external_id: Annotated[str | None, Query(description="scheme:value")] = None,
    q: Annotated[Title | None, Query(description="Words of its names")] = None,
    parent_id: UUID | None = None,
    updated_since: UpdatedSince = None,
) -> Page[InstitutionOut]:
    """Institutions that fit all filters."""
    filters = store.Filters(country, type, status or (), _external_id(external_id), q, parent_id, updated_since)
    found, after = await store.page(tx, filters, paging)
    return Page(items=await show_all(tx, caller, found), next=after)


@router.get("/institutions/{institution_id}", SIGNED_IN)
async def get_institution(tx: TxDep, caller: CallerDep, institution_id: UUID) -> InstitutionOut:
    """One institution."""
    return await _show(tx, caller, await store.get(tx, institution_id))


@router.patch(
    "/institutions/{institution_id}",
    SIGNED_IN,
    refuses={"duplicate_institution", *EDITS.codes("change")},
    patches=InstitutionIn,
)
async def change_institution(
    tx: TxDep, caller: CallerDep, institution_id: UUID, body: JsonObject, if_match: IfMatch
) -> InstitutionOut:
    """Changes its profile; another name, country or external id ends its verification."""
    return await _show(tx, caller, await commands.change(tx, institution_id, body, if_match))


@router.post("/institutions/{institution_id}/suspend", SIGNED_IN, refuses=LIFECYCLE.codes("suspend"))
async def suspend_institution(
    tx: TxDep, caller: CallerDep, institution_id: UUID, body: SuspendIn, if_match: IfMatch
) -> InstitutionOut:
    """Takes it out of the exchange until it is reinstated."""
    return await _show(tx, caller, await commands.suspend(tx, institution_id, body, if_match))


@router.post("/institutions/{institution_id}/reinstate", SIGNED_IN, refuses=LIFECYCLE.codes("reinstate"))
async def reinstate_institution(
    tx: TxDep, caller: CallerDep, institution_id: UUID, body: ReinstateIn, if_match: IfMatch
) -> InstitutionOut:
    """Back to the state before its suspension."""
    return await _show(tx, caller, await commands.reinstate(tx, institution_id, body, if_match))


def _external_id(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    scheme, colon, value = text.partition(":")
    if not (scheme and colon and value):
        raise Invalid("?external_id", "Must be scheme:value, such as ET-MOT:LIDI-001")
    return scheme, value


async def _show(tx: Tx, caller: Caller, row: InstitutionRow) -> InstitutionOut:
    return (await show_all(tx, caller, [row]))[0]


async def show_all(tx: Tx, caller: Caller, rows: Sequence[InstitutionRow]) -> list[InstitutionOut]:
    """The answers for this caller: with the contacts he may see, and no others."""
    disclosed = await store.disclosed(tx, caller, [row.id for row in rows])
    return [_answer(tx, caller, row, with_contact=row.id in disclosed) for row in rows]


def _answer(tx: Tx, caller: Caller, row: InstitutionRow, *, with_contact: bool) -> InstitutionOut:
    insider = caller.is_staff or caller.institution_id == row.id
    return InstitutionOut.model_validate(
        {
            **row.model_dump(),
            "south": south_on(row.country, tx.clock.today(), is_south),
            "contact": row.contact if with_contact else None,
            "reason": reason_out(row.reason_code, row.reason_text if insider else None),
            "actions": LIFECYCLE.actions(row.status, None, caller.hats(owner=[row.id]), can_sign=caller.can_sign),
        }
    )
