"""Matching put together: the only place where its parts meet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from services.matching.allocator import Allocator
from services.matching.api import ROUTERS
from services.matching.commands.timers import TASKS
from services.matching.engine.policy import POLICY_1
from services.matching.handlers import HANDLERS
from services.matching.ranking import Ranker
from services.matching.snapshot import snapshot
from services.matching.store import policies
from services.matching.tables import KERNEL, Base
from services.matching.worker import Worker
from shared.events import matching
from shared.events.topics import TOPICS
from shared.reference.examples import EXAMPLES
from shared.service import Service

if TYPE_CHECKING:
    from services.matching.settings import Settings
    from shared.service import Running


def build(settings: Settings) -> Service:
    """The service with these settings."""
    ranker = Ranker()

    async def prepare(running: Running) -> None:
        async with running.transactions.background() as tx:
            await policies.seed(tx, POLICY_1)
        await ranker.load(running.transactions)

    return Service(
        settings=settings,
        routers=ROUTERS,
        examples=EXAMPLES,
        metadata=Base.metadata,
        kernel=KERNEL,
        migrations=Path(__file__).parent / "migrations",
        topics=TOPICS,
        publishes=matching.EVENTS,
        handlers=HANDLERS,
        tasks=TASKS,
        workers=lambda running: [Worker(running, ranker), Allocator(running, ranker)],
        snapshot=snapshot,
        prepare=prepare,
        state={"ranker": ranker},
    )
