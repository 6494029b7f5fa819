"""Named points of the kernel where a test lets its process die, stand still or fail. Off unless a setting names one.

`BANDUNG_FAILPOINTS=relay.acknowledged=kill@3` kills the process when it passes that point for the third time. Several
stand with commas between them. The settings refuse it outside embedded mode.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass

import structlog

log = structlog.get_logger(__name__)

POINTS = frozenset(
    {
        "api.answered",  # the answer is made, nothing is committed
        "api.committed",  # committed, the answer is not sent
        "relay.read",  # rows are read, nothing is sent
        "relay.acknowledged",  # Kafka has them, they are not marked
        "relay.marked",
        "consumer.handled",  # the slice had its effects, nothing is committed
        "consumer.committed",
        "round.solving",  # in the thread of the solver
        "webhook.posted",  # the endpoint has answered, nothing is recorded
    }
)
ACTIONS = ("kill", "fail", "block")


class FailedOnPurposeError(ConnectionError):
    """What the action `fail` raises: it looks like a fault of the infrastructure."""


@dataclass
class _Armed:
    action: str
    seconds: float
    skip: int  # how often it is passed unharmed
    once: bool  # at that passing alone


_armed: dict[str, _Armed] = {}


def parse(spec: str) -> dict[str, _Armed]:
    """`point=action[:seconds][@passing]`, comma separated. Raises ValueError for anything that is not known."""
    return dict(_one(part.strip()) for part in spec.split(",") if part.strip())


def _one(text: str) -> tuple[str, _Armed]:
    point, _, rest = text.partition("=")
    words, _, passing = rest.partition("@")
    action, _, seconds = words.partition(":")
    if point not in POINTS or action not in ACTIONS:
        msg = f"{text!r} is no failpoint: {', '.join(sorted(POINTS))} with {', '.join(ACTIONS)}"
        raise ValueError(msg)
    return point, _Armed(action, float(seconds or 0), int(passing or 1) - 1, bool(passing))


def arm(spec: str) -> None:
    """From now on, beside what was armed in this process before."""
    _armed.update(parse(spec))


def disarm() -> None:
    """Nothing happens any more."""
    _armed.clear()


def reach(point: str) -> None:
    """The process passes this point."""
    if _armed and point in _armed:
        _pass(point, _armed[point])


def _pass(point: str, armed: _Armed) -> None:
    if armed.skip > 0:
        armed.skip -= 1
        return
    if armed.once:
        del _armed[point]
    log.warning("failpoint", point=point, action=armed.action)
    if armed.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if armed.action == "block":
        time.sleep(armed.seconds)  # the whole event loop or thread, that is the point
        return
    msg = f"failpoint {point}"
    raise FailedOnPurposeError(msg)
