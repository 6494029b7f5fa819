"""Messages of a match and questions on a need: what is asked and what is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

from services.matching.domain.conversing import QUESTION, question_status
from services.matching.schemas.matches import AboutMatch
from shared.api import Body, Resource
from shared.reference.types import ShortText, UtcDateTime

if TYPE_CHECKING:
    from services.matching.tables import MessageRow, QuestionRow
    from shared.web.auth import Caller


class WordsIn(Body):
    """A message, a question or an answer, of up to 2,000 characters."""

    text: ShortText


class WrittenOut(AboutMatch):
    """A message with its id; `side` is who wrote it."""

    id: UUID
    match_id: UUID
    side: str
    text: str
    at: UtcDateTime


class QuestionOut(Resource):
    """A question on a need, `asked` or `answered`.

    `asked_by` and `match_id` are shown to the beneficiary, to staff and to who asked it, so that an answer tells nobody
    who else is in the running.
    """

    collection: ClassVar[str] = "questions"
    id: UUID
    version: int
    status: str
    need_id: UUID
    match_id: UUID | None
    asked_by: UUID | None
    text: str
    answer: str | None
    asked_at: UtcDateTime
    answered_at: UtcDateTime | None
    actions: list[str]

    @property
    def thread(self) -> UUID:
        """The need's id."""
        return self.need_id


def show_message(row: MessageRow) -> WrittenOut:
    """One message."""
    return WrittenOut(id=row.id, match_id=row.match_id, side=row.side, text=row.text, at=row.at)


def show_question(row: QuestionRow, caller: Caller) -> QuestionOut:
    """The question for this caller."""
    status, hats = question_status(row.answer), caller.hats(beneficiary=[row.beneficiary_id])
    may_know = caller.is_staff or caller.institution_id in (row.beneficiary_id, row.asker_id)
    same = QuestionOut.model_fields.keys() & type(row).model_fields.keys() - {"match_id"}
    return QuestionOut(
        **{name: getattr(row, name) for name in same},
        status=status,
        match_id=row.match_id if may_know else None,
        asked_by=row.asker_id if may_know else None,
        actions=QUESTION.actions(status, None, hats, can_sign=caller.can_sign),
    )
