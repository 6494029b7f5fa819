"""What must hold when an owner confirms a match (contract sections 7 and 18, in that order)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.lifecycle import Refused

VERIFIED, SUSPENDED = "verified", "suspended"
NOT_OPEN = frozenset({"withdrawn", "expired", "fulfilled"})
CODES = frozenset(
    {
        "institution_not_verified",
        "institution_suspended",
        "need_not_open",
        "need_already_engaged",
        "capacity_exhausted",
    }
)
TAKES_A_PLACE = frozenset({"active", "completed"})
"""States of an engagement that use one of the partners a need wants; a cancelled one gives it back."""


@dataclass(frozen=True, slots=True)
class Situation:
    """The rows as they are under the locks."""

    parties: Sequence[tuple[str, str | None]]
    """Name and standing of both principals; None for one we have not heard of."""
    need_status: str
    partners_wanted: int
    partners_found: int
    capacity: int
    engaged: int


def check(found: Situation) -> None:
    """Raises the first refusal that applies."""
    for name, standing in found.parties:
        if standing not in (VERIFIED, SUSPENDED):
            raise Refused(
                "institution_not_verified",
                f"{name} is not verified; a match is formalised between verified institutions.",
            )
    for name, standing in found.parties:
        if standing == SUSPENDED:
            raise Refused("institution_suspended", f"{name} is suspended.")
    if found.need_status in NOT_OPEN:
        raise Refused("need_not_open", f"The need is {found.need_status}.")
    if found.partners_found >= found.partners_wanted:
        raise Refused("need_already_engaged", f"The need has the {found.partners_wanted} partner(s) it wanted.")
    if found.engaged >= found.capacity:
        raise Refused(
            "capacity_exhausted",
            f"All {found.capacity} place(s) of the capability are taken; one is free when a project ends.",
        )
