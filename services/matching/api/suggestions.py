"""Previews: the partners that a need would find, and the needs that a capability could serve."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query

from services.matching.commands import suggest
from services.matching.schemas.suggestions import (
    NeedSuggestionsOut,
    OfNeed,
    SuggestionsAsked,
    SuggestionsOut,
    show,
    show_excluded,
    show_need,
)
from shared.api import CallerDep, Router, RunningDep, TxDep
from shared.web.auth import only

router = Router("suggestions")
READERS = only("owner", "editor", "reader", "operator")


@router.post("/suggestions", READERS, refuses=("wrong_institution", "not_found"))
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


@router.get(
    "/capabilities/{capability_id}/needs", only("owner", "editor", "reader", "operator"), refuses=("not_found",)
)
async def suggest_needs(
    tx: TxDep,
    caller: CallerDep,
    running: RunningDep,
    capability_id: UUID,
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
) -> NeedSuggestionsOut:
    """Open needs that this capability could serve, by score x priority (urgency and LDC status)."""
    found = await suggest.needs_for(tx, running.state["ranker"], caller, capability_id, limit)
    return NeedSuggestionsOut(items=[show_need(one) for one in found])
