"""Whether a need seeks partners now: the one rule of rankings, rounds, direct matches and suggestions.

`store.needs` asks the database for such needs in SQL; a test holds the two together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from services.matching.domain.formalising import SUSPENDED

if TYPE_CHECKING:
    from datetime import date

OPEN = "open"
WHY = {
    "institution_suspended": "The institution that posted the need is suspended.",
    "need_not_open": "The need is not open, or its deadline has passed.",
    "need_already_engaged": "The need has all the partners it wanted.",
}


class Need(Protocol):
    """What the rule looks at."""

    status: str
    deadline: date
    partners_wanted: int


def is_engaged(need: Need, found: int) -> bool:
    """Whether it found all the partners it wanted."""
    return found >= need.partners_wanted


def why_not(need: Need, found: int, owner_status: str | None, today: date) -> str | None:
    """The code (of `WHY`) of what keeps it from seeking, None when it seeks. The owner may be unknown here."""
    if owner_status == SUSPENDED:
        return "institution_suspended"
    if need.status != OPEN or need.deadline < today:
        return "need_not_open"
    return "need_already_engaged" if is_engaged(need, found) else None
