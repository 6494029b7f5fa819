"""SIGTERM and SIGINT once there is an event loop, and the end of the process after them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from shared.ops.signals import ENDING

if TYPE_CHECKING:
    from types import FrameType


LAST_SECONDS = 1.0


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


def leave() -> None:
    """The process ends with 0 within a second, though a thread of it still computes.

    To be said when all has ended in order: Python waits for its threads for as long as they take, a minute for a large
    round. Nobody asks for what they find any more, and they write nothing.
    """
    last = threading.Timer(LAST_SECONDS, _exit)
    last.daemon = True
    last.start()


def _exit() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(0)
