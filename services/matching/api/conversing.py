"""What the parties of a match write to each other, and questions on its need."""

from __future__ import annotations

from uuid import UUID

from services.matching.commands import conversing
from services.matching.domain.conversing import ASKERS, QUESTION, WRITERS
from services.matching.schemas.conversing import QuestionOut, WordsIn, WrittenOut, show_message, show_question
from services.matching.store import matches, questions
from shared.api import CallerDep, Router, TxDep
from shared.web.auth import SIGNED_IN
from shared.web.paging import Page, Paging
from shared.web.problems import not_found
from shared.web.versions import IfMatch

router = Router("messages")


@router.get("/matches/{match_id}/messages", SIGNED_IN)
async def list_messages(tx: TxDep, caller: CallerDep, match_id: UUID, paging: Paging) -> Page[WrittenOut]:
    """What the parties of a match wrote, newest first; nobody else reads it."""
    match = await matches.get_visible(tx, caller, match_id)
    if not match.hears(caller):
        raise not_found("message")
    found, after = await matches.page_of_messages(tx, match_id, paging)
    return Page[WrittenOut](items=[show_message(row) for row in found], next=after)


@router.post(
    "/matches/{match_id}/messages", SIGNED_IN, by=WRITERS, status=201, refuses=("forbidden", "invalid_transition")
)
async def send_message(tx: TxDep, caller: CallerDep, match_id: UUID, body: WordsIn) -> WrittenOut:
    """Writes to all other parties of the match; they are told that there is a message, not what it says."""
    match = await matches.get_visible(tx, caller, match_id)
    return show_message(await conversing.write(tx, caller, match_id, body.text)).about(match)


@router.post(
    "/matches/{match_id}/questions", SIGNED_IN, by=ASKERS, status=201, refuses=("forbidden", "invalid_transition")
)
async def ask_question(tx: TxDep, caller: CallerDep, match_id: UUID, body: WordsIn) -> QuestionOut:
    """Asks the beneficiary to make the need clearer; all matched parties will read question and answer."""
    return show_question(await conversing.ask(tx, caller, match_id, body.text), caller)


@router.get("/questions", SIGNED_IN)
async def list_questions(
    tx: TxDep, caller: CallerDep, paging: Paging, need_id: UUID | None = None
) -> Page[QuestionOut]:
    """Questions the caller may see, newest first: its own at once, those of others once they are answered."""
    found, after = await questions.page_visible(tx, caller, need_id, paging)
    return Page[QuestionOut](items=[show_question(row, caller) for row in found], next=after)


@router.get("/questions/{question_id}", SIGNED_IN)
async def get_question(tx: TxDep, caller: CallerDep, question_id: UUID) -> QuestionOut:
    """One question."""
    return show_question(await questions.get_visible(tx, caller, question_id), caller)


@router.post("/questions/{question_id}/answer", SIGNED_IN, by=QUESTION.who("answer"), refuses=QUESTION.codes("answer"))
async def answer_question(
    tx: TxDep, caller: CallerDep, question_id: UUID, body: WordsIn, if_match: IfMatch
) -> QuestionOut:
    """The beneficiary answers, once; whoever is matched with the need is told and reads it."""
    return show_question(await conversing.answer(tx, caller, question_id, body.text, if_match), caller)
