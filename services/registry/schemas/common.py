"""Pieces that several resources share."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import fastapi
from pydantic import BaseModel, Field, StrictBool

from shared.reference.types import OptionalText, UtcDateTime

JsonObject = Annotated[
    dict[str, Any], fastapi.Body(description="JSON merge patch (RFC 7396) of the members of the POST; null removes")
]
UpdatedSince = Annotated[
    UtcDateTime | None, fastapi.Query(description="Only what changed at or after this time, oldest change first")
]
Flag = StrictBool
Count = Annotated[int, Field(strict=True)]


class ReasonOut(BaseModel):
    """Why; `text` is null for those who may not read it."""

    code: str
    text: str | None


class OwnerOut(BaseModel):
    """The institution of a capability or need, as it is named now."""

    id: UUID
    name: str
    country: str | None


Explanation = Annotated[OptionalText | None, Field(description="Required with `other`")]


def reason_out(code: str | None, text: str | None) -> ReasonOut | None:
    """The reason of a row that may have none."""
    return None if code is None else ReasonOut(code=code, text=text)
