"""When a delivery is tried again (contract, section 13). All in real time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

SCHEDULE = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=10),
)
JITTER = 0.2
"""A wait is longer by at most this part, so that a recovering endpoint is not hit by all at once."""
LONGEST_RETRY_AFTER = SCHEDULE[-1]
ASKS_TO_WAIT = frozenset({429, 503})
GONE = 410


def is_success(http_status: int | None) -> bool:
    """2xx."""
    return http_status is not None and 200 <= http_status < 300  # noqa: PLR2004 (HTTP)


def wait_after(attempt: int, chance: float, retry_after: timedelta | None = None) -> timedelta | None:
    """How long to wait after the failed attempt number `attempt` (from 1); None when it was the last.

    `chance` is a random number in [0, 1); `retry_after` is what the endpoint asked for.
    """
    if attempt > len(SCHEDULE):
        return None
    planned = SCHEDULE[attempt - 1] * (1 + JITTER * chance)
    return max(planned, min(retry_after or planned, LONGEST_RETRY_AFTER))


def read_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """Seconds or an HTTP date; None for anything else and for the past."""
    if value is None:
        return None
    try:
        if value.strip().isascii() and value.strip().isdigit():
            return timedelta(seconds=min(int(value), 10**9))
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    wait = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    return wait if wait > timedelta(0) else None
