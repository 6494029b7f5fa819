"""Centres."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query

from services.registry.commands import places as commands
from services.registry.domain.centres import STEPS
from services.registry.schemas.centres import CentreOut, CentreStatusIn
from services.registry.states import latest
from services.registry.store import places as store
from services.registry.tables import CentreRow
from shared.api import CallerDep, Router, TxDep
from shared.reference.types import CountryCode
from shared.reference.vocabulary import CentreKind, CentreStatus
from shared.web.auth import SIGNED_IN, Caller, only
from shared.web.paging import Page, Paging
from shared.web.versions import IfMatch

router = Router("centres")


@router.get("/centres", SIGNED_IN)
async def list_centres(
    tx: TxDep,
    caller: CallerDep,
    paging: Paging,
    kind: CentreKind | None = None,
    status: Annotated[list[CentreStatus] | None, Query()] = None,
    host_country: CountryCode | None = None,
) -> Page[CentreOut]:
    """Centres of excellence and of South-South industrial cooperation."""
    found, after = await store.centres(tx, kind, status or (), host_country, paging)
    return Page(items=[_show(caller, row) for row in found], next=after)


@router.get("/centres/{centre_id}", SIGNED_IN)
async def get_centre(tx: TxDep, caller: CallerDep, centre_id: UUID) -> CentreOut:
    """One centre with its dated history."""
    return _show(caller, await store.centre(tx, centre_id))


@router.post("/centres/{centre_id}/change-status", only("operator"), refuses=("invalid_transition",))
async def change_centre_status(
    tx: TxDep, caller: CallerDep, centre_id: UUID, body: CentreStatusIn, if_match: IfMatch
) -> CentreOut:
    """The next step of its life, dated and with a source."""
    return _show(caller, await commands.change_centre_status(tx, centre_id, body, if_match))


def _show(caller: Caller, row: CentreRow) -> CentreOut:
    actions = ["change-status"] if caller.is_operator and STEPS[row.status] else []
    return CentreOut.model_validate({**row.model_dump(), **latest(row), "actions": actions})
