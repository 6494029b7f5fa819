"""The inbox (contract, section 12)."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, Field

from shared.api import Body
from shared.reference.types import UtcDateTime
from shared.web.paging import Page


class Subject(BaseModel):
    """What an event is about."""

    type: str = Field(examples=["match"])
    id: str = Field(examples=["01a20cda-0c07-7007-8007-000000000007"])


class InboxItem(BaseModel):
    """What the caller is told of one event, in its language."""

    id: UUID
    event_id: UUID
    event_type: str = Field(examples=["MatchProposed"])
    subject: Subject
    correlation_id: str | None
    title: str = Field(examples=["New match for your need"])
    text: str = Field(examples=["Central Leather Research Institute (IND) matches your need with 74 %."])
    language: str = Field(examples=["en"])
    action_required: bool
    due_at: UtcDateTime | None
    created_at: UtcDateTime
    read_at: UtcDateTime | None


class InboxPage(Page[InboxItem]):
    """One page of the inbox; `unread` counts the whole inbox, not the page."""

    unread: int


class ReadIn(Body):
    """Nothing to say beyond the id."""
