"""Ranking without storing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from services.matching.engine.model import NeedFacts
from services.matching.store import capabilities, institutions
from shared.ops.ids import new_id

if TYPE_CHECKING:
    from services.matching.engine.score import Scored
    from services.matching.ranking import Ranker
    from services.matching.schemas.suggestions import SuggestionsIn
    from services.matching.tables import InstitutionRow
    from shared.messaging.transaction import Tx
    from shared.web.auth import Caller

Suggestion = tuple["Scored", "InstitutionRow"]


async def suggest(tx: Tx, caller: Caller, ranker: Ranker, body: SuggestionsIn, limit: int) -> list[Suggestion]:
    """The capabilities that would be proposed to such a need today, with their institutions, best first."""
    body.check(tx.clock.today())
    owner_id = caller.acting_institution(body.institution_id)
    need = _need(body, owner_id, await institutions.get(tx, owner_id))
    ranked = await ranker.rank(need, tx.clock.today(), limit)
    offered = await capabilities.some(tx, [UUID(scored.capability_id) for scored in ranked])
    rows = await institutions.some(tx, {row.institution_id for row in offered.values()})
    owners = {str(i): rows[row.institution_id] for i, row in offered.items() if row.institution_id in rows}
    return [(scored, owners[scored.capability_id]) for scored in ranked if scored.capability_id in owners]


def _need(body: SuggestionsIn, owner_id: UUID, owner: InstitutionRow | None) -> NeedFacts:
    """The need that registry would make of this body, defaults filled in the same way."""
    languages = owner.languages if owner and body.languages is None else body.languages or []
    return NeedFacts(
        id=str(new_id()),
        version=1,
        institution_id=str(owner_id),
        country=body.country or (owner.country if owner else None) or "",
        title=body.title,
        problem=body.problem,
        resource_kinds=tuple(str(kind) for kind in body.resource_kinds),
        technologies=tuple(body.technologies),
        isic=tuple(body.isic),
        hs=tuple(body.hs),
        sdg_targets=tuple(body.sdg_targets),
        languages=tuple(languages),
        urgency=str(body.urgency),
        budget_gap=body.funding_gap is not None,
        domestic_welcome=body.domestic_welcome,
        deadline=body.deadline,
    )
