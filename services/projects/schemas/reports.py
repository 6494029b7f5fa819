"""Reports."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from services.projects.schemas.common import SignatureOut, Threaded
from shared.api import Body
from shared.reference.types import OptionalText, Text
from shared.reference.vocabulary import ReportKind


class ReportIn(Body):
    """A report of the project as a whole."""

    kind: ReportKind
    summary: Text
    results: OptionalText | None = None
    lessons: OptionalText | None = None


class ReportOut(Threaded):
    """A report; `signatures` lists the partners in a role today and all who signed, empty for a progress report."""

    collection: ClassVar[str] = "reports"
    id: UUID
    version: int
    status: str
    project_id: UUID
    kind: str
    summary: str
    results: str | None
    lessons: str | None
    submitted_by: UUID
    signatures: list[SignatureOut]
    actions: list[str]
