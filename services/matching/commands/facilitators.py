"""Facilitating partners: invited by a principal, joining or declining themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from services.matching.commands.moves import tell, touch
from services.matching.domain import matches as rules
from services.matching.domain.facilitators import INVITED, LIFECYCLE, PRINCIPALS, InvitationFacts
from services.matching.domain.formalising import SUSPENDED, VERIFIED
from services.matching.facts import need_facts
from services.matching.store import institutions, matches, needs
from services.matching.tables import FacilitatorRow, InstitutionRow
from shared.events.matching import FacilitatorDeclined, FacilitatorInvited, FacilitatorJoined
from shared.lifecycle import Invalid
from shared.web.problems import not_found, refuse

if TYPE_CHECKING:
    from services.matching.engine.facilitators import Facilitator
    from services.matching.ranking import Ranker
    from services.matching.store.matches import Match
    from shared.messaging.transaction import Tx
    from shared.web.auth import Caller
    from shared.web.versions import Precondition


async def invite(
    tx: Tx, caller: Caller, match_id: UUID, institution_id: UUID, message: str | None, if_match: Precondition
) -> Match:
    """A principal invites an institution to the facilitating role."""
    match = await matches.lock_visible(tx, caller, match_id)
    if not match.hats(caller) & PRINCIPALS:
        raise refuse("forbidden", "An owner or editor of one of the two sides invites facilitating partners.")
    if_match.check(match.row.version)
    institution = await _invitable(tx, match, institution_id)
    match.facilitators.append(_invitation(tx, match, institution))
    tx.session.add(match.facilitators[-1])
    matches.add_message(tx, match_id, match.side(caller), message)
    touch(match, tx.now)
    tell(tx, FacilitatorInvited, match)
    return match


async def _invitable(tx: Tx, match: Match, institution_id: UUID) -> InstitutionRow:
    """The institution, once nothing speaks against inviting it."""
    row = match.row
    if institution_id in (row.beneficiary_id, row.provider_id):
        raise Invalid("/institution_id", "A side of the match cannot be its facilitating partner too")
    institution = await institutions.get(tx, institution_id)
    if institution is None:
        raise Invalid("/institution_id", "There is no such institution", "unknown")
    if row.status != "accepted":
        raise rules.LIFECYCLE.invalid(
            "facilitators", row.status, [], f"The match is {row.status}; partners are invited while it is accepted."
        )
    if match.facilitator(institution_id) is not None:
        raise rules.LIFECYCLE.invalid("facilitators", row.status, [], "This institution has been invited already.")
    if institution.status == SUSPENDED:
        raise refuse("institution_suspended", f"{institution.name} is suspended.")
    if institution.status != VERIFIED:
        raise refuse("institution_not_verified", f"{institution.name} is not verified.")
    return institution


def _invitation(tx: Tx, match: Match, institution: InstitutionRow) -> FacilitatorRow:
    return FacilitatorRow(
        match_id=match.row.id,
        institution_id=institution.id,
        name=institution.name,
        country=institution.country,
        status=INVITED,
        invited_at=tx.now,
    )


async def join(tx: Tx, caller: Caller, match_id: UUID, institution_id: UUID, if_match: Precondition) -> Match:
    """The invited institution becomes the facilitating partner."""
    match, facilitator = await _invited(tx, caller, match_id, institution_id, "join", if_match)
    facilitator.status = "joined"
    touch(match, tx.now)
    tell(tx, FacilitatorJoined, match)
    return match


async def decline(
    tx: Tx, caller: Caller, match_id: UUID, institution_id: UUID, code: str, text: str | None, if_match: Precondition
) -> Match:
    """The invited institution says no and why; from then on it is no party."""
    rules.check_reason(code, text)
    match, facilitator = await _invited(tx, caller, match_id, institution_id, "decline", if_match)
    facilitator.status, facilitator.reason_code, facilitator.reason_text = "declined", code, text or None
    touch(match, tx.now)
    tell(tx, FacilitatorDeclined, match)
    return match


async def _invited(
    tx: Tx, caller: Caller, match_id: UUID, institution_id: UUID, action: str, if_match: Precondition
) -> tuple[Match, FacilitatorRow]:
    match = await matches.lock_visible(tx, caller, match_id)
    facilitator = match.facilitator(institution_id)
    if facilitator is None:
        raise not_found("invitation")
    hats = caller.hats(facilitator=[institution_id])
    LIFECYCLE.permit(action, hats, can_sign=caller.can_sign)
    if_match.check(match.row.version)
    LIFECYCLE.check(action, facilitator.status, InvitationFacts(match.row.status), hats, can_sign=caller.can_sign)
    return match, facilitator


async def suggest(tx: Tx, ranker: Ranker, match: Match, limit: int) -> list[tuple[InstitutionRow, Facilitator]]:
    """Institutions that can bring what the pair leaves uncovered, best first."""
    need = await needs.get(tx, match.row.need_id)
    capability_id = str(match.row.capability_id)
    if need is None:
        return []
    found = await ranker.facilitators(need_facts(need), capability_id, tx.clock.today(), limit)
    rows = {str(i): row for i, row in (await institutions.some(tx, [UUID(f.institution_id) for f in found])).items()}
    return [(rows[f.institution_id], f) for f in found if f.institution_id in rows]
