"""Centres."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel

from shared.api import Body, Resource
from shared.reference.types import PartialDate, Text, UtcDateTime
from shared.reference.vocabulary import CentreStatus


class CentreStep(BaseModel):
    """One dated status."""

    status: str
    since: str | None
    source: str
    note: str | None


class CentreOut(Resource):
    """A centre; `status`, `since`, `source` and `note` are those of the last step of `history`."""

    collection: ClassVar[str] = "centres"

    id: UUID
    version: int
    name: str
    kind: str
    host_country: str
    host_institution: str | None
    focus_isic: list[str]
    status: str
    since: str | None
    source: str
    note: str | None
    history: list[CentreStep]
    created_at: UtcDateTime
    updated_at: UtcDateTime
    actions: list[str]


class CentreStatusIn(Body):
    """The next step of a centre's life."""

    status: CentreStatus
    since: PartialDate
    source: Text
    note: Text | None = None
