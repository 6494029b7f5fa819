"""Milestones."""

from __future__ import annotations

from datetime import date
from typing import ClassVar
from uuid import UUID

from services.projects.schemas.common import ReasonOut, Threaded
from shared.api import Body
from shared.reference.types import Day, OptionalText, Title
from shared.reference.vocabulary import WaiveReason


class MilestoneIn(Body):
    """What is to be reached, and by when."""

    title: Title
    due_on: Day | None = None


class ReachIn(Body):
    """The day it was reached."""

    reached_on: Day


class WaiveIn(Body):
    """Why it no longer counts; `text` is required with `other`."""

    reason_code: WaiveReason
    text: OptionalText | None = None


class MilestoneOut(Threaded):
    """A milestone."""

    collection: ClassVar[str] = "milestones"
    id: UUID
    version: int
    status: str
    project_id: UUID
    title: str
    due_on: date | None
    reached_on: date | None
    reason: ReasonOut | None
    actions: list[str]
