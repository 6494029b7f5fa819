"""Rounds: opened and decided by an operator; what is between is in `allocation`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.matching.domain import rounds as rules
from services.matching.store import policies, queue, rounds
from services.matching.tables import RoundRow
from shared.ops.ids import new_id

if TYPE_CHECKING:
    from uuid import UUID

    from shared.messaging.transaction import Tx
    from shared.web.auth import Caller
    from shared.web.versions import Precondition


async def open_round(tx: Tx, note: str | None) -> RoundRow:
    """Orders an allocation of all free places over all open needs, under the active policy as of today."""
    row = RoundRow(
        id=new_id(),
        version=1,
        status=rules.COMPUTING,
        note=note or None,
        policy_version=(await policies.active(tx)).version,
        as_of=tx.clock.today(),
        made_at=tx.now,
        updated_at=tx.now,
    )
    tx.session.add(row)
    await tx.audit("open", f"rounds/{row.id}")
    queue.ring(tx)
    return row


async def decide(tx: Tx, caller: Caller, round_id: UUID, action: str, if_match: Precondition) -> RoundRow:
    """Approves a round, so that its pairs become matches, or discards it."""
    row = await rounds.lock(tx, round_id)
    rules.LIFECYCLE.permit(action, caller.roles)
    if_match.check(row.version)
    step = rules.LIFECYCLE.check(action, row.status, None, caller.roles)
    move(row, step.target or row.status, tx)
    await tx.audit(action, f"rounds/{round_id}")
    queue.ring(tx)
    return row


def move(row: RoundRow, status: str, tx: Tx) -> None:
    """The round has a new status, a new version and a new time."""
    row.status, row.version, row.updated_at = status, row.version + 1, tx.now
