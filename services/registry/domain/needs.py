"""Needs: `draft -> open -> engaged -> fulfilled`, and how the fate of their matches moves them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from services.registry.domain.common import NOT_SUSPENDED, WRITERS_OR_OPERATOR, Standing, years_later
from shared.lifecycle import SYSTEM, Invalid, Lifecycle, Step

DEADLINE_YEARS = 2
_TIMER = frozenset({SYSTEM})

LIFECYCLE = Lifecycle[Standing](
    "need",
    (
        Step("post", frozenset({"draft"}), "open", WRITERS_OR_OPERATOR, "NeedPosted", guards=(NOT_SUSPENDED,)),
        Step("withdraw", frozenset({"open"}), "withdrawn", WRITERS_OR_OPERATOR, "NeedWithdrawn"),
        Step("expire", frozenset({"open"}), "expired", _TIMER, "NeedExpired"),
        Step("engage", frozenset({"open", "withdrawn", "expired"}), "engaged", _TIMER, "NeedEngaged"),
        Step("reopen", frozenset({"engaged"}), "open", _TIMER, "NeedReopened"),
        Step("fulfil", frozenset({"engaged"}), "fulfilled", _TIMER, "NeedFulfilled"),
    ),
)
EDITS = Lifecycle[Standing](
    "need",
    (Step("change", frozenset({"draft", "open"}), None, WRITERS_OR_OPERATOR, "NeedUpdated"),),
)


@dataclass(frozen=True, slots=True)
class Place:
    """One formalised match of a need: `running`, `completed` or `cancelled` (and then whether the need seeks again)."""

    state: str
    reopens: bool = False


def check_deadline(deadline: date, today: date) -> None:
    """After today, at most two years away."""
    if deadline <= today:
        raise Invalid("/deadline", f"Must be after today, {today}")
    if deadline > years_later(today, DEADLINE_YEARS):
        raise Invalid("/deadline", f"Must be at most {DEADLINE_YEARS} years away")


def is_over(deadline: date, today: date) -> bool:
    """A need is open until the end of its deadline's day."""
    return deadline < today


def check_partners_wanted(wanted: int, places: Iterable[Place]) -> None:
    """An open need has a free place; fewer places than are taken would close it by the back door."""
    taken = sum(place.state != "cancelled" for place in places)
    if wanted <= taken:
        raise Invalid("/partners_wanted", f"{taken} partners are engaged already; ask for more than that")


def status_after(current: str, places: Iterable[Place], wanted: int, *, over: bool, reopened: bool) -> str:
    """The status that the fates of all its matches give a need, in whatever order they became known.

    `over`: the deadline has passed. `reopened`: the news just heard is a cancelled project whose need seeks again.
    """
    counts = Counter(_kind(place) for place in places)
    taken = counts["running"] + counts["completed"]
    if counts["completed"] >= wanted:
        return "fulfilled"  # what seems to run beside that is an earlier partner's, whose end was not heard yet
    if taken >= wanted or (counts["closed"] and taken):
        return "engaged" if counts["running"] else "fulfilled"
    if counts["closed"]:
        return "withdrawn"
    if current in ("engaged", "fulfilled") or reopened:
        return "expired" if over else "open"
    return current


def _kind(place: Place) -> str:
    return "closed" if place.state == "cancelled" and not place.reopens else place.state
