"""Capabilities: `draft -> published -> withdrawn | expired`, `expired -> published` by renewing."""

from __future__ import annotations

from datetime import date

from services.registry.domain.common import NOT_SUSPENDED, WRITERS_OR_OPERATOR, Standing, years_later
from shared.lifecycle import SYSTEM, Invalid, Lifecycle, Step

LIFECYCLE = Lifecycle[Standing](
    "capability",
    (
        Step(
            "publish",
            frozenset({"draft"}),
            "published",
            WRITERS_OR_OPERATOR,
            "CapabilityPublished",
            guards=(NOT_SUSPENDED,),
        ),
        Step("withdraw", frozenset({"published"}), "withdrawn", WRITERS_OR_OPERATOR, "CapabilityWithdrawn"),
        Step("expire", frozenset({"published"}), "expired", frozenset({SYSTEM}), "CapabilityExpired"),
        Step("renew", frozenset({"published"}), "published", WRITERS_OR_OPERATOR, "CapabilityUpdated"),
        Step(
            "renew",
            frozenset({"expired"}),
            "published",
            WRITERS_OR_OPERATOR,
            "CapabilityPublished",
            guards=(NOT_SUSPENDED,),
        ),
    ),
)
EDITS = Lifecycle[Standing](
    "capability",
    (Step("change", frozenset({"draft", "published"}), None, WRITERS_OR_OPERATOR, "CapabilityUpdated"),),
)


def default_renewal(today: date) -> date:
    """A year is long enough for a profile to stay true."""
    return years_later(today, 1)


def check_renewal(renew_by: date, today: date) -> None:
    """The day itself still counts, so today is the earliest."""
    if renew_by < today:
        raise Invalid("/renew_by", f"Must not be before today, {today}")


def is_over(renew_by: date, today: date) -> bool:
    """Whether it should have been renewed by now."""
    return renew_by < today


def check_serves(*, all_south: bool, named: bool) -> None:
    """An offer for nobody is none."""
    if not all_south and not named:
        raise Invalid("/serves", "Name countries or blocs, or set all_south")
