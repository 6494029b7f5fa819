"""The policy in force and the present state of every match, for readers that start over."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from services.matching.states import policy_state, state_of
from services.matching.store import matches, policies
from shared.events import matching
from shared.messaging.envelope import SYSTEM_BY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.matching.store.matches import Match
    from shared.messaging.envelope import Event
    from shared.messaging.transaction import Tx

PAGE = 200
EVENT_OF: dict[str, type[matching.MatchEvent]] = {
    "proposed": matching.MatchProposed,
    "interested": matching.MatchInterestExpressed,
    "accepted": matching.MatchAccepted,
    "declined": matching.MatchDeclined,
    "expired": matching.MatchExpired,
    "withdrawn": matching.MatchWithdrawn,
}
"""The event after which a match is in this status. A formalised one also carries its project, see `_event`."""


async def snapshot(tx: Tx) -> AsyncIterator[Event]:
    """The policy, then one event per match, in id order, each row being held."""
    rows = await policies.lock_all(tx)
    for row in rows.values():
        if row.status == policies.ACTIVE:
            yield matching.PolicyActivated(policy=policy_state(row), by=SYSTEM_BY)
    last = UUID(int=0)
    while found := await matches.in_id_order(tx, last, PAGE):
        for match in found:
            yield await _event(tx, match)
        last = found[-1].row.id


async def _event(tx: Tx, match: Match) -> Event:
    state = state_of(match)
    if state.status == "formalised":
        return matching.MatchFormalised(match=state, project=await _seed(tx, match), by=SYSTEM_BY)
    if state.status == "accepted" and state.confirmations:
        return matching.MatchConfirmed(match=state, by=SYSTEM_BY)
    return EVENT_OF[state.status](match=state, by=SYSTEM_BY)


async def _seed(tx: Tx, match: Match) -> matching.ProjectSeed:
    """What the project was opened with."""
    engagement = await matches.engagement(tx, match.row.id)
    assert engagement is not None  # noqa: S101 (a match is formalised together with its engagement)
    return matching.ProjectSeed.model_validate(engagement.seed)
