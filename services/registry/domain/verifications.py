"""Due diligence: five answers, and a second pair of eyes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.registry.domain.common import STAFF
from shared.lifecycle import Guard, Lifecycle, NotNow, Refused, Step


@dataclass(frozen=True, slots=True)
class Facts:
    """What a decision depends on."""

    all_met: bool
    suspended: bool


_MET: Guard[Facts] = Guard(
    "due_diligence_not_met",
    "At least one of the five answers is no; reject it, or have it submitted again.",
    lambda f: f.all_met,
)
_IN_GOOD_STANDING: Guard[Facts] = Guard(
    "institution_suspended", "The institution is suspended; reinstate it first.", lambda f: not f.suspended
)
_SUBMITTED = frozenset({"submitted"})

LIFECYCLE = Lifecycle[Facts](
    "verification",
    (
        Step("approve", _SUBMITTED, "approved", STAFF, "InstitutionVerified", guards=(_MET, _IN_GOOD_STANDING)),
        Step("reject", _SUBMITTED, "rejected", STAFF, "VerificationRejected"),
    ),
)


def facts_of(answers: Mapping[str, Mapping[str, Any]], institution_status: str) -> Facts:
    """The facts of one questionnaire."""
    return Facts(all(answer["answer"] for answer in answers.values()), institution_status == "suspended")


def check_four_eyes(submitted_by: str, decider: str) -> None:
    """Whoever submitted it does not approve it."""
    if submitted_by == decider:
        raise Refused("four_eyes_required", "You submitted this verification; somebody else must approve it.")


def check_none_open(*, has_open: bool) -> None:
    """One question at a time."""
    if has_open:
        raise NotNow("A verification of this institution is waiting for its decision already.", "submitted", [])
