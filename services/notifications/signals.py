"""How the parts of one process wake each other. Polling is the truth, a wake only makes it quick."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Bell:
    """Rings for everybody who listens; each listener has an event of its own, so no ring is missed."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Event] = set()

    def ring(self) -> None:
        """Something new can be read."""
        for listener in self._listeners:
            listener.set()

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """The listener's event; to be cleared before reading."""
        listener = asyncio.Event()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def __len__(self) -> int:
        return len(self._listeners)


@dataclass
class Signals:
    """`intake`: rows wait for a place; `stamped`: streams can read on; `due`: deliveries can be sent."""

    intake: asyncio.Event = field(default_factory=asyncio.Event)
    due: asyncio.Event = field(default_factory=asyncio.Event)
    stamped: Bell = field(default_factory=Bell)


async def wait_any(seconds: float, *events: asyncio.Event) -> None:
    """Returns when one of the events is set or the time has passed."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
