"""Telling the operator of records that this service could not handle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, UUID, uuid5

from services.notifications.domain.facts import dead_letter_facts
from services.notifications.domain.recipients import role_recipient
from services.notifications.store import inbox
from shared.ops.ids import new_id

if TYPE_CHECKING:
    from sqlalchemy import Row

    from services.notifications.signals import Signals
    from shared.messaging.transaction import Tx

NAME = "DeadLetterAdded"
BATCH = 100


async def tell_dead_letters(tx: Tx, signals: Signals) -> int:
    """One entry per dead letter; returns how many were told."""
    letters = await inbox.untold_dead_letters(tx.session, BATCH)
    await inbox.add(tx.session, [_entry(tx, letter) for letter in letters])
    if letters:
        tx.after_commit(signals.intake.set)
    return len(letters)


def _entry(tx: Tx, letter: Row[Any]) -> dict[str, Any]:
    headers = dict(letter.headers)
    return {
        "id": new_id(),
        "recipient": role_recipient("operator"),
        "source": inbox.dead_letter_source(letter.id),
        "event_id": _event_id(headers.get("ce_id"), letter),
        "name": NAME,
        "subject": inbox.dead_letter_source(letter.id),
        "correlation": headers.get("ce_correlationid", ""),
        "template": NAME,
        "facts": dead_letter_facts(letter.topic, letter.error[:300]),
        "action_required": True,
        "due_at": None,
        "created_at": tx.now,
    }


def _event_id(given: str | None, letter: Row[Any]) -> UUID:
    """The record's own id; one made from its place in the log when it has none."""
    try:
        return UUID(given or "")
    except ValueError:
        return uuid5(NAMESPACE_URL, f"{letter.cluster}/{letter.topic}/{letter.partition}/{letter.offset}")
