"""Capabilities."""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from services.registry.schemas.common import Explanation, Flag, OwnerOut, ReasonOut
from shared.api import Body, Resource
from shared.reference.types import (
    BlocCode,
    Codes,
    CountryCode,
    Day,
    HsCode,
    IsicCode,
    LanguageCode,
    SdgCode,
    SomeCodes,
    Text,
    Title,
    UpTo50,
    UtcDateTime,
    WebUrl,
)
from shared.reference.vocabulary import DeliveryMode, ResourceKind, WithdrawReason


class Serves(Body):
    """For whom it is offered."""

    all_south: Flag = False
    countries: Codes[CountryCode] = Field(default_factory=list)
    blocs: Codes[BlocCode] = Field(default_factory=list)


class Evidence(Body):
    """A document that shows it."""

    title: Title
    url: WebUrl


class CapabilityFields(Body):
    """What a capability says, new or patched. Absent: the institution's languages, renewal in a year."""

    title: Title
    summary: Text
    language: LanguageCode | None = None
    resource_kinds: SomeCodes[ResourceKind]
    isic: SomeCodes[IsicCode]
    hs: Codes[HsCode] = Field(default_factory=list)
    sdg_targets: Codes[SdgCode] = Field(default_factory=list)
    technologies: Codes[Title] = Field(default_factory=list)
    languages: Codes[LanguageCode] | None = None
    delivery_modes: Codes[DeliveryMode] = Field(default_factory=list)
    serves: Serves
    capacity: Annotated[int, Field(strict=True, ge=1, le=1000)]
    renew_by: Day | None = None
    centre_id: UUID | None = None
    evidence: UpTo50[Evidence] = Field(default_factory=list)


class CapabilityIn(CapabilityFields):
    """A new capability: a draft, or published at once."""

    institution_id: UUID | None = None
    publish: Flag = False


class WithdrawIn(Body):
    """Why a capability or a need is withdrawn."""

    reason_code: WithdrawReason
    text: Explanation = None


class RenewIn(Body):
    """Until when it is good now."""

    renew_by: Day


class CapabilityOut(Resource):
    """A capability as this caller may see it."""

    collection: ClassVar[str] = "capabilities"

    id: UUID
    version: int
    status: str
    institution: OwnerOut
    title: str
    summary: str
    language: str
    resource_kinds: list[str]
    isic: list[str]
    hs: list[str]
    sdg_targets: list[str]
    technologies: list[str]
    languages: list[str]
    delivery_modes: list[str]
    serves: Serves
    capacity: int
    engaged: int
    renew_by: date
    centre_id: UUID | None
    evidence: list[Evidence]
    reason: ReasonOut | None
    published_at: UtcDateTime | None
    created_at: UtcDateTime
    updated_at: UtcDateTime
    actions: list[str]
