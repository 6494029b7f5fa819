"""API keys."""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Literal
from uuid import UUID

from services.registry.schemas.common import Flag
from shared.api import Body, Resource
from shared.reference.types import Day, Title, UtcDateTime


class KeyIn(Body):
    """A new key of an institution."""

    name: Title
    institution_id: UUID | None = None
    role: Literal["owner", "editor", "reader"]
    can_sign: Flag | None = None
    expires_on: Day | None = None


class KeyOut(Resource):
    """A key; its secret is in the first answer only."""

    collection: ClassVar[str] = "keys"

    id: UUID
    version: int
    name: str
    institution_id: UUID | None
    role: str
    can_sign: bool
    client_id: str
    client_secret: str | None = None
    expires_on: date | None
    status: str
    created_at: UtcDateTime
    updated_at: UtcDateTime
    actions: list[str]
