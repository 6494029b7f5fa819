"""A preview of the partners that a draft would find."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query

from services.matching.commands import suggest
from services.matching.schemas.suggestions import OfNeed, SuggestionsAsked, SuggestionsOut, show, show_excluded
from shared.api import CallerDep, Router, RunningDep, TxDep
from shared.web.auth import only

router = Router("suggestions")


@router.post("/suggestions", only("owner", "editor", "reader", "operator"), refuses=("wrong_institution", "not_found"))
async def suggest_partners(
    tx: TxDep,
    caller: CallerDep,
    running: RunningDep,
    body: SuggestionsAsked,
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
    include: Literal["excluded"] | None = None,
) -> SuggestionsOut:
    """Ranks the capabilities for a need as it is or might be posted, and stores nothing.

    `include=excluded` also says who is missing, and why.
    """
    ranker = running.state["ranker"]
    asked = (
        await suggest.held(tx, caller, body.need_id)
        if isinstance(body, OfNeed)
        else await suggest.shown(tx, caller, body)
    )
    items = [show(found) for found in await suggest.suggest(tx, ranker, asked, limit)]
    if include is None:
        return SuggestionsOut(items=items)
    missed = await suggest.missed(tx, ranker, asked, limit)
    return SuggestionsOut(items=items, excluded=[show_excluded(found) for found in missed])
