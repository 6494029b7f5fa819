"""Suggestions: rankings that are not stored."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Discriminator, Field, Tag

from services.matching.schemas.explanations import CriterionOut
from services.matching.schemas.matches import AboutMatch
from shared.api import Body
from shared.lifecycle import Invalid
from shared.reference.types import (
    Codes,
    CountryCode,
    Day,
    HsCode,
    IsicCode,
    LanguageCode,
    Money,
    MoneyOrZero,
    SdgCode,
    SomeCodes,
    Text,
    Title,
    UpTo50,
)
from shared.reference.vocabulary import ResourceKind, Urgency
from shared.web.problems import ALTERNATIVE

if TYPE_CHECKING:
    from services.matching.commands.suggest import Sought, Suggestion

MOST_DAYS_AHEAD = 731
SHOWN, HELD = f"{ALTERNATIVE}shown", f"{ALTERNATIVE}held"
"""Tags of what a suggestion may be asked for."""


class SuggestionsIn(Body):
    """A need as registry takes it, posted or not."""

    institution_id: UUID | None = None
    title: Title
    problem: Text
    language: LanguageCode | None = None
    country: CountryCode | None = None
    resource_kinds: SomeCodes[ResourceKind]
    isic: SomeCodes[IsicCode]
    hs: Codes[HsCode] = Field(default_factory=list)
    sdg_targets: Codes[SdgCode] = Field(default_factory=list)
    technologies: UpTo50[Title] = Field(default_factory=list)
    languages: Codes[LanguageCode] | None = None
    urgency: Urgency
    budget: Money | None = None
    funding_gap: MoneyOrZero | None = None
    deadline: Day
    domestic_welcome: Annotated[bool, Field(strict=True)] = False
    partners_wanted: Annotated[int, Field(strict=True, ge=1, le=20)] = 1

    def check(self, today: date) -> None:
        """The deadline lies ahead, at most two years; raises `Invalid`."""
        if not today < self.deadline <= today + timedelta(days=MOST_DAYS_AHEAD):
            raise Invalid("/deadline", "Must be after today and at most two years ahead")


class OfNeed(Body):
    """A need that registry holds and matching has heard of."""

    need_id: UUID


def _asked(body: Any) -> str:  # noqa: ANN401 (any JSON)
    return HELD if isinstance(body, OfNeed) or (isinstance(body, dict) and "need_id" in body) else SHOWN


SuggestionsAsked = Annotated[Annotated[SuggestionsIn, Tag(SHOWN)] | Annotated[OfNeed, Tag(HELD)], Discriminator(_asked)]
"""A need as it might be posted, or the id of one that is there."""


class InstitutionOut(BaseModel):
    """Whose capability, need or figures these are."""

    id: UUID
    name: str
    country: str | None


class SuggestionOut(BaseModel):
    """A capability that would be proposed."""

    capability_id: UUID
    institution: InstitutionOut
    score: float
    criteria: list[CriterionOut]


class ExcludedOut(SuggestionOut):
    """A capability that would be among the best if no rule excluded it, and all rules that do."""

    excluded_by: list[str]


class SuggestionsOut(BaseModel):
    """Best first; `excluded`, when asked for, says who is missing, and why."""

    items: list[SuggestionOut]
    excluded: list[ExcludedOut] | None = None


def show(found: Suggestion) -> SuggestionOut:
    """A suggestion, with what its score is made of."""
    return SuggestionOut(**_members(found))


def show_excluded(found: Suggestion) -> ExcludedOut:
    """The same of one that a rule excludes."""
    return ExcludedOut(**_members(found), excluded_by=list(found.excluded_by))


def _members(found: Suggestion) -> dict[str, Any]:
    row, scored = found.institution, found.scored
    return {
        "capability_id": UUID(scored.capability_id),
        "institution": InstitutionOut(id=row.id, name=row.name, country=row.country),
        "score": scored.score,
        "criteria": [CriterionOut.of(result) for result in scored.criteria],
    }


class NeedSuggestionOut(BaseModel):
    """An open need that the capability could serve; they are ordered by `score` x `priority`."""

    need_id: UUID
    title: str
    institution: InstitutionOut
    country: str | None
    deadline: date
    score: float
    priority: float
    criteria: list[CriterionOut]


class NeedSuggestionsOut(BaseModel):
    """The need to serve first comes first."""

    items: list[NeedSuggestionOut]


def show_need(found: Sought) -> NeedSuggestionOut:
    """A need, with what the score is made of."""
    row = found.need
    return NeedSuggestionOut(
        need_id=row.id,
        title=row.title,
        institution=InstitutionOut(id=row.institution_id, name=row.institution_name, country=row.institution_country),
        country=row.country,
        deadline=row.deadline,
        score=found.scored.score,
        priority=found.priority,
        criteria=[CriterionOut.of(result) for result in found.scored.criteria],
    )


class FacilitatorSuggestionOut(BaseModel):
    """An institution that can bring what the pair leaves uncovered."""

    institution_id: UUID
    name: str
    country: str | None
    covers: list[str]
    score: float


class FacilitatorSuggestionsOut(AboutMatch):
    """Best first."""

    items: list[FacilitatorSuggestionOut]
