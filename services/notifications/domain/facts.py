"""What the words about an event are made of, taken from its state once, when it comes in.

`{"who": {placeholder: {"id", "name", "country"}}, "words": {placeholder: text}, "reason": code or null}`; names
are looked up again when the words are read, so they are today's.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from services.notifications.domain.recipients import invited
from services.notifications.domain.webhooks import place_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.notifications.domain.happening import Happening

State = dict[str, Any]
Facts = dict[str, Any]
REASON = "reason"


def facts_of(event: Happening) -> Facts:
    """The facts of one event; an unknown resource has no words but its name."""
    known = _BY_RESOURCE.get(event.resource)
    who, words = known(event.state, event) if known else ({}, {})
    who["actor"] = {"id": str(event.actor) if event.actor else None, "via": event.via}
    return {"who": who, "words": {"name": event.name, **words}, REASON: _reason(event.state)}


def placeholders_of(event: Happening) -> set[str]:
    """What a template of this event may name."""
    facts = facts_of(event)
    return {*facts["who"], *facts["words"], REASON}


def _reason(state: State) -> str | None:
    """The reason's code; that of a dispute stands with its delivery."""
    reasons = [state.get(REASON), *(d.get(REASON) for d in state.get("deliveries", []))]
    return next((str(reason["code"]) for reason in reversed(reasons) if reason), None)


def _named(reference: State) -> State:
    identity = reference.get("institution_id") or reference.get("id")
    return {"id": identity, "name": reference.get("name"), "country": reference.get("country")}


def _only_id(institution_id: str | None) -> State:
    return {"id": institution_id, "name": None, "country": None}


def _day(moment: str | None) -> str:
    return (moment or "")[:10] or "—"


Parts = tuple[dict[str, State], dict[str, str]]


def _institution(state: State, _event: Happening) -> Parts:
    return {"institution": _named(state)}, {"date": _day(state.get("verified_until"))}


def _capability(state: State, _event: Happening) -> Parts:
    return {"institution": _named(state["institution"])}, {"title": state["title"], "date": _day(state["renew_by"])}


def _need(state: State, _event: Happening) -> Parts:
    return {"institution": _named(state["institution"])}, {"title": state["title"], "date": _day(state["deadline"])}


def _verification(state: State, _event: Happening) -> Parts:
    return {"institution": _only_id(state["institution_id"])}, {}


def _centre(state: State, _event: Happening) -> Parts:
    return {}, {"title": state["name"], "status": state["status"].replace("_", " ")}


def _country(state: State, _event: Happening) -> Parts:
    return {}, {"title": state["name"]}


def _match(state: State, event: Happening) -> Parts:
    who = {side: _named(state[side]) for side in ("beneficiary", "provider")}
    who["facilitator"] = _facilitator(state, event)
    words = {
        "title": state["need_title"],
        "capability": state["capability_title"],
        "percent": percent(state["score"]),
        "date": _day(state["expires_at"]),
    }
    return who, words


def _facilitator(match: State, event: Happening) -> State:
    """The one that was invited, or the one that joined or declined, which is the one that acted."""
    wanted = invited(match) if event.name == "FacilitatorInvited" else str(event.actor)
    found = [f for f in match["facilitators"] if f["institution_id"] == wanted]
    return _named(found[0]) if found else _only_id(None)


def percent(score: float) -> str:
    """`74` for 0.742318."""
    return str((Decimal(str(score)) * 100).quantize(Decimal(1), ROUND_HALF_UP))


def _project(state: State, _event: Happening) -> Parts:
    return {}, {"title": state["title"]}


def _agreement(state: State, _event: Happening) -> Parts:
    return {}, {"title": state["title"], "project": state["project_title"]}


def _contribution(state: State, _event: Happening) -> Parts:
    who = {"giver": _only_id(state["giver_id"]), "receiver": _only_id(state["receiver_id"])}
    return who, {"title": state["description"], "project": state["project_title"]}


def _milestone(state: State, _event: Happening) -> Parts:
    return {}, {"title": state["title"], "project": state["project_title"], "date": _day(state["due_on"])}


def _report(state: State, _event: Happening) -> Parts:
    return {}, {"project": state["project_title"]}


def _practice(state: State, _event: Happening) -> Parts:
    return {}, {"title": state["title"], "project": state["project_title"]}


def _webhook(state: State, _event: Happening) -> Parts:
    return {"institution": _only_id(state["institution_id"])}, {"url": place_of(state["url"])}


_BY_RESOURCE: dict[str, Callable[[State, Happening], Parts]] = {
    "institution": _institution,
    "capability": _capability,
    "need": _need,
    "verification": _verification,
    "centre": _centre,
    "country": _country,
    "trade_profile": _country,
    "match": _match,
    "project": _project,
    "agreement": _agreement,
    "contribution": _contribution,
    "milestone": _milestone,
    "report": _report,
    "practice": _practice,
    "webhook": _webhook,
}


def dead_letter_facts(topic: str, error: str) -> Facts:
    """The facts of a record that could not be handled."""
    return {"who": {}, "words": {"name": "DeadLetterAdded", "topic": topic, "error": error}, REASON: None}
