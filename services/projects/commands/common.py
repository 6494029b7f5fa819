"""What all state changes have in common."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, TypeVar

from shared.lifecycle import Lifecycle, Refused, Step
from shared.messaging.transaction import Tx
from shared.web.auth import Caller
from shared.web.versions import Precondition

Facts = TypeVar("Facts")


class Versioned(Protocol):
    """A row with a lifecycle."""

    version: int
    status: str
    updated_at: datetime


def admit(
    lifecycle: Lifecycle[Facts],
    action: str,
    row: Versioned,
    facts: Facts,
    hats: frozenset[str],
    caller: Caller,
    if_match: Precondition,
) -> Step[Facts]:
    """The step that applies. 403 comes before 428 and 412, and these before 409."""
    try:
        step = lifecycle.check(action, row.status, facts, hats, can_sign=caller.can_sign)
    except Refused as refused:
        if refused.code != "forbidden":
            if_match.check(row.version)
        raise
    if_match.check(row.version)
    return step


def changed(tx: Tx, row: Versioned, status: str | None = None) -> None:
    """One more version, in another status if given."""
    row.status = status or row.status
    row.version += 1
    row.updated_at = tx.now
