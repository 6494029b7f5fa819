"""Facilitating partners of a match."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query

from services.matching.commands import facilitators
from services.matching.domain.facilitators import LIFECYCLE as INVITATION
from services.matching.domain.facilitators import PRINCIPALS
from services.matching.schemas.matches import DeclineIn, InvitationIn, MatchOut, show
from services.matching.schemas.suggestions import FacilitatorSuggestionOut, FacilitatorSuggestionsOut
from services.matching.store import matches
from shared.api import CallerDep, Nothing, Router, RunningDep, TxDep
from shared.web.auth import SIGNED_IN
from shared.web.versions import IfMatch

router = Router("facilitators")


@router.get("/matches/{match_id}/facilitators/suggestions", SIGNED_IN)
async def suggest_facilitators(
    tx: TxDep, caller: CallerDep, running: RunningDep, match_id: UUID, limit: Annotated[int, Query(ge=1, le=50)] = 10
) -> FacilitatorSuggestionsOut:
    """Institutions that can bring the kinds, or the money, that the pair leaves uncovered; best first."""
    match = await matches.get_visible(tx, caller, match_id)
    found = await facilitators.suggest(tx, running.state["ranker"], match, limit)
    shown = FacilitatorSuggestionsOut(
        items=[
            FacilitatorSuggestionOut(
                institution_id=row.id, name=row.name, country=row.country, covers=list(f.covers), score=f.score
            )
            for row, f in found
        ]
    )
    return shown.about(match)


@router.post(
    "/matches/{match_id}/facilitators",
    SIGNED_IN,
    by=PRINCIPALS,
    status=201,
    refuses=("forbidden", "invalid_transition", "institution_not_verified", "institution_suspended"),
)
async def invite_facilitator(
    tx: TxDep, caller: CallerDep, match_id: UUID, body: InvitationIn, if_match: IfMatch
) -> MatchOut:
    """A principal invites an institution to the facilitating role of an accepted match."""
    invited = await facilitators.invite(tx, caller, match_id, body.institution_id, body.message, if_match)
    return show(invited, caller)


@router.post(
    "/matches/{match_id}/facilitators/{institution_id}/join",
    SIGNED_IN,
    by=INVITATION.who("join"),
    refuses=INVITATION.codes("join"),
)
async def join_match(
    tx: TxDep, caller: CallerDep, match_id: UUID, institution_id: UUID, body: Nothing, if_match: IfMatch
) -> MatchOut:
    """The invited institution joins."""
    del body
    return show(await facilitators.join(tx, caller, match_id, institution_id, if_match), caller)


@router.post(
    "/matches/{match_id}/facilitators/{institution_id}/decline",
    SIGNED_IN,
    by=INVITATION.who("decline"),
    refuses=INVITATION.codes("decline"),
)
async def decline_invitation(
    tx: TxDep, caller: CallerDep, match_id: UUID, institution_id: UUID, body: DeclineIn, if_match: IfMatch
) -> MatchOut:
    """The invited institution says no, with a reason."""
    declined = await facilitators.decline(
        tx, caller, match_id, institution_id, str(body.reason_code), body.text, if_match
    )
    return show(declined, caller)
