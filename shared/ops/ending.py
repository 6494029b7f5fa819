"""SIGTERM and SIGINT once there is an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

from shared.ops.signals import ENDING

if TYPE_CHECKING:
    from types import FrameType


def stop_event() -> asyncio.Event:
    """Set at SIGTERM or SIGINT from now on; to be asked for before anything is started."""
    asked, loop = asyncio.Event(), asyncio.get_running_loop()

    def ask(_number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed: all has ended already
            loop.call_soon_threadsafe(asked.set)

    # not the loop's own handlers: it takes them away when it closes, and a second SIGTERM would spoil the end
    for number in ENDING:
        signal.signal(number, ask)
    return asked
