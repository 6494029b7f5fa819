"""Reading marks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.notifications.store import inbox

if TYPE_CHECKING:
    from uuid import UUID

    from shared.messaging.transaction import Tx
    from shared.web.auth import Caller


async def mark_read(tx: Tx, caller: Caller, entry_id: UUID) -> None:
    """For this `sub` alone; 404 when the entry is not addressed to the caller."""
    entry = await inbox.get_visible(tx.session, caller, entry_id)
    await inbox.mark_read(tx, caller.sub, entry.id)
