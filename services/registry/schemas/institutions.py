"""Institutions and their verifications."""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import BaseModel, Field

from services.registry.schemas.common import Explanation, Flag, ReasonOut
from shared.api import Body, Resource
from shared.reference.types import (
    Codes,
    CountryCode,
    Email,
    LanguageCode,
    OptionalText,
    Title,
    UpTo50,
    UtcDateTime,
    WebUrl,
)
from shared.reference.vocabulary import InstitutionType, SuspendReason, VerificationQuestion, VerificationRejectReason


class OtherName(Body):
    """The name in another language."""

    language: LanguageCode
    name: Title


class ExternalId(Body):
    """An identifier in somebody's scheme (org-id.guide)."""

    scheme: Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$", examples=["ET-MOT"])]
    value: Title


class Contact(Body):
    """Whom to write to; shown to few, never in an event."""

    name: Title | None = None
    email: Email | None = None
    phone: Title | None = None


class InstitutionIn(Body):
    """What an operator registers, and what a patched institution must still be."""

    name: Title
    acronym: Title | None = None
    other_names: UpTo50[OtherName] = Field(default_factory=list)
    type: InstitutionType
    country: CountryCode | None = None
    languages: Codes[LanguageCode] = Field(default_factory=list)
    website: WebUrl | None = None
    parent_id: UUID | None = None
    external_ids: Codes[ExternalId] = Field(default_factory=list)
    contact: Contact | None = None


class InstitutionOut(Resource):
    """An institution as this caller may see it."""

    collection: ClassVar[str] = "institutions"

    id: UUID
    version: int
    status: str
    name: str
    acronym: str | None
    other_names: list[OtherName]
    type: str
    country: str | None
    south: bool | None
    languages: list[str]
    website: str | None
    parent_id: UUID | None
    external_ids: list[ExternalId]
    contact: Contact | None
    verified_until: date | None
    reason: ReasonOut | None
    actions: list[str]
    created_at: UtcDateTime
    updated_at: UtcDateTime


class SuspendIn(Body):
    """Why an institution is suspended."""

    reason_code: SuspendReason
    text: Explanation = None


class ReinstateIn(Body):
    """A remark, if any."""

    text: OptionalText | None = None


class Answer(Body):
    """`true` is always the good answer."""

    answer: Flag
    comment: OptionalText = ""


class Answers(Body):
    """All five questions."""

    registration_evidence: Answer
    mandate_consistent: Answer
    safeguards_in_place: Answer
    no_reputational_risk: Answer
    no_unacceptable_flag: Answer


QUESTIONS = frozenset(Answers.model_fields)
assert frozenset(VerificationQuestion) == QUESTIONS  # noqa: S101 (the list is said twice: here for its types)


class VerificationIn(Body):
    """A due-diligence questionnaire."""

    answers: Answers


class RejectIn(Body):
    """Why a verification is rejected."""

    reason_code: VerificationRejectReason
    text: Explanation = None


class VerificationOut(Resource):
    """A questionnaire and its decision."""

    collection: ClassVar[str] = "verifications"

    id: UUID
    version: int
    status: str
    institution_id: UUID
    answers: Answers
    submitted_by: str
    decided_by: str | None
    reason: ReasonOut | None
    submitted_at: UtcDateTime
    decided_at: UtcDateTime | None
    updated_at: UtcDateTime
    actions: list[str]


class Candidate(BaseModel):
    """An institution that seems to be the same."""

    id: UUID
    name: str
    country: str | None
    similarity: float
