"""Reactions to other services' events: every one of them is taken in."""

from __future__ import annotations

from services.notifications.commands.intake import take_in
from services.notifications.signals import Signals
from shared.events import matching, projects, registry
from shared.messaging.envelope import Event
from shared.messaging.handlers import Handlers
from shared.messaging.transaction import Tx

HEARD = (*registry.EVENTS, *matching.EVENTS, *projects.EVENTS)


def handlers(signals: Signals) -> Handlers:
    """One reaction for all events; it wakes the sequencer of this process after the commit."""
    reactions = Handlers()

    @reactions.on(*HEARD)
    async def heard(tx: Tx, event: Event) -> None:
        """Kept for ever; entries for the inboxes it concerns; passed on by feed and webhooks unless it is private."""
        if tx.cause is None:
            raise RuntimeError("a handler runs for an event")
        await take_in(tx, tx.cause, event)
        tx.after_commit(signals.intake.set)

    return reactions
