"""A `Service` is what one of the four declares; `Running` is that declaration brought to life.

`Service` -> ASGI app + relay + consumer + scheduler + workers. The kernel knows no service by name.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import MetaData

from shared.data import migrate
from shared.data.audit import audit_table
from shared.data.database import Database
from shared.data.idempotency import Replays, idempotency_table
from shared.data.scheduler import Scheduler, Task
from shared.messaging import inbox
from shared.messaging.consumer import Consumer
from shared.messaging.delivery import Delivery
from shared.messaging.handlers import Handlers
from shared.messaging.kafka import Broker, ensure_topics
from shared.messaging.outbox import Source, outbox_tables
from shared.messaging.relay import Relay
from shared.messaging.transaction import Transactions, Tx
from shared.ops.clock import Clock
from shared.ops.faults import Fault
from shared.ops.telemetry import Metrics, shut_down, tracer_provider
from shared.web.auth import JwksCache, KeySource, Verifier
from shared.web.client import fetch_json
from shared.web.limits import RateLimiter

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Table

    from shared.api import Router
    from shared.messaging.envelope import Event
    from shared.messaging.inbox import InboxTables
    from shared.messaging.kafka import Topic
    from shared.ops.settings import ServiceSettings

OUTBOX_KEPT = timedelta(days=14)
INBOX_KEPT = timedelta(days=30)


@dataclass(frozen=True)
class KernelTables:
    """The tables that every service has, on its own metadata."""

    outbox: Table
    inbox: InboxTables
    audit: Table
    idempotency: Table

    @classmethod
    def on(cls, metadata: MetaData) -> KernelTables:
        """Declares them; to be called once per service, in its `tables.py`."""
        return cls(
            outbox_tables(metadata), inbox.inbox_tables(metadata), audit_table(metadata), idempotency_table(metadata)
        )


class Worker(Protocol):
    """A loop of the service's own (a match engine, a webhook dispatcher) that runs beside relay and consumer."""

    fault: Fault
    """What is wrong with it now; shown by `/readyz`."""

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set; heals from passing faults by itself."""
        ...


@dataclass(frozen=True)
class Service:
    """What one service is made of. `services/<name>/app.py: build(settings)` is the only place that makes one."""

    settings: ServiceSettings
    routers: Sequence[Router]
    metadata: MetaData
    kernel: KernelTables
    migrations: Path
    topics: Sequence[Topic] = ()
    """All topics of the installation, whoever writes them: each service can make sure of them."""
    publishes: Sequence[type[Event]] = ()
    delivers: Sequence[type[Event]] = ()
    """What it sends to webhooks."""
    handlers: Handlers = field(default_factory=Handlers)
    tasks: Sequence[Task] = ()
    workers: Callable[[Running], Sequence[Worker]] = lambda _running: ()
    snapshot: Callable[[Tx], AsyncIterator[Event]] | None = None
    """Yields one event with the present state per aggregate, for `bandung <service> snapshot`."""
    prepare: Callable[[Running], Awaitable[None]] | None = None
    """Runs once after the migrations and before anything else: seeds, signing keys, indexes."""
    state: Mapping[str, Any] = field(default_factory=dict)
    """What the service's own endpoints find under `running.state`."""
    examples: Mapping[str, Any] = field(default_factory=dict)
    """Values by name for the examples of its documents (`shared.contracting.examples`)."""
    keys: Callable[[Running], KeySource] | None = None
    """Where token keys come from when not from the issuer's address: the issuer itself has them at hand."""

    @property
    def name(self) -> str:
        """`registry`."""
        return self.settings.service


class Running:
    """One service with its parts. Made by `shared.run`, by the commands, and by tests."""

    def __init__(self, service: Service, *, keys: KeySource | None = None) -> None:
        settings = service.settings
        self.service, self.settings = service, settings
        self.clock = Clock(settings.time_offset_seconds)
        self.metrics = Metrics()
        self.tracing = tracer_provider(settings)
        self.state: dict[str, Any] = dict(service.state)
        url = settings.database_url.get_secret_value()
        self.database = Database(url, name=settings.service, requests=settings.pool_size)
        self.broker = Broker(settings.kafka_bootstrap)
        self.relay = self._relay(url)
        self.transactions = Transactions(
            self.clock,
            service.kernel.audit,
            self._published,
            self.tracing.get_tracer("bandung.work"),
            self.database.request_session,
            self.database.background_session,
        )
        self.consumer = self._consumer()
        self.scheduler = Scheduler([*service.tasks, *self._purges()], self.relay.leading, self.transactions.background)
        self.replays = Replays(service.kernel.idempotency)
        self.limiter = RateLimiter(settings.rate_limit_per_minute)
        self.verifier = Verifier(settings.issuer, keys or self._key_source())
        self.stopping = asyncio.Event()
        self.workers: Sequence[Worker] = ()
        self.head = migrate.head(service.migrations)

    def _published(self) -> None:
        """Something was changed and told, so that something may be due."""
        self.relay.wake()
        self.scheduler.wake()

    async def prepare(self) -> None:
        """The service's own preparation."""
        if self.service.prepare is not None:
            await self.service.prepare(self)

    async def ensure_topics(self) -> dict[str, str]:
        """Creates missing topics; raises KafkaError."""
        settings = self.settings
        return await ensure_topics(
            settings.kafka_bootstrap,
            self.service.topics,
            prefix=settings.topic_prefix,
            replication=settings.topic_replication,
        )

    async def close(self) -> None:
        """Lets go of the database and of the collector."""
        await self.database.close()
        await shut_down(self.tracing)

    def _relay(self, url: str) -> Relay:
        settings = self.settings
        return Relay(
            database_url=url,
            bootstrap=settings.kafka_bootstrap,
            source=Source(settings.source, settings.base_url),
            prefix=settings.topic_prefix,
            partitions={topic.name: topic.partitions for topic in self.service.topics},
            ensure_topics=self.ensure_topics,
            metrics=self.metrics,
            publishes=sorted({event.topic for event in self.service.publishes if event.topic}),
        )

    def _consumer(self) -> Consumer:
        return Consumer(
            bootstrap=self.settings.kafka_bootstrap,
            group=f"bandung.{self.settings.instance}.{self.service.name}",
            prefix=self.settings.topic_prefix,
            delivery=Delivery(
                self.service.handlers,
                self.service.kernel.inbox,
                self.transactions,
                self.database.background_session,
                self.metrics,
                self.tracing.get_tracer("bandung.consumer"),
            ),
            lag_gauge=self.metrics.lag,
            ensure_topics=self.ensure_topics,
            broker_away=lambda: self.broker.fault.since is not None,
            slot=self.settings.replica,
        )

    def _key_source(self) -> KeySource:
        if self.service.keys is not None:
            return self.service.keys(self)
        settings = self.settings
        url = settings.jwks_url or f"{settings.issuer}/.well-known/jwks.json"
        return JwksCache(url, settings.home / f"jwks-{settings.service}.json", fetch_json)

    def _purges(self) -> list[Task]:
        async def keys(tx: Tx) -> int:
            return await self.replays.purge(tx.session, tx.clock.real())

        async def outbox(tx: Tx) -> int:
            return await inbox.purge(tx.session, "outbox", "published_at", tx.clock.real() - OUTBOX_KEPT)

        async def taken(tx: Tx) -> int:
            return await inbox.purge(tx.session, "inbox", "handled_at", tx.clock.real() - INBOX_KEPT)

        return [
            Task("purge idempotency", keys, 600),
            Task("purge outbox", outbox, 600),
            Task("purge inbox", taken, 600),
        ]
