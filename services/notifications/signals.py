"""How the parts of one process wake each other."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from shared.ops.waiting import Bell


@dataclass
class Signals:
    """`intake`: rows wait for a place; `stamped`: streams can read on; `due`: deliveries can be sent."""

    intake: asyncio.Event = field(default_factory=asyncio.Event)
    due: asyncio.Event = field(default_factory=asyncio.Event)
    stamped: Bell = field(default_factory=Bell)
