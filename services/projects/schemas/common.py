"""What several resources share."""

from __future__ import annotations

from typing import Generic, Self, TypeVar
from uuid import UUID

from pydantic import BaseModel, PrivateAttr

from shared.api import Body, Resource
from shared.reference.types import Day, OptionalText
from shared.reference.vocabulary import SuspendReason
from shared.web.paging import Page

Item = TypeVar("Item")


class Threaded(Resource):
    """An answer that belongs to a project's thread, which shows in `X-Correlation-Id` only."""

    _thread: UUID | None = PrivateAttr(None)

    @property
    def thread(self) -> UUID | None:
        """The thread of the project."""
        return self._thread

    def in_thread(self, correlation_id: UUID) -> Self:
        """Set the thread."""
        self._thread = correlation_id
        return self


class ThreadPage(Page[Item], Threaded, Generic[Item]):
    """A list below one project."""


class Empty(Body):
    """A state change that says nothing more."""


class ReasonIn(Body):
    """Why a project is suspended; `text` is required with `other`."""

    reason_code: SuspendReason
    text: OptionalText | None = None


class ReasonOut(BaseModel):
    """A reason with its words, which stay in the API."""

    code: str
    text: str | None


class SignatureOut(BaseModel):
    """An institution and the day it signed."""

    institution_id: UUID
    signed_on: Day | None
