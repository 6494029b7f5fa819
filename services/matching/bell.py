"""Wakes the engine's worker in this process after a commit that left it work. Polling stays the truth."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Bell:
    """Rings every worker that listens in this process."""

    def __init__(self) -> None:
        self._listening: set[asyncio.Event] = set()

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """An event that is set at each ring, for as long as the block lasts."""
        event = asyncio.Event()
        self._listening.add(event)
        try:
            yield event
        finally:
            self._listening.discard(event)

    def ring(self) -> None:
        """There is work."""
        for event in self._listening:
            event.set()


BELL = Bell()


async def wait(event: asyncio.Event, stop: asyncio.Event, seconds: float) -> None:
    """Returns when the bell rings, when `stop` is set, or when the time has passed; resets the bell."""
    waits = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(stop.wait())]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiting in waits:
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting
        event.clear()
