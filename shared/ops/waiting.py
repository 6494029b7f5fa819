"""How loops wait: for the next attempt, for an event, for each other. Polling is the truth, a wake makes it quick."""

from __future__ import annotations

import asyncio
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BACKOFF_SECONDS = (0.2, 10.0)


def backoff(failures: int) -> float:
    """Seconds: longer with each failure up to a limit, with jitter so that many do not come back at once."""
    low, high = BACKOFF_SECONDS
    return float(min(high, low * 2 ** min(failures, 10))) * random.uniform(0.5, 1.0)  # noqa: S311 (jitter)


async def wait_any(seconds: float, *events: asyncio.Event) -> None:
    """Returns when one of the events is set or the time has passed."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


class Bell:
    """Rings for everybody in this process who listens; each listener has an event of its own, so none is missed."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Event] = set()

    def ring(self) -> None:
        """There is something new."""
        for listener in self._listeners:
            listener.set()

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """The listener's event; to be cleared before looking."""
        listener = asyncio.Event()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def __len__(self) -> int:
        return len(self._listeners)
