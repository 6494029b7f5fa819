"""Projects and their partners."""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from services.projects.schemas.common import ReasonIn, ReasonOut, Threaded
from shared.api import Body
from shared.reference.types import (
    Codes,
    Day,
    HsCode,
    IsicCode,
    LanguageCode,
    Money,
    MoneyOrZero,
    OptionalText,
    SdgCode,
    SomeCodes,
    Title,
    UpTo50,
    UtcDateTime,
)
from shared.reference.vocabulary import JustificationCode, ResourceKind, Role, SuspendReason


class PartnerIn(Body):
    """A partner and the first day of its role, which may lie in the past."""

    institution_id: UUID
    role: Role
    from_: Day = Field(alias="from")


class ProjectIn(Body):
    """A project that is opened directly, without a match; `text` is required with `other`."""

    title: Title
    language: LanguageCode
    partners: Annotated[UpTo50[PartnerIn], Field(min_length=1)]
    resource_kinds: SomeCodes[ResourceKind]
    isic: SomeCodes[IsicCode]
    justification_code: JustificationCode
    text: OptionalText | None = None
    hs: Codes[HsCode] = Field(default_factory=list)
    sdg_targets: Codes[SdgCode] = Field(default_factory=list)
    budget: Money | None = None
    planned_start_on: Day | None = None
    planned_end_on: Day | None = None


def _without_default(schema: JsonDict) -> None:
    schema.pop("default", None)


class ProjectPatch(Body):
    """A merge patch: what is absent stays."""

    # the default is never used, and is no title: a client must not read it in the schema
    title: Annotated[Title, Field(json_schema_extra=_without_default)] = ""
    planned_start_on: Day | None = None
    planned_end_on: Day | None = None


class StartIn(Body):
    """The day the work began."""

    started_on: Day


class CompleteIn(Body):
    """The day the work ended."""

    completed_on: Day


class CancelIn(ReasonIn):
    """Why, and whether the need seeks a partner again."""

    reopen_need: bool = Field(default=True, strict=True)


class ResumeIn(Body):
    """Words, if wanted."""

    text: OptionalText | None = None


class LeaveIn(Body):
    """The role that ends, and the first day on which it is no longer held."""

    role: Role
    to: Day
    reason_code: SuspendReason | None = None
    text: OptionalText | None = None


class PartnerOut(BaseModel):
    """A dated role; `to` is exclusive. An institution not heard of yet shows as its id."""

    model_config = ConfigDict(populate_by_name=True)
    institution_id: UUID
    name: str
    country: str | None
    role: str
    from_: date = Field(alias="from")
    to: date | None


class ProjectOut(Threaded):
    """A project."""

    collection: ClassVar[str] = "projects"
    id: UUID
    version: int
    status: str
    modality: str
    title: str
    language: str
    match_id: UUID | None
    need_id: UUID | None
    capability_id: UUID | None
    correlation_id: UUID
    partners: list[PartnerOut]
    resource_kinds: list[str]
    isic: list[str]
    hs: list[str]
    sdg_targets: list[str]
    budget: MoneyOrZero | None
    planned_start_on: date | None
    planned_end_on: date | None
    started_on: date | None
    completed_on: date | None
    justification: ReasonOut | None
    reason: ReasonOut | None
    opened_at: UtcDateTime
    updated_at: UtcDateTime
    actions: list[str]


class CashTotals(BaseModel):
    """Sums of money in one currency."""

    currency: str
    pledged: str
    committed: str
    delivered: str
    confirmed: str


class InKindTotals(BaseModel):
    """Quantities of one unit."""

    unit: str
    pledged: str
    committed: str
    delivered: str
    confirmed: str


class TotalsOut(Threaded):
    """What was promised and given; each figure includes the later stages."""

    cash: list[CashTotals]
    in_kind: list[InKindTotals]
