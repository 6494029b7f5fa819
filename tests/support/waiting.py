"""Waiting in tests: polling with a bound, never a sleep for a guessed time."""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


PATIENCE_SECONDS = float(os.environ.get("BANDUNG_TEST_PATIENCE_SECONDS", "60"))
"""Long enough for a loaded machine: what must happen within a promised time names that time."""


async def eventually(check: Callable[[], T | Awaitable[T]], seconds: float = PATIENCE_SECONDS) -> T:
    """The first truthy result of `check` that raises no AssertionError; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        last: object = None
        try:
            result = check()
            value = await result if inspect.isawaitable(result) else result
            if value:
                return value
            last = value
        except AssertionError as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {last!r}")
        await asyncio.sleep(0.05)
