"""The life of a match: who may move it from where, and how long it waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from shared.lifecycle import Guard, Invalid, Lifecycle, Step
from shared.reference.vocabulary import needs_text

BENEFICIARY, PROVIDER, FACILITATOR = "beneficiary", "provider", "facilitator"
SIDES = (BENEFICIARY, PROVIDER)
OPEN = frozenset({"proposed", "interested", "accepted"})
STATUSES = ("proposed", "interested", "accepted", "formalised", "declined", "expired", "withdrawn")

PROPOSAL_LASTS = timedelta(days=21)
ACCEPTANCE_LASTS = timedelta(days=30)
REMINDER_BEFORE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class MatchFacts:
    """What each side has said so far."""

    beneficiary: str | None
    provider: str | None
    confirmations: tuple[str, ...] = ()


def _writers(side: str) -> frozenset[str]:
    return frozenset({f"{side}:owner", f"{side}:editor"})


def _interest(side: str) -> Step[MatchFacts]:
    silent: Guard[MatchFacts] = Guard(
        "invalid_transition",
        "Your side has answered already; now it is the other's turn.",
        lambda facts: getattr(facts, side) is None,
    )
    sources = frozenset({"proposed", "interested"})
    return Step("express-interest", sources, "interested", _writers(side), "MatchInterestExpressed", guards=(silent,))


def _confirmation(side: str) -> Step[MatchFacts]:
    first: Guard[MatchFacts] = Guard(
        "invalid_transition",
        "Your side has confirmed already; the other owner has to confirm too.",
        lambda facts: side not in facts.confirmations,
    )
    owner = frozenset({f"{side}:owner"})
    return Step("formalise", frozenset({"accepted"}), None, owner, "MatchFormalised", signs=True, guards=(first,))


PROVIDER_FIRST: Guard[MatchFacts] = Guard(
    "provider_not_interested",
    "The provider has not said yet that it is interested; accepting comes after that.",
    lambda facts: facts.provider == "interested",
)

LIFECYCLE = Lifecycle[MatchFacts](
    "match",
    (
        _interest(BENEFICIARY),
        _interest(PROVIDER),
        Step(
            "accept",
            frozenset({"proposed", "interested"}),
            "accepted",
            _writers(BENEFICIARY),
            "MatchAccepted",
            guards=(PROVIDER_FIRST,),
        ),
        Step("decline", OPEN, "declined", _writers(BENEFICIARY) | _writers(PROVIDER), "MatchDeclined"),
        _confirmation(BENEFICIARY),
        _confirmation(PROVIDER),
        Step("expire", OPEN, "expired", frozenset({"system"}), "MatchExpired"),
        Step("withdraw", OPEN, "withdrawn", frozenset({"system"}), "MatchWithdrawn"),
    ),
)


def end_of(day: date) -> datetime:
    """The first moment after a UTC day."""
    return datetime.combine(day + timedelta(days=1), time(), UTC)


def proposal_expires(now: datetime, deadline: date) -> datetime:
    """The earlier of 21 days and the end of the need's deadline day."""
    return min(now + PROPOSAL_LASTS, end_of(deadline))


def acceptance_expires(now: datetime, deadline: date) -> datetime:
    """The earlier of 30 days after accepting and the end of the need's deadline day."""
    return min(now + ACCEPTANCE_LASTS, end_of(deadline))


def reminder_due(now: datetime, expires_at: datetime) -> datetime | None:
    """Seven days before the end, None when that moment is past already."""
    due = expires_at - REMINDER_BEFORE
    return due if due > now else None


def check_reason(code: str, text: str | None) -> None:
    """`other` must say what; raises `Invalid`."""
    if needs_text(code) and not (text or "").strip():
        raise Invalid("/text", "With the reason 'other' a text is required", "missing")
