"""What a consumer does in the database with the records it read.

One transaction per slice of a partition holds the inbox rows, the handlers' effects, their outbox rows and the
position in the log; burying a record holds the dead letter and the position behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from shared.messaging import inbox
from shared.messaging.envelope import CloudEvent
from shared.ops.failpoints import reach
from shared.ops.telemetry import span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aiokafka import TopicPartition
    from opentelemetry.trace import Tracer
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.messaging.handlers import Handlers
    from shared.messaging.inbox import InboxTables
    from shared.messaging.transaction import Transactions, Tx
    from shared.ops.telemetry import Metrics

log = structlog.get_logger(__name__)

Record = Any  # aiokafka's ConsumerRecord[bytes, bytes]


@dataclass(frozen=True)
class Delivery:
    """Delivers to the handlers of one service; a position counts for one log, not for a name."""

    handlers: Handlers
    tables: InboxTables
    transactions: Transactions
    session: Callable[[], AsyncSession]
    metrics: Metrics
    tracer: Tracer

    async def positions(self, logs: Mapping[str, str]) -> dict[tuple[str, int], int]:
        """(topic, partition) -> the offset to read on from, in these logs by topic."""
        async with self.session() as session:
            return await inbox.positions(session, self.tables, logs)

    async def handle(self, log_id: str, tp: TopicPartition, records: Sequence[Record]) -> int:
        """All records or none, effects in offset order; the offset behind them. Raises what a handler raises."""
        read = [(event, self.handlers.read(event)) for event in map(_event, records)]
        works: list[Tx] = []
        async with self.session() as session:
            wanted = [event for event, found in read if found is not None]
            fresh = await inbox.take(session, self.tables, wanted, self.transactions.clock.real())
            for event, found in read:
                if found is not None and (event.source, event.id) in fresh:
                    fresh.discard((event.source, event.id))
                    works.append(await self._effect(session, event, *found))
            behind = await self._move(session, log_id, tp, records[-1])
            reach("consumer.handled")
            await session.commit()
        reach("consumer.committed")
        self._count(handled=len(works), skipped=len(records) - len(wanted), repeated=len(wanted) - len(works))
        for tx in works:
            tx.committed()
        return behind

    async def bury(self, log_id: str, tp: TopicPartition, record: Record, error: Exception) -> int:
        """The record becomes a dead letter; the offset behind it."""
        log.error("dead_letter", topic=tp.topic, partition=tp.partition, offset=record.offset, error=repr(error)[:500])
        async with self.session() as session:
            await inbox.bury(session, self.tables, log_id, record, repr(error), self.transactions.clock.real())
            behind = await self._move(session, log_id, tp, record)
            await session.commit()
        self._count(dead_letter=1)
        return behind

    async def _effect(self, session: AsyncSession, event: CloudEvent, typed: Any, handler: Any) -> Tx:  # noqa: ANN401
        tx = self.transactions.delivery(session, event)
        with span(self.tracer, f"handle {event.type}", event.traceparent, event_id=str(event.id)):
            await handler(tx, typed)
            await tx.flush()
        return tx

    async def _move(self, session: AsyncSession, log_id: str, tp: TopicPartition, last: Record) -> int:
        behind = int(last.offset) + 1
        await inbox.save_position(session, self.tables, log_id, tp.topic, tp.partition, behind)
        return behind

    def _count(self, **outcomes: int) -> None:
        for outcome, number in outcomes.items():
            if number:
                self.metrics.handled.labels(outcome).inc(number)


def _event(record: Record) -> CloudEvent:
    return CloudEvent.from_record(record.headers, record.value)
