"""Centres: a lifecycle in which every step is dated and has a source."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from datetime import date

from shared.lifecycle import Invalid, NotNow
from shared.reference.dates import first_day, precision
from shared.reference.vocabulary import CentreStatus as S

STEPS: Mapping[str, tuple[str, ...]] = {
    S.ENVISIONED: (S.UNDER_NEGOTIATION,),
    S.UNDER_NEGOTIATION: (S.TO_BE_ESTABLISHED,),
    S.TO_BE_ESTABLISHED: (S.OPERATING,),
    S.OPERATING: (S.SUSPENDED, S.HANDED_OVER, S.CLOSED),
    S.SUSPENDED: (S.OPERATING, S.HANDED_OVER, S.CLOSED),
    S.HANDED_OVER: (),
    S.CLOSED: (),
}


def check_step(current: str, target: str) -> None:
    """Raises `invalid_transition` for a step that the lifecycle does not have."""
    if target not in STEPS[current]:
        allowed = list(STEPS[current])
        says = f"The centre is {current}; " + (
            f"next can be: {', '.join(allowed)}." if allowed else "that is the end of its life."
        )
        raise NotNow(says, current, allowed)


def check_since(since: str, previous: str | None, today: date) -> None:
    """Neither in the future nor before the step it follows, as far as the precisions tell."""
    if first_day(since) > today:
        raise Invalid("/since", "Must not be in the future")
    if previous is not None and last_day(since) < first_day(previous):
        raise Invalid("/since", f"Must not be before the present status, which holds since {previous}")


def last_day(text: str) -> date:
    """The last day that a date of limited precision may mean."""
    first = first_day(text)
    if precision(text) == "year":
        return first.replace(month=12, day=31)
    if precision(text) == "month":
        return first.replace(day=calendar.monthrange(first.year, first.month)[1])
    return first


def mermaid() -> str:
    """The lifecycle as a Mermaid state diagram, for the README."""
    rows = [f"    {a} --> {b}" for a, targets in STEPS.items() for b in targets]
    return "\n".join(["stateDiagram-v2", *rows])
