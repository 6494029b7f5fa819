"""Milestones: reached or waived, or they hold up the completion."""

from __future__ import annotations

from dataclasses import dataclass

from services.projects.domain.projects import LEADERS_AND_OPERATOR
from shared.lifecycle import Guard, Lifecycle, Step


@dataclass(frozen=True, slots=True)
class MilestoneFacts:
    """`running`: the project has not ended."""

    running: bool


_RUNNING: Guard[MilestoneFacts] = Guard("invalid_transition", "The project has ended.", lambda facts: facts.running)
_PLANNED = frozenset({"planned"})

MILESTONE = Lifecycle[MilestoneFacts](
    "milestone",
    (
        Step("reach", _PLANNED, "reached", LEADERS_AND_OPERATOR, "MilestoneReached", guards=(_RUNNING,)),
        Step("waive", _PLANNED, "waived", LEADERS_AND_OPERATOR, "MilestoneWaived", guards=(_RUNNING,)),
    ),
)
