"""Needs."""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from services.registry.schemas.common import Flag, OwnerOut, ReasonOut
from shared.api import Body, Resource
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
    UtcDateTime,
)
from shared.reference.vocabulary import ResourceKind, Urgency


class NeedFields(Body):
    """What a need says, new or patched. Absent: country and languages of the institution."""

    title: Title
    problem: Text
    language: LanguageCode | None = None
    country: CountryCode | None = None
    resource_kinds: SomeCodes[ResourceKind]
    isic: SomeCodes[IsicCode]
    hs: Codes[HsCode] = Field(default_factory=list)
    sdg_targets: Codes[SdgCode] = Field(default_factory=list)
    technologies: Codes[Title] = Field(default_factory=list)
    languages: Codes[LanguageCode] | None = None
    urgency: Urgency
    budget: Money | None = None
    funding_gap: MoneyOrZero | None = None
    deadline: Day
    domestic_welcome: Flag = False
    partners_wanted: Annotated[int, Field(strict=True, ge=1, le=20)] = 1


class NeedIn(NeedFields):
    """A new need: a draft, or posted at once."""

    institution_id: UUID | None = None
    post: Flag = False


class NeedOut(Resource):
    """A need as this caller may see it."""

    collection: ClassVar[str] = "needs"

    id: UUID
    version: int
    status: str
    institution: OwnerOut
    title: str
    problem: str
    language: str
    country: str | None
    resource_kinds: list[str]
    isic: list[str]
    hs: list[str]
    sdg_targets: list[str]
    technologies: list[str]
    languages: list[str]
    urgency: str
    budget: MoneyOrZero | None
    funding_gap: MoneyOrZero | None
    deadline: date
    domestic_welcome: bool
    partners_wanted: int
    reason: ReasonOut | None
    posted_at: UtcDateTime | None
    created_at: UtcDateTime
    updated_at: UtcDateTime
    actions: list[str]

    @property
    def thread(self) -> UUID:
        """The need is the thread."""
        return self.id
