"""Questions on needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, and_, exists, or_, select
from sqlmodel import col

from services.matching.domain.conversing import TALKING
from services.matching.tables import FacilitatorRow, MatchRow, QuestionRow
from shared.data.keyset import page
from shared.web.problems import not_found

if TYPE_CHECKING:
    from uuid import UUID

    from shared.messaging.transaction import Tx
    from shared.web.auth import Caller
    from shared.web.paging import PageQuery

_question: Any = QuestionRow


async def page_visible(
    tx: Tx, caller: Caller, need_id: UUID | None, query: PageQuery
) -> tuple[list[QuestionRow], str | None]:
    """One page of those that the caller may see, newest first."""
    rows = _visible(caller)
    if need_id is not None:
        rows = rows.where(col(QuestionRow.need_id) == need_id)
    return await page(tx.session, rows, [_question.asked_at, _question.id], query, descending=True)


async def get_visible(tx: Tx, caller: Caller, question_id: UUID) -> QuestionRow:
    """One that the caller may see; raises `not_found`."""
    rows = _visible(caller).where(col(QuestionRow.id) == question_id)
    row: QuestionRow | None = (await tx.session.scalars(rows)).one_or_none()
    if row is None:
        raise not_found("question")
    return row


async def lock(tx: Tx, question_id: UUID) -> QuestionRow:
    """The row, held; it exists."""
    rows = select(QuestionRow).where(col(QuestionRow.id) == question_id).with_for_update()
    return (await tx.session.scalars(rows.execution_options(populate_existing=True))).one()


def _visible(caller: Caller) -> Select[Any]:
    """Staff, the beneficiary and who asked see a question at once, all matched parties once it is answered."""
    rows = select(QuestionRow)
    if caller.is_staff:
        return rows
    me = caller.institution_id
    mine = or_(col(QuestionRow.beneficiary_id) == me, col(QuestionRow.asker_id) == me)
    return rows.where(or_(mine, and_(col(QuestionRow.answer).is_not(None), _matched(me))))


def _matched(me: UUID | None) -> Any:  # noqa: ANN401 (a condition)
    """Whether this institution is a party of a match of the question's need that is not closed."""
    joined = exists().where(
        col(FacilitatorRow.match_id) == col(MatchRow.id),
        col(FacilitatorRow.institution_id) == me,
        col(FacilitatorRow.status) == "joined",
    )
    return exists().where(
        col(MatchRow.need_id) == col(QuestionRow.need_id),
        col(MatchRow.status).in_(TALKING),
        or_(col(MatchRow.provider_id) == me, joined),
    )
