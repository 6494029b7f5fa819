"""Reports: the completion report is signed by every partner in a role on the day of completion."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from shared.lifecycle import Guard, Lifecycle, Step


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """`to_sign`: it is a completion report; `signed`: the caller's institution has signed."""

    to_sign: bool
    signed: bool
    project_started: bool


_TO_SIGN: Guard[ReportFacts] = Guard(
    "invalid_transition", "Only the completion report is signed.", lambda facts: facts.to_sign
)
_STARTED: Guard[ReportFacts] = Guard(
    "invalid_transition", "The project is not under way.", lambda facts: facts.project_started
)
_ONCE: Guard[ReportFacts] = Guard("invalid_transition", "You have signed this already.", lambda facts: not facts.signed)

REPORT = Lifecycle[ReportFacts](
    "report",
    (
        # from `signed` too: a partner that joined since then still has to sign, and the report stays signed
        Step(
            "sign",
            frozenset({"submitted", "signed"}),
            "signed",
            frozenset({"ever:owner"}),
            "ReportSigned",
            signs=True,
            guards=(_TO_SIGN, _STARTED, _ONCE),
        ),
    ),
)


def covers(signed: Collection[UUID], wanted: Collection[UUID]) -> bool:
    """Whether everybody wanted has signed; an empty circle is not a signature."""
    return bool(wanted) and set(signed) >= set(wanted)
