"""Matches: the list, one match, its explanation, and the answers of both sides."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query

from services.matching.commands import answers, direct, formalise
from services.matching.domain import formalising
from services.matching.domain.matches import LIFECYCLE
from services.matching.schemas import explanations
from services.matching.schemas.explanations import ExplanationOut
from services.matching.schemas.matches import (
    DeclineIn,
    DirectIn,
    InterestIn,
    MatchDetail,
    MatchOut,
    MatchPage,
    NeedMatchPage,
    NeedSeen,
    Status,
    show,
    show_whole,
)
from services.matching.store import matches, needs
from shared.api import CallerDep, Nothing, Router, RunningDep, TxDep
from shared.reference.types import UtcDateTime
from shared.web.auth import SIGNED_IN, only
from shared.web.paging import Paging
from shared.web.versions import IfMatch

router = Router("matches")


@router.get("/matches", SIGNED_IN)
async def list_matches(
    tx: TxDep,
    caller: CallerDep,
    paging: Paging,
    need_id: UUID | None = None,
    capability_id: UUID | None = None,
    status: Annotated[list[Status] | None, Query()] = None,
    updated_since: UtcDateTime | None = None,
) -> NeedMatchPage | MatchPage:
    """Matches the caller may see; those of a need open ones first by rank, with how far matching is with it."""
    wanted = matches.Wanted(need_id, capability_id, tuple(status or ()), updated_since)
    # read before the matches, so that a version that is shown as seen never lacks its proposals
    need = await needs.get(tx, need_id) if need_id else None
    found, after = await matches.page_visible(tx, caller, wanted, paging)
    items = [show(match, caller) for match in found]
    if need_id is None:
        return MatchPage(items=items, next=after)
    seen = NeedSeen(id=need_id, version_seen=need.version_seen if need else None)
    return NeedMatchPage(items=items, next=after, need=seen)


@router.post(
    "/matches",
    only("owner", "editor", "operator"),
    status=201,
    refuses=(
        "wrong_institution",
        "not_eligible",
        "need_not_open",
        "need_already_engaged",
        "institution_suspended",
        "invalid_transition",
    ),
)
async def match_directly(tx: TxDep, caller: CallerDep, running: RunningDep, body: DirectIn) -> MatchOut:
    """One side names the other, or an operator both; also how a decline by mistake is undone.

    Hard rules hold, except that a pair is left alone after a decline. The side that names the other is interested.
    """
    pair, why = (body.need_id, body.capability_id), (str(body.justification_code), body.text or None)
    return show(await direct.propose_directly(tx, running.state["ranker"], caller, pair, why), caller)


@router.get("/matches/{match_id}", SIGNED_IN)
async def get_match(tx: TxDep, caller: CallerDep, match_id: UUID) -> MatchDetail:
    """One match with what its sides wrote."""
    match = await matches.get_visible(tx, caller, match_id)
    return show_whole(match, caller, await matches.newest_messages(tx, match_id) if match.hears(caller) else [])


@router.get("/matches/{match_id}/explanation", SIGNED_IN)
async def explain_match(tx: TxDep, caller: CallerDep, match_id: UUID, *, recompute: bool = False) -> ExplanationOut:
    """Why it was proposed with this score; `recompute` works the score out again from what was stored."""
    match = await matches.get_visible(tx, caller, match_id)
    return explanations.show(match, await matches.explanation(tx, match_id), again=recompute)


@router.post(
    "/matches/{match_id}/express-interest",
    SIGNED_IN,
    by=LIFECYCLE.who("express-interest"),
    refuses=LIFECYCLE.codes("express-interest"),
)
async def express_interest(
    tx: TxDep, caller: CallerDep, match_id: UUID, body: InterestIn, if_match: IfMatch
) -> MatchOut:
    """Either side, once: it would like to go on."""
    return show(await answers.express_interest(tx, caller, match_id, body.message, if_match), caller)


@router.post("/matches/{match_id}/accept", SIGNED_IN, by=LIFECYCLE.who("accept"), refuses=LIFECYCLE.codes("accept"))
async def accept_match(tx: TxDep, caller: CallerDep, match_id: UUID, body: Nothing, if_match: IfMatch) -> MatchOut:
    """The beneficiary chooses this provider, after the provider's interest."""
    del body
    return show(await answers.accept(tx, caller, match_id, if_match), caller)


@router.post("/matches/{match_id}/decline", SIGNED_IN, by=LIFECYCLE.who("decline"), refuses=LIFECYCLE.codes("decline"))
async def decline_match(tx: TxDep, caller: CallerDep, match_id: UUID, body: DeclineIn, if_match: IfMatch) -> MatchOut:
    """Either side says no, with a reason."""
    return show(await answers.decline(tx, caller, match_id, str(body.reason_code), body.text, if_match), caller)


@router.post(
    "/matches/{match_id}/formalise",
    SIGNED_IN,
    by=LIFECYCLE.who("formalise"),
    refuses=LIFECYCLE.codes("formalise") | formalising.CODES,
)
async def formalise_match(tx: TxDep, caller: CallerDep, match_id: UUID, body: Nothing, if_match: IfMatch) -> MatchOut:
    """The owner of each side confirms; the second confirmation takes the place and names the project."""
    del body
    return show(await formalise.formalise(tx, caller, match_id, if_match), caller)
