"""Scheduled changes of a country's status change nothing until an operator confirms or amends them."""

from __future__ import annotations

from shared.lifecycle import NotNow
from shared.reference import countries


def check_scheduled(code: str, group: str) -> None:
    """Raises `invalid_transition` when no end of this status is scheduled for the country."""
    scheduled = [row.status for row in countries.history(code) if row.scheduled]
    if group not in scheduled:
        raise NotNow(f"No change of '{group}' is scheduled for {code}.", group, scheduled)
