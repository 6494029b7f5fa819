"""Who is told of an event, whether it is their turn, and until when (contract, sections 12 and 18)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from services.notifications.domain.happening import PRIVATE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from services.notifications.domain.happening import Happening

# platform roles that are told, beside or instead of the parties
ROLES = {"VerificationSubmitted": ("verifier",), "WebhookDisabled": ("operator",)}
# events of a match that ask somebody to answer
ASKING = frozenset({"MatchProposed", "MatchInterestExpressed", "MatchAccepted", "MatchConfirmed", "MatchReminderDue"})
# events whose one recipient must act although nobody names it: a renewal, a new verification, an endpoint to mend
OWN_TASK = frozenset({"CapabilityExpired", "InstitutionVerificationExpired", "WebhookDisabled"})
SIDES = ("beneficiary", "provider")


@dataclass(frozen=True, slots=True)
class Told:
    """One entry to make: `hat` is the recipient's part in it, for which words may differ."""

    recipient: str
    hat: str = ""
    action_required: bool = False
    due_at: datetime | None = None


def institution_recipient(institution_id: UUID) -> str:
    """The name under which an institution is told."""
    return f"institution:{institution_id}"


def role_recipient(role: str) -> str:
    """The name under which a platform role is told."""
    return f"role:{role}"


def told(event: Happening, present: Mapping[UUID, frozenset[UUID]] | None = None) -> list[Told]:
    """Everybody who is told: roles, and all parties but the one that acted.

    `present` gives the partners that have not left, of those projects of `projects_of` that are known.
    """
    entries = [Told(role_recipient(role), action_required=True) for role in ROLES.get(event.name, ())]
    if event.visibility == PRIVATE:
        return entries
    return entries + [_party(event, party) for party in sorted(_audience(event, present or {}) - {event.actor})]


def projects_of(event: Happening) -> dict[UUID, frozenset[UUID]]:
    """The projects of which the event tells a part, each with all its partners, those that left included."""
    parts = [part for part in event.data.values() if isinstance(part, dict) and "partner_ids" in part]
    return {UUID(part["project_id"]): frozenset(map(UUID, part["partner_ids"])) for part in parts}


def _audience(event: Happening, present: Mapping[UUID, frozenset[UUID]]) -> frozenset[UUID]:
    if event.name == "MatchReminderDue":
        match = event.state
        return frozenset(_side_id(match, side) for side in awaited(match))
    if event.resource == "project" and event.name != "PartnerRoleChanged":
        return event.parties & partners_on(event.state, event.day)
    projects = projects_of(event)
    if not projects:
        return event.parties
    staying = {one for project, partners in projects.items() for one in partners & present.get(project, partners)}
    # who has left still owes what it is asked for: its signature, or its word on a delivery
    return frozenset(one for one in event.parties if one in staying or _is_turn_of(event, one, ""))


def partners_on(project: dict[str, Any], day: date) -> frozenset[UUID]:
    """Partners that have not left; `to` is exclusive."""
    partners = project.get("partners", [])
    return frozenset(
        UUID(p["institution_id"]) for p in partners if p["to"] is None or date.fromisoformat(p["to"]) > day
    )


def _party(event: Happening, party: UUID) -> Told:
    hat = hat_of(event, party)
    turn = _is_turn_of(event, party, hat)
    return Told(institution_recipient(party), hat, turn, _due_at(event) if turn else None)


def hat_of(event: Happening, party: UUID) -> str:
    """`beneficiary`, `provider` or `facilitator` of a match, else nothing."""
    if event.resource != "match":
        return ""
    for side in SIDES:
        if _side_id(event.state, side) == party:
            return side
    return "facilitator" if str(party) == invited(event.state) else ""


def invited(match: dict[str, Any]) -> str | None:
    """The facilitator that was invited last and has not answered."""
    ids = [f["institution_id"] for f in match.get("facilitators", []) if f["status"] == "invited"]
    return str(ids[-1]) if ids else None


def awaited(match: dict[str, Any]) -> list[str]:
    """The sides of an open match whose answer or confirmation is missing."""
    if match["status"] == "accepted":
        return [side for side in SIDES if side not in match["confirmations"]]
    if match["status"] not in ("proposed", "interested"):
        return []
    silent = [side for side in SIDES if match["answers"][side] is None]
    # when both are interested the choice is the beneficiary's
    return silent or ["beneficiary"]


def _side_id(match: dict[str, Any], side: str) -> UUID:
    return UUID(match[side]["institution_id"])


def _is_turn_of(event: Happening, party: UUID, hat: str) -> bool:
    if event.name in ASKING:
        return hat in awaited(event.state)
    if event.name in _TURN_OF:
        return hat == _TURN_OF[event.name]
    if event.name in _NEXT:
        return str(party) in _NEXT[event.name](event.state)
    return event.name in OWN_TASK


def _unsigned(signatures: list[dict[str, Any]]) -> set[str]:
    return {s["institution_id"] for s in signatures if s["signed_on"] is None}


# the part in a match whose turn it is after these events
_TURN_OF = {"FacilitatorInvited": "facilitator", "MatchQuestionAsked": "beneficiary"}
# whose turn it is after these
_NEXT: dict[str, Callable[[dict[str, Any]], set[str]]] = {
    "AgreementProposed": lambda agreement: _unsigned(agreement["parties"]),
    "ReportSubmitted": lambda report: _unsigned(report["signatures"]),
    "ContributionDelivered": lambda contribution: {contribution["receiver_id"]},
    "ContributionDisputed": lambda contribution: {contribution["giver_id"]},
}


def _due_at(event: Happening) -> datetime | None:
    expires = event.state.get("expires_at") if event.resource == "match" else None
    return datetime.fromisoformat(expires) if expires else None
