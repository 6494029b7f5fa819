"""What the parties of a match write to each other, and questions that make a need clearer for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.matching.commands.moves import tell
from services.matching.domain.conversing import ASKERS, QUESTION, SPEAKING, TALKING, WRITERS, question_status
from services.matching.domain.matches import FACILITATOR, LIFECYCLE
from services.matching.store import matches, needs, questions
from services.matching.tables import MessageRow, QuestionRow
from shared.events.matching import MatchMessageSent, MatchQuestionAnswered, MatchQuestionAsked
from shared.ops.ids import new_id
from shared.web.problems import refuse

if TYPE_CHECKING:
    from uuid import UUID

    from services.matching.store.matches import Match
    from shared.messaging.transaction import Tx
    from shared.web.auth import Caller
    from shared.web.versions import Precondition


async def write(tx: Tx, caller: Caller, match_id: UUID, text: str) -> MessageRow:
    """A message to all other parties, who are told that there is one."""
    match, side = await _talking(tx, caller, match_id, "messages", WRITERS)
    row = MessageRow(id=new_id(), match_id=match_id, side=side, text=text, at=tx.now)
    tx.session.add(row)
    tell(tx, MatchMessageSent, match)
    return row


async def ask(tx: Tx, caller: Caller, match_id: UUID, text: str) -> QuestionRow:
    """A question on the match's need; the beneficiary is told."""
    match, _ = await _talking(tx, caller, match_id, "questions", ASKERS)
    assert caller.institution_id is not None  # noqa: S101 (it has a hat of an institution)
    row = QuestionRow(
        id=new_id(),
        need_id=match.row.need_id,
        match_id=match_id,
        asker_id=caller.institution_id,
        beneficiary_id=match.row.beneficiary_id,
        text=text,
        asked_at=tx.now,
    )
    tx.session.add(row)
    tell(tx, MatchQuestionAsked, match)
    return row


async def answer(tx: Tx, caller: Caller, question_id: UUID, text: str, if_match: Precondition) -> QuestionRow:
    """The beneficiary answers once; the parties of all matches of the need that are not closed are told."""
    seen = await questions.get_visible(tx, caller, question_id)
    hats = caller.hats(beneficiary=[seen.beneficiary_id])
    QUESTION.permit("answer", hats, can_sign=caller.can_sign)
    await needs.lock(tx, seen.need_id)
    row = await questions.lock(tx, question_id)
    if_match.check(row.version)
    QUESTION.check("answer", question_status(row.answer), None, hats, can_sign=caller.can_sign)
    row.answer, row.answered_at, row.version = text, tx.now, row.version + 1
    for match in await matches.lock_talking(tx, row.need_id):
        tell(tx, MatchQuestionAnswered, match)
    return row


async def _talking(tx: Tx, caller: Caller, match_id: UUID, what: str, writers: frozenset[str]) -> tuple[Match, str]:
    """The match, held, and the side on which the caller speaks; 404, 403 and 409 in this order."""
    match = await matches.lock_visible(tx, caller, match_id)
    hats = match.hats(caller)
    if not hats & writers:
        raise refuse("forbidden", "Owners and editors of the parties write here.")
    if match.row.status not in TALKING:
        raise LIFECYCLE.invalid(what, match.row.status, [], f"The match is {match.row.status}, its talk is over.")
    return match, _side(match, caller)


def _side(match: Match, caller: Caller) -> str:
    facilitator = match.facilitator(caller.institution_id) if caller.institution_id else None
    if facilitator is None:
        return match.side(caller)
    if facilitator.status not in SPEAKING:
        raise refuse("forbidden", "An invited facilitating partner speaks once it has joined.")
    return FACILITATOR
