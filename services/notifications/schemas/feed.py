"""Events in structured form, and threads (contract, sections 13 and 15)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.notifications.schemas.inbox import Subject
from shared.api import Resource
from shared.reference.types import UtcDateTime
from shared.web.paging import Page


class CloudEventOut(BaseModel):
    """CloudEvents 1.0, structured JSON; attributes that an event does not have are left out."""

    model_config = ConfigDict(extra="allow")

    specversion: str = Field(examples=["1.0"])
    id: str
    source: str = Field(examples=["urn:bandung:local:registry"])
    type: str = Field(examples=["org.bandung.NeedPosted.v1"])
    subject: str
    time: str
    sequence: str = Field(examples=["0001-0000000001"])
    partitionkey: str
    correlationid: str
    dataschema: str
    datacontenttype: str
    data: dict[str, Any]


class ThreadItem(BaseModel):
    """One event of a thread, in words. `institution_id` is the one that acted, null for the system and operators."""

    event_id: UUID
    type: str = Field(examples=["NeedPosted"])
    time: UtcDateTime
    subject: Subject
    institution_id: UUID | None
    summary: str


class ThreadPage(Page[ThreadItem], Resource):
    """A partnership from need to practice, oldest first."""

    correlation_id: UUID

    @property
    def thread(self) -> UUID:
        """For `X-Correlation-Id`."""
        return self.correlation_id
