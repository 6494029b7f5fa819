"""How long to wait before the next attempt."""

from __future__ import annotations

import asyncio
import random

BACKOFF_SECONDS = (0.2, 10.0)


def backoff(failures: int) -> float:
    """Seconds: longer with each failure up to a limit, with jitter so that many do not come back at once."""
    low, high = BACKOFF_SECONDS
    return float(min(high, low * 2 ** min(failures, 10))) * random.uniform(0.5, 1.0)  # noqa: S311 (jitter)


async def wait(stop: asyncio.Event, seconds: float) -> None:
    """Until the time has passed or `stop` is set."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
