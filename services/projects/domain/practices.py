"""Practices: what worked, findable by its words and sectors, and where it was reused."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from shared.lifecycle import Guard, Invalid, Lifecycle, Refused, Step
from shared.reference.classifications import isic


@dataclass(frozen=True, slots=True)
class PracticeFacts:
    """`suspended`: the institution that wrote it is suspended."""

    suspended: bool


_NOT_SUSPENDED: Guard[PracticeFacts] = Guard(
    "institution_suspended", "Your institution is suspended and may not publish.", lambda facts: not facts.suspended
)

PRACTICE = Lifecycle[PracticeFacts](
    "practice",
    (
        Step(
            "publish",
            frozenset({"draft"}),
            "published",
            frozenset({"author:owner", "author:editor"}),
            "PracticePublished",
            guards=(_NOT_SUSPENDED,),
        ),
    ),
)


def check_source(project_status: str) -> None:
    """Only what was completed is a practice."""
    if project_status not in ("completed", "closed"):
        raise Refused("project_not_completed", f"The project is {project_status}; complete it first.")


def check_replication(source_project_id: UUID, project_id: UUID, project_status: str) -> None:
    """Another project, and one that goes on (422)."""
    if project_id == source_project_id:
        raise Invalid("/project_id", "The practice comes from this project; name the one that reuses it", "is_source")
    if project_status == "cancelled":
        raise Invalid("/project_id", "This project is cancelled", "project_cancelled")


def fold(texts: Iterable[str | None]) -> str:
    """Text as the search compares it: lower case, no accents, single spaces."""
    decomposed = unicodedata.normalize("NFKD", " ".join(text for text in texts if text))
    plain = "".join(char for char in decomposed if not unicodedata.combining(char))
    return " ".join(plain.casefold().split())


def isic_below(code: str) -> list[str]:
    """The category and all within it: what a filter by prefix, or by section letter, accepts."""
    section = isic()[code].section
    if code == section:
        return [other for other, category in isic().items() if category.section == code]
    return [other for other in isic() if other.startswith(code)]
