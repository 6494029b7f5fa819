"""The life of a project, and who may do what in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from shared.lifecycle import SYSTEM, Guard, Invalid, Lifecycle, Step
from shared.reference.vocabulary import Role, needs_text


class ProjectStatus(StrEnum):
    """Contract, section 8."""

    PIPELINE = "pipeline"
    AGREED = "agreed"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    CLOSED = "closed"
    CANCELLED = "cancelled"


RUNNING = frozenset({"pipeline", "agreed", "active", "suspended"})
STARTED = frozenset({"active", "suspended"})
DONE = frozenset({"completed", "closed"})

# hats: a leader holds the role beneficiary or pivotal, a partner any role; "ever" counts past partners too
LEADERS = frozenset({"leader:owner"})
LEADERS_AND_OPERATOR = LEADERS | {"operator"}
PARTNERS = frozenset({"partner:owner", "partner:editor"})
EVER_PARTNERS = frozenset({"ever:owner", "ever:editor"})


@dataclass(frozen=True, slots=True)
class ProjectFacts:
    """What the steps of a project depend on beyond its status; `completed_on` moves the last two."""

    agreed: bool
    roles: frozenset[str]
    partner_suspended: bool
    milestones_open: bool
    report_signed: bool


_AGREED: Guard[ProjectFacts] = Guard(
    "agreement_not_signed",
    "No agreement between a beneficiary and a pivotal partner is signed by all its parties yet.",
    lambda facts: facts.agreed,
)
_BOTH_SIDES: Guard[ProjectFacts] = Guard(
    "partners_incomplete",
    "A beneficiary and a pivotal partner are needed; add the one that is missing.",
    lambda facts: facts.roles >= {Role.BENEFICIARY, Role.PIVOTAL},
)
_NOBODY_SUSPENDED: Guard[ProjectFacts] = Guard(
    "institution_suspended",
    "A partner is suspended; it must be reinstated, or leave, first.",
    lambda facts: not facts.partner_suspended,
)
_NO_MILESTONE_OPEN: Guard[ProjectFacts] = Guard(
    "milestones_open", "A milestone is neither reached nor waived.", lambda facts: not facts.milestones_open
)
_REPORT_SIGNED: Guard[ProjectFacts] = Guard(
    "completion_report_not_signed",
    "The completion report must be signed by all partners in a role on the day of completion.",
    lambda facts: facts.report_signed,
)

PROJECT = Lifecycle[ProjectFacts](
    "project",
    (
        Step("agree", frozenset({"pipeline"}), "agreed", frozenset({SYSTEM}), "AgreementSigned"),
        Step(
            "start",
            frozenset({"pipeline", "agreed"}),
            "active",
            LEADERS,
            "ProjectStarted",
            guards=(_AGREED, _BOTH_SIDES, _NOBODY_SUSPENDED),
        ),
        Step("suspend", frozenset({"active"}), "suspended", LEADERS_AND_OPERATOR | {SYSTEM}, "ProjectSuspended"),
        Step(
            "resume",
            frozenset({"suspended"}),
            "active",
            LEADERS_AND_OPERATOR,
            "ProjectResumed",
            guards=(_NOBODY_SUSPENDED,),
        ),
        Step(
            "complete",
            frozenset({"active"}),
            "completed",
            LEADERS,
            "ProjectCompleted",
            guards=(_NO_MILESTONE_OPEN, _REPORT_SIGNED),
        ),
        Step("close", frozenset({"completed"}), "closed", LEADERS_AND_OPERATOR, "ProjectClosed"),
        Step("cancel", RUNNING, "cancelled", LEADERS_AND_OPERATOR, "ProjectCancelled"),
    ),
)

# what may be added to a project while its status stays: kept apart from the state changes that `actions` lists
WORK = Lifecycle[None](
    "project",
    (
        Step("edit", RUNNING, None, LEADERS_AND_OPERATOR, ""),
        Step("partners", RUNNING, None, LEADERS_AND_OPERATOR, "PartnerRoleChanged"),
        Step("leave", RUNNING, None, LEADERS_AND_OPERATOR, "PartnerRoleChanged"),
        Step("milestones", RUNNING, None, LEADERS_AND_OPERATOR, "MilestonePlanned"),
        Step("agreements", RUNNING, None, PARTNERS, "AgreementProposed"),
        Step("contributions", RUNNING, None, PARTNERS, "ContributionPledged"),
        Step("progress reports", RUNNING, None, PARTNERS, "ReportSubmitted"),
        Step("completion reports", STARTED, None, PARTNERS, "ReportSubmitted"),
    ),
)


def check_reason(code: str, text: str | None) -> dict[str, str | None]:
    """A reason as it is stored; `other` needs words (422)."""
    if needs_text(code) and not (text or "").strip():
        raise Invalid("/text", "Required with the code 'other'", "missing")
    return {"code": code, "text": text}


def check_not_future(day: date, today: date, pointer: str) -> None:
    """422 for a day that has not come."""
    if day > today:
        raise Invalid(pointer, f"Must not be in the future; today is {today}", "in_future")


def check_completion_day(completed_on: date, started_on: date | None, today: date) -> None:
    """The work cannot end in the future, nor before it began."""
    check_not_future(completed_on, today, "/completed_on")
    if started_on is not None and completed_on < started_on:
        raise Invalid("/completed_on", f"The project started on {started_on}; it cannot be completed before")


def check_plan(start: date | None, end: date | None) -> None:
    """A plan cannot end before it begins."""
    if start is not None and end is not None and end < start:
        raise Invalid("/planned_end_on", f"Must not be before the planned start, {start}")
