"""Figures: what is shown."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from services.matching.domain.equity import OfGroup, Spread
from services.matching.engine.shares import share
from services.matching.schemas.suggestions import InstitutionOut

if TYPE_CHECKING:
    from services.matching.store.stats import Window


class ResponseOut(BaseModel):
    """How an institution answers proposals on one side (`provider` or `beneficiary`).

    `in_time_share` is answers in the sum of answers and proposals that expired unanswered, null while there are
    neither. `median_hours` runs from the proposal to the first answer, null while there is none.
    """

    institution: InstitutionOut
    side: str
    proposed: int
    answered: int
    expired_unanswered: int
    in_time_share: float | None
    median_hours: float | None


class ResponsesOut(BaseModel):
    """Those with most proposals first."""

    since: date
    until: date
    items: list[ResponseOut]


class EquityOut(BaseModel):
    """Who gets and who gives, over proposals that were not taken back; groups are as of the day."""

    since: date
    until: date
    as_of: date
    groups: list[OfGroup]
    spread: Spread


def show_response(row: Any) -> ResponseOut:  # noqa: ANN401 (a row of `store.stats.answers`)
    """One line."""
    answerable = row.answered + row.expired
    return ResponseOut(
        institution=InstitutionOut(id=row.institution_id, name=row.name, country=row.country),
        side=row.side,
        proposed=row.proposed,
        answered=row.answered,
        expired_unanswered=row.expired,
        in_time_share=share(row.answered, answerable) if answerable else None,
        median_hours=None if row.median_hours is None else round(float(row.median_hours), 2),
    )


def days(window: Window) -> dict[str, date]:
    """The first day, and the one after the last."""
    return {"since": window.since, "until": window.until}
