"""What every change of a match has in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.matching.domain.matches import OPEN
from services.matching.states import state_of
from shared.messaging.envelope import SYSTEM_BY

if TYPE_CHECKING:
    from datetime import datetime

    from services.matching.store.matches import Match
    from shared.events.matching import MatchEvent
    from shared.messaging.transaction import Tx


def move(match: Match, status: str, now: datetime) -> None:
    """The match has a new status, a new version and a new time."""
    row = match.row
    row.status, row.closed = status, status not in OPEN
    if row.closed:
        row.remind_at = None
    touch(match, now)


def touch(match: Match, now: datetime) -> None:
    """Something of the match changed."""
    match.row.version += 1
    match.row.updated_at = now


def tell(tx: Tx, event: type[MatchEvent], match: Match) -> None:
    """Publishes the state after the change, as the work of whoever caused it."""
    tx.publish(event(match=state_of(match), by=tx.by))


def tell_as_system(tx: Tx, event: type[MatchEvent], match: Match) -> None:
    """Publishes a consequence that nobody chose: both sides are told."""
    tx.publish(event(match=state_of(match), by=SYSTEM_BY))
