"""Notifications put together: the only place where its parts meet."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from services.notifications.api import feed, inbox, threads, webhooks
from services.notifications.channels.ssrf import Guard
from services.notifications.channels.webhook import WebhookClient
from services.notifications.commands.dead_letters import tell_dead_letters
from services.notifications.commands.deliveries import purge_deliveries
from services.notifications.commands.webhooks import disable_failing
from services.notifications.dispatcher import Dispatcher
from services.notifications.handlers import HEARD, handlers
from services.notifications.parts import Parts
from services.notifications.sequencer import Sequencer
from services.notifications.signals import Signals
from services.notifications.tables import KERNEL, Base
from shared.data.scheduler import Task
from shared.events.notifications import EVENTS, WebhookTest
from shared.events.topics import TOPICS
from shared.messaging.envelope import Visibility
from shared.messaging.outbox import Source
from shared.reference.examples import EXAMPLES
from shared.service import Service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.notifications.settings import Settings
    from shared.messaging.transaction import Tx
    from shared.service import Running, Worker

MIGRATIONS = Path(__file__).parent / "migrations"


def build(settings: Settings) -> Service:
    """The service of these settings."""
    parts = Parts(
        source=Source(settings.source, settings.base_url),
        guard=Guard(settings.allowed_nets, http_allowed=settings.embedded),
        signals=Signals(),
    )
    return Service(
        settings=settings,
        routers=[inbox.router, webhooks.router, feed.router, threads.router],
        examples=EXAMPLES,
        metadata=Base.metadata,
        kernel=KERNEL,
        migrations=MIGRATIONS,
        topics=TOPICS,
        publishes=[*EVENTS, WebhookTest],
        delivers=[*(event for event in (*HEARD, *EVENTS) if event.visibility is not Visibility.PRIVATE), WebhookTest],
        handlers=handlers(parts.signals),
        tasks=_tasks(parts, settings),
        workers=lambda running: _workers(running, parts, settings),
        state={"parts": parts},
    )


def _workers(running: Running, parts: Parts, settings: Settings) -> Sequence[Worker]:
    dispatcher = Dispatcher(
        running,
        parts.signals,
        WebhookClient(parts.guard),
        parts.source,
        total=settings.webhook_concurrency,
        each=settings.webhook_concurrency_each,
    )
    return [Sequencer(running, parts.signals), dispatcher]


def _tasks(parts: Parts, settings: Settings) -> list[Task]:
    async def letters(tx: Tx) -> int:
        return await tell_dead_letters(tx, parts.signals)

    async def failing(tx: Tx) -> int:
        return await disable_failing(tx, parts.source)

    async def old(tx: Tx) -> int:
        return await purge_deliveries(tx, timedelta(days=settings.delivery_retention_days))

    return [
        Task("tell dead letters", letters, idle_seconds=4),  # nothing is published when one is buried
        Task("disable failing webhooks", failing, 60),
        Task("purge deliveries", old, 600),
    ]
