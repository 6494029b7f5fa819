"""Explanations of scores."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic import BaseModel

from services.matching.engine.score import CriterionResult, recompute
from services.matching.schemas.matches import AboutMatch

if TYPE_CHECKING:
    from services.matching.store.matches import Match


class CriterionOut(BaseModel):
    """One criterion: `contribution` = weight x value, unrounded; what it rests on in codes and in words."""

    criterion: str
    value: float
    weight: float
    contribution: float
    codes: list[str]
    words: str

    @classmethod
    def of(cls, result: CriterionResult) -> CriterionOut:
        """Without the inputs, which only the recomputation needs."""
        return cls.model_validate(result, from_attributes=True)


class RecomputedOut(BaseModel):
    """The score worked out again from what the match stored."""

    score: float
    equal: bool


class ExplanationOut(AboutMatch):
    """Why the match was proposed with this score."""

    match_id: UUID
    score: float
    policy_version: int
    need_version: int
    capability_version: int
    as_of: date
    text_statistics_version: int
    criteria: list[CriterionOut]
    recomputed: RecomputedOut | None


def show(match: Match, stored: dict[str, Any], *, again: bool) -> ExplanationOut:
    """The stored explanation; `again` computes the score anew and compares."""
    score = recompute(stored) if again else None
    recomputed = None if score is None else RecomputedOut(score=score, equal=score == stored["score"])
    return ExplanationOut(match_id=match.row.id, recomputed=recomputed, **stored).about(match)
