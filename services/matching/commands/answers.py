"""Interest, acceptance and refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.matching.commands.moves import move, tell
from services.matching.domain.matches import (
    BENEFICIARY,
    LIFECYCLE,
    acceptance_expires,
    check_reason,
    reminder_due,
)
from services.matching.store import matches, needs, queue
from shared.events.matching import MatchAccepted, MatchDeclined, MatchInterestExpressed

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from services.matching.store.matches import Match
    from services.matching.tables import MatchRow
    from shared.messaging.transaction import Tx
    from shared.web.auth import Caller
    from shared.web.versions import Precondition


async def locked(tx: Tx, caller: Caller, match_id: UUID, action: str, if_match: Precondition) -> Match:
    """The match, held, once the caller may do this to it now: 404, 403, 428, 412, 409 in this order."""
    match = await matches.lock_visible(tx, caller, match_id)
    hats = match.hats(caller)
    LIFECYCLE.permit(action, hats, can_sign=caller.can_sign)
    if_match.check(match.row.version)
    LIFECYCLE.check(action, match.row.status, match.facts, hats, can_sign=caller.can_sign)
    return match


async def express_interest(
    tx: Tx, caller: Caller, match_id: UUID, message: str | None, if_match: Precondition
) -> Match:
    """One side would like to go on."""
    match = await locked(tx, caller, match_id, "express-interest", if_match)
    side = match.side(caller)
    matches.add_message(tx, match_id, side, message)
    interest(tx, match, side)
    return match


def interest(tx: Tx, match: Match, side: str) -> None:
    """A side of a match that is held is interested."""
    _answer(match.row, side, "interested", tx.now)
    move(match, "interested", tx.now)
    tell(tx, MatchInterestExpressed, match)


async def accept(tx: Tx, caller: Caller, match_id: UUID, if_match: Precondition) -> Match:
    """The beneficiary chooses this provider; both owners have thirty days to confirm."""
    match = await locked(tx, caller, match_id, "accept", if_match)
    row = match.row
    need = await needs.get(tx, row.need_id)
    assert need is not None  # noqa: S101 (a match is made from its need's row, which is never deleted)
    _answer(row, BENEFICIARY, "interested", tx.now)
    row.expires_at = acceptance_expires(tx.now, need.deadline)
    row.remind_at = reminder_due(tx.now, row.expires_at)
    move(match, "accepted", tx.now)
    tell(tx, MatchAccepted, match)
    return match


async def decline(tx: Tx, caller: Caller, match_id: UUID, code: str, text: str | None, if_match: Precondition) -> Match:
    """One side says no and why; the next eligible capability takes the place."""
    check_reason(code, text)
    match = await locked(tx, caller, match_id, "decline", if_match)
    _answer(match.row, match.side(caller), "declined", tx.now)
    match.row.reason_code, match.row.reason_text = code, text or None
    move(match, "declined", tx.now)
    tell(tx, MatchDeclined, match)
    await queue.need_changed(tx, match.row.need_id)
    return match


def _answer(row: MatchRow, side: str, answer: str, at: datetime) -> None:
    """What a side says, and when it first said anything."""
    if side == BENEFICIARY:
        if row.beneficiary_answer is None:
            row.beneficiary_answered_at = at
        row.beneficiary_answer = answer
    else:
        if row.provider_answer is None:
            row.provider_answered_at = at
        row.provider_answer = answer
