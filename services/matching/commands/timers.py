"""What time alone brings about. Due is a condition on rows, so nothing is forgotten over a downtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import col

from services.matching.commands.moves import tell_as_system
from services.matching.commands.reconcile import expire
from services.matching.store import matches, policies, queue
from services.matching.tables import MatchRow
from shared.data.scheduler import Task
from shared.events.matching import MatchReminderDue

if TYPE_CHECKING:
    from datetime import datetime

    from services.matching.store.matches import Match
    from shared.messaging.transaction import Tx

BATCH = 100


async def expire_due(tx: Tx) -> int:
    """Ends open matches whose time is over, and lets the next capability take the place."""
    moved = 0
    for need_id in await matches.due_needs(tx, col(MatchRow.expires_at), tx.now, BATCH):
        # read again under the lock: whoever answered in between has won
        over = [match for match in await matches.lock_open(tx, need_id) if _is_over(match, tx.now)]
        for match in over:
            expire(tx, match)
        if over:
            await queue.need_changed(tx, need_id)
        moved += len(over)
    return moved


def _is_over(match: Match, now: datetime) -> bool:
    return match.row.expires_at is not None and match.row.expires_at <= now


async def remind_due(tx: Tx) -> int:
    """Tells, once, the side that has not answered that seven days are left."""
    moved = 0
    for need_id in await matches.due_needs(tx, col(MatchRow.remind_at), tx.now, BATCH):
        for match in await matches.lock_open(tx, need_id):
            row = match.row
            if row.remind_at is not None and row.remind_at <= tx.now:
                row.remind_at, moved = None, moved + 1
                if row.expires_at is not None and row.expires_at > tx.now:
                    tell_as_system(tx, MatchReminderDue, match)
    return moved


async def sweep(tx: Tx) -> int:
    """Once a day: builds the index again and looks at every live need. The net below everything else.

    It also ends quiet periods, and notices what only a date changes (a bloc left, a renewal date passed).
    """
    if not await policies.first_today(tx, "sweep", tx.clock.today()):
        return 0
    await queue.reload(tx)
    await queue.push_live_needs(tx)
    return 1


TASKS = (
    Task("expire matches", expire_due),
    Task("remind sides", remind_due),
    Task("nightly sweep", sweep, 5),
)
