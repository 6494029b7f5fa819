"""Rules that several resources share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from shared.lifecycle import Guard, Invalid
from shared.reference.vocabulary import needs_text

OPERATOR = frozenset({"operator"})
STAFF = frozenset({"operator", "verifier"})
OWNER_OR_OPERATOR = frozenset({"owner:owner", "operator"})
WRITERS_OR_OPERATOR = frozenset({"owner:owner", "owner:editor", "operator"})


@dataclass(frozen=True, slots=True)
class Standing:
    """What the lifecycles of capabilities and needs must know of their institution."""

    suspended: bool


NOT_SUSPENDED: Guard[Standing] = Guard(
    "institution_suspended",
    "The institution is suspended; it can offer and seek again once it is reinstated.",
    lambda f: not f.suspended,
)


def check_reason(code: str, text: str | None) -> None:
    """`other` says nothing by itself, so it needs a text."""
    if needs_text(code) and not text:
        raise Invalid("/text", "Say in words what the reason is", "missing")


def years_later(day: date, years: int) -> date:
    """The same day `years` later; 28 February for 29 February of a year that has none."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)
