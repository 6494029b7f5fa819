"""One unit of work: rows, events and audit of one cause, committed together or not at all."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.data import audit
from shared.messaging.envelope import By
from shared.messaging.outbox import Pending
from shared.ops.telemetry import current_traceparent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime
    from uuid import UUID

    from opentelemetry.trace import Tracer
    from sqlalchemy import Table
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.messaging.envelope import CloudEvent, Event
    from shared.ops.clock import Clock
    from shared.web.auth import Caller


@dataclass
class Tx:
    """What a command works with. Made by the kernel: by a route, a handler's delivery or a scheduled task.

    `caller` is None for the system's own work; `cause` is the event that is being handled, if one is.
    """

    session: AsyncSession
    clock: Clock
    audit_table: Table
    wake_relay: Callable[[], None]
    caller: Caller | None = None
    cause: CloudEvent | None = None
    causation: str | None = None
    request_id: str | None = None
    now: datetime = field(init=False)
    pending: list[Pending] = field(default_factory=list)
    published: bool = False
    on_commit: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.now = self.clock.now()
        if self.cause is not None:
            self.causation = str(self.cause.id)

    @property
    def by(self) -> By:
        """`by` of the events of this work."""
        if self.caller is None:
            return By(institution_id=None, via="system")
        return By(institution_id=self.caller.institution_id, via=self.caller.via)

    def publish(self, event: Event, *, correlation: UUID | str | None = None) -> None:
        """Tells the world when, and only when, this transaction commits. The key's row must be locked already."""
        self.pending.append(
            Pending.of(
                event,
                correlation=str(correlation or event.correlation()),
                causation=self.causation,
                traceparent=current_traceparent(),
                time=self.now,
            )
        )

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Runs in the process after the commit; must not fail and must not await."""
        self.on_commit.append(callback)

    async def audit(self, action: str, subject: str) -> None:
        """Writes who did what. Only people and systems with a token are audited, not timers."""
        if self.caller is not None:
            await audit.record(
                self.session,
                self.audit_table,
                self.caller,
                at=self.clock.real(),
                action=action,
                subject=subject,
                request_id=self.request_id,
            )

    async def flush(self) -> None:
        """Writes changed rows, then the events, so that event rows come after the locks they need."""
        await self.session.flush()
        for pending in self.pending:
            await pending.append(self.session)
            if self.caller is not None:
                await self.audit(pending.event.short_name(), pending.event.subject())
        self.published = self.published or bool(self.pending)
        self.pending.clear()

    async def commit(self) -> None:
        """All or nothing; then wakes the relay and runs the callbacks."""
        await self.flush()
        await self.session.commit()
        self.committed()

    def committed(self) -> None:
        """The transaction has committed (the consumer commits the one it shares with a slice)."""
        if self.published:
            self.wake_relay()
        for callback in self.on_commit:
            callback()
        self.on_commit.clear()


@dataclass(frozen=True)
class Transactions:
    """Opens units of work on one service's database."""

    clock: Clock
    audit_table: Table
    wake_relay: Callable[[], None]
    tracer: Tracer
    request_session: Callable[[], AsyncSession]
    background_session: Callable[[], AsyncSession]

    @asynccontextmanager
    async def request(self, caller: Caller | None, request_id: str) -> AsyncIterator[Tx]:
        """For one HTTP request; the route commits, leaving without a commit rolls back."""
        async with self.request_session() as session:
            yield Tx(session, self.clock, self.audit_table, self.wake_relay, caller=caller, request_id=request_id)

    @asynccontextmanager
    async def background(self, *, causation: str | None = None) -> AsyncIterator[Tx]:
        """For the service's own work; commits at the end, rolls back when it raises."""
        # a trace of its own, so that every event has one to follow
        with self.tracer.start_as_current_span("work"):
            async with self.background_session() as session:
                tx = Tx(session, self.clock, self.audit_table, self.wake_relay, causation=causation)
                yield tx
                await tx.commit()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Tx]:
        """For reads that must agree with each other: all see the rows as they were at the first of them."""
        async with self.background() as tx:
            await tx.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield tx

    def delivery(self, session: AsyncSession, cause: CloudEvent) -> Tx:
        """For one record inside the slice's transaction, which the consumer commits."""
        return Tx(session, self.clock, self.audit_table, self.wake_relay, cause=cause)
