"""Rounds: free places allocated over all open needs at once, compared with first come, approved by an operator."""

from __future__ import annotations

from uuid import UUID

from services.matching.commands import rounds as commands
from services.matching.domain.rounds import LIFECYCLE
from services.matching.schemas.rounds import PairOut, RoundIn, RoundOut, show, show_pair
from services.matching.store import rounds
from shared.api import CallerDep, Nothing, Router, TxDep
from shared.web.auth import only
from shared.web.paging import Page, Paging
from shared.web.versions import IfMatch

router = Router("rounds")
STAFF = only("operator", "verifier")


@router.post("/rounds", only("operator"), status=201)
async def open_round(tx: TxDep, caller: CallerDep, body: RoundIn) -> RoundOut:
    """Orders a round; it is worked out in the background and shows `proposed` then."""
    return show(await commands.open_round(tx, body.note), caller)


@router.get("/rounds", STAFF)
async def list_rounds(tx: TxDep, caller: CallerDep, paging: Paging) -> Page[RoundOut]:
    """All rounds, newest first."""
    found, after = await rounds.page_of(tx, paging)
    return Page[RoundOut](items=[show(row, caller) for row in found], next=after)


@router.get("/rounds/{round_id}", STAFF)
async def get_round(tx: TxDep, caller: CallerDep, round_id: UUID) -> RoundOut:
    """One round with its figures."""
    return show(await rounds.get(tx, round_id), caller)


@router.get("/rounds/{round_id}/pairs", STAFF)
async def list_pairs(tx: TxDep, round_id: UUID, paging: Paging) -> Page[PairOut]:
    """The places that the round gives."""
    await rounds.get(tx, round_id)
    found, after = await rounds.page_of_pairs(tx, round_id, paging)
    return Page[PairOut](items=[show_pair(row) for row in found], next=after)


@router.post(
    "/rounds/{round_id}/approve", only("operator"), by=LIFECYCLE.who("approve"), refuses=LIFECYCLE.codes("approve")
)
async def approve_round(tx: TxDep, caller: CallerDep, round_id: UUID, body: Nothing, if_match: IfMatch) -> RoundOut:
    """Its pairs become matches, as far as nothing has changed since; it is `completed` when all are done."""
    del body
    return show(await commands.decide(tx, caller, round_id, "approve", if_match), caller)


@router.post(
    "/rounds/{round_id}/discard", only("operator"), by=LIFECYCLE.who("discard"), refuses=LIFECYCLE.codes("discard")
)
async def discard_round(tx: TxDep, caller: CallerDep, round_id: UUID, body: Nothing, if_match: IfMatch) -> RoundOut:
    """Nothing comes of it."""
    del body
    return show(await commands.decide(tx, caller, round_id, "discard", if_match), caller)
