"""What the parts of one running notifications service share; made once in `app.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

if TYPE_CHECKING:
    from services.notifications.channels.ssrf import Guard
    from services.notifications.signals import Signals
    from shared.messaging.outbox import Source


@dataclass(frozen=True)
class Parts:
    """`source` names this service in its events, `guard` judges webhook URLs, `signals` wake the workers."""

    source: Source
    guard: Guard
    signals: Signals


async def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.running.state["parts"]
    return parts


PartsDep = Annotated[Parts, Depends(_parts)]
