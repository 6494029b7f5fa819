"""A preview of the partners that a draft would find."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query

from services.matching.commands.suggest import suggest
from services.matching.schemas.explanations import CriterionOut
from services.matching.schemas.suggestions import InstitutionOut, SuggestionOut, SuggestionsIn, SuggestionsOut
from shared.api import CallerDep, Router, RunningDep, TxDep
from shared.web.auth import only

router = Router("suggestions")


@router.post("/suggestions", only("owner", "editor", "reader", "operator"), refuses=("wrong_institution",))
async def suggest_partners(
    tx: TxDep,
    caller: CallerDep,
    running: RunningDep,
    body: SuggestionsIn,
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
) -> SuggestionsOut:
    """Ranks the capabilities for a need that is not stored."""
    found = await suggest(tx, caller, running.state["ranker"], body, limit)
    return SuggestionsOut(
        items=[
            SuggestionOut(
                capability_id=UUID(scored.capability_id),
                institution=InstitutionOut(id=row.id, name=row.name, country=row.country),
                score=scored.score,
                criteria=[CriterionOut.of(result) for result in scored.criteria],
            )
            for scored, row in found
        ]
    )
