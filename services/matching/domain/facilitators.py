"""The life of an invitation to the facilitating role."""

from __future__ import annotations

from dataclasses import dataclass

from shared.lifecycle import Guard, Lifecycle, Step

INVITED, JOINED, DECLINED, LAPSED = "invited", "joined", "declined", "lapsed"


@dataclass(frozen=True, slots=True)
class InvitationFacts:
    """The status of the match the invitation belongs to."""

    match_status: str


OPEN_MATCH: Guard[InvitationFacts] = Guard(
    "invalid_transition",
    "Facilitating partners join a match while it is accepted, before it is formalised.",
    lambda facts: facts.match_status == "accepted",
)
_INVITED = frozenset({INVITED})
_INVITEE = frozenset({"facilitator:owner", "facilitator:editor"})

LIFECYCLE = Lifecycle[InvitationFacts](
    "invitation",
    (
        Step("join", _INVITED, JOINED, _INVITEE, "FacilitatorJoined", guards=(OPEN_MATCH,)),
        Step("decline", _INVITED, DECLINED, _INVITEE, "FacilitatorDeclined", guards=(OPEN_MATCH,)),
    ),
)
PRINCIPALS = frozenset(f"{side}:{role}" for side in ("beneficiary", "provider") for role in ("owner", "editor"))
"""Who may invite: an owner or editor of either side."""
