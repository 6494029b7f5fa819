"""Practices and replications."""

from __future__ import annotations

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import BaseModel, Field

from services.projects.schemas.common import Threaded
from shared.api import Body
from shared.reference.types import Codes, IsicCode, LanguageCode, OptionalText, SdgCode, Text, Title, UtcDateTime
from shared.reference.vocabulary import ReplicationOutcome


class PovertyReductionIn(Body):
    """What it did against poverty."""

    summary: Text
    people_reached: Annotated[int, Field(strict=True, ge=0, le=10_000_000_000)] | None = None


class PracticeIn(Body):
    """A practice of a completed project; `publish` publishes it at once."""

    project_id: UUID
    title: Title
    language: LanguageCode
    challenge: Text
    approach: Text
    conditions: OptionalText | None = None
    results: Text
    poverty_reduction: PovertyReductionIn | None = None
    isic: Codes[IsicCode] = Field(default_factory=list)
    sdg_targets: Codes[SdgCode] = Field(default_factory=list)
    publish: bool = Field(default=False, strict=True)


class PovertyReductionOut(BaseModel):
    """What it did against poverty."""

    summary: str
    people_reached: int | None


class PracticeOut(Threaded):
    """A practice."""

    collection: ClassVar[str] = "practices"
    id: UUID
    version: int
    status: str
    project_id: UUID
    institution_id: UUID
    correlation_id: UUID
    title: str
    language: str
    challenge: str
    approach: str
    conditions: str | None
    results: str
    poverty_reduction: PovertyReductionOut | None
    isic: list[str]
    sdg_targets: list[str]
    published_at: UtcDateTime | None
    updated_at: UtcDateTime
    actions: list[str]


class ReplicationIn(Body):
    """Where a practice is reused, how it was adapted, and how it goes."""

    project_id: UUID
    adaptation: Text
    outcome: ReplicationOutcome


class ReplicationOut(Threaded):
    """The reuse of a practice."""

    collection: ClassVar[str] = "replications"
    id: UUID
    version: int
    practice_id: UUID
    source_project_id: UUID
    project_id: UUID
    adaptation: str
    outcome: str


class EdgeOut(BaseModel):
    """One step of reuse."""

    from_project_id: UUID
    to_project_id: UUID
    outcome: str


class LineageOut(Threaded):
    """Where a practice went, over practices of the projects that reused it too."""

    practice_id: UUID
    edges: list[EdgeOut]
