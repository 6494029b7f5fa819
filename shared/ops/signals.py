"""SIGTERM and SIGINT before there is an event loop.

It imports next to nothing: a service calls it before the second of imports in which a signal would otherwise end the
process with -15, as if it had failed.
"""

from __future__ import annotations

import os
import signal
import sys

ENDING = (signal.SIGTERM, signal.SIGINT)
_LASTING = ("run", "up")
"""Commands that are meant to be ended by a signal. Any other that is ended has not done what it was asked for."""


def end_in_order_from_the_start() -> None:
    """Until others take over, a signal ends `run` and `up` with 0: nothing has begun yet that must be undone."""
    if sys.argv[1:2] and sys.argv[1] in _LASTING:
        for number in ENDING:
            signal.signal(number, lambda _number, _frame: os._exit(0))
