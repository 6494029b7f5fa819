"""Agreements."""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import BaseModel, Field

from services.projects.schemas.common import SignatureOut, Threaded
from shared.api import Body
from shared.reference.types import LIST_LENGTH, Day, Sha256, SomeCodes, Title, WebUrl
from shared.reference.vocabulary import AgreementKind


class DocumentIn(Body):
    """A document that one of the partners keeps; the hash says which text was signed."""

    name: Title
    url: WebUrl
    sha256: Sha256


class AgreementIn(Body):
    """An agreement for its parties to sign."""

    kind: AgreementKind
    title: Title
    parties: Annotated[SomeCodes[UUID], Field(min_length=2, max_length=LIST_LENGTH)]
    effective_on: Day
    document: DocumentIn | None = None


class SignIn(Body):
    """The day of the signature."""

    signed_on: Day


class DocumentOut(BaseModel):
    """The document."""

    name: str
    url: str
    sha256: str


class AgreementOut(Threaded):
    """An agreement."""

    collection: ClassVar[str] = "agreements"
    id: UUID
    version: int
    status: str
    project_id: UUID
    kind: str
    title: str
    effective_on: date
    document: DocumentOut | None
    parties: list[SignatureOut]
    actions: list[str]
