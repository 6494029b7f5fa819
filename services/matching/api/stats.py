"""Figures: how quickly institutions answer, and who gets and gives."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from fastapi import Query

from services.matching.domain import equity
from services.matching.schemas.stats import EquityOut, ResponsesOut, days, show_response
from services.matching.store import stats
from services.matching.store.stats import Window
from shared.api import CallerDep, Router, RunningDep, TxDep
from shared.lifecycle import Invalid
from shared.reference.types import Day
from shared.web.auth import SIGNED_IN, only

if TYPE_CHECKING:
    from datetime import date

router = Router("stats")
YEAR = timedelta(days=365)


@router.get("/stats/responses", SIGNED_IN, refuses=("wrong_institution",))
async def response_statistics(
    tx: TxDep,
    caller: CallerDep,
    institution_id: UUID | None = None,
    since: Day | None = None,
    until: Day | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ResponsesOut:
    """How institutions answer proposals, of the last year unless days are named; one's own, or any for staff.

    Those with most proposals, up to `limit`; `institution_id` asks for one.
    """
    window = _window(tx.clock.today(), since, until)
    whose = institution_id if caller.is_staff else caller.acting_institution(institution_id)
    found = await stats.answers(tx, window, whose, limit)
    return ResponsesOut(**days(window), items=[show_response(row) for row in found])


@router.get("/stats/equity", only("operator", "verifier"))
async def equity_figures(
    tx: TxDep, running: RunningDep, since: Day | None = None, until: Day | None = None
) -> EquityOut:
    """Needs, proposals and formalised matches by group of the need's country, and how providers share them."""
    today = tx.clock.today()
    window, world = _window(today, since, until), running.state["ranker"].world
    rows = [equity.OfCountry(*row) for row in await stats.countries(tx, window)]
    given = await stats.providers(tx, window)
    return EquityOut(
        **days(window),
        as_of=today,
        groups=equity.by_group(rows, lambda country: world.groups(country, today)),
        spread=equity.spread([row.proposed for row in given], len({row.country for row in given})),
    )


def _window(today: date, since: date | None, until: date | None) -> Window:
    """`until` is exclusive and tomorrow by default, `since` a year before it; raises `Invalid`."""
    end = until or today + timedelta(days=1)
    begin = since or end - YEAR
    if begin >= end:
        raise Invalid("?since", "Must be before until")
    return Window(begin, end)
