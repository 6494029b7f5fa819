"""The transactional outbox: events become rows in the transaction of the change they tell of.

`sequence` is drawn per topic and key under the row lock of `sequences`, which is held until commit; so for one
key the order of numbers, of row ids and of commits is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)

from shared.messaging.envelope import CloudEvent
from shared.ops.ids import new_id

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.messaging.envelope import Event

MAX_EVENT_BYTES = 256 * 1024

_APPEND = text("""
    with numbered as (
        insert into sequences (topic, key, last) values (:topic, :key, 1)
        on conflict (topic, key) do update set last = sequences.last + 1
        returning last
    )
    insert into outbox (event_id, topic, key, sequence, type, subject, time, correlation, causation, traceparent, value)
    select :event_id, :topic, :key,
           lpad((select epoch from epoch)::text, 4, '0') || '-' || lpad(numbered.last::text, 10, '0'),
           :type, :subject, :time, :correlation, :causation, :traceparent, :value
    from numbered
    returning sequence
""")


def outbox_tables(metadata: MetaData) -> Table:
    """`outbox`, `sequences`, `epoch` and `published_log` of one service; returns `outbox`."""
    Table(
        "sequences",
        metadata,
        Column("topic", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("last", BigInteger, nullable=False),
        PrimaryKeyConstraint("topic", "key"),
    )
    # one row; goes up when the database was restored from a backup, so that others accept later events
    Table("epoch", metadata, Column("epoch", Integer, primary_key=True))
    Table("published_log", metadata, Column("topic", Text, primary_key=True), Column("log", Text, nullable=False))
    table = Table(
        "outbox",
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("event_id", Uuid, nullable=False, unique=True),
        Column("topic", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("sequence", Text, nullable=False),
        Column("type", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("time", DateTime(timezone=True), nullable=False),
        Column("correlation", Text, nullable=False),
        Column("causation", Text),
        Column("traceparent", Text),
        Column("value", LargeBinary, nullable=False),
        Column("published_at", DateTime(timezone=True)),
    )
    Index("outbox_unsent", table.c.id, postgresql_where=table.c.published_at.is_(None))
    return table


@dataclass(frozen=True, slots=True)
class Pending:
    """An event that waits for the end of its transaction's work."""

    event_id: Any
    event: Event
    correlation: str
    causation: str | None
    traceparent: str | None
    time: datetime
    value: bytes

    @classmethod
    def of(
        cls, event: Event, *, correlation: str, causation: str | None, traceparent: str | None, time: datetime
    ) -> Pending:
        """Serialises now, so that an event that cannot be written fails its own command."""
        value = event.model_dump_json().encode()
        if len(value) > MAX_EVENT_BYTES:
            msg = f"{event.short_name()} has {len(value)} bytes, more than {MAX_EVENT_BYTES}"
            raise ValueError(msg)
        return cls(new_id(), event, correlation, causation, traceparent, time, value)

    async def append(self, session: AsyncSession) -> None:
        """Inserts the row with the key's next sequence."""
        await session.execute(
            _APPEND,
            {
                "topic": self.event.topic,
                "key": str(self.event.key()),
                "event_id": self.event_id,
                "type": self.event.wire,
                "subject": self.event.subject(),
                "time": self.time,
                "correlation": self.correlation,
                "causation": self.causation,
                "traceparent": self.traceparent,
                "value": self.value,
            },
        )


@dataclass(frozen=True, slots=True)
class Source:
    """What the service adds to each of its rows when it becomes a record."""

    urn: str
    base_url: str

    def cloud_event(self, row: Any) -> CloudEvent:  # noqa: ANN401 (a row of `outbox`)
        """The envelope of one outbox row."""
        name, _, version = row["type"].removeprefix("org.bandung.").rpartition(".v")
        return CloudEvent(
            id=row["event_id"],
            source=self.urn,
            type=row["type"],
            subject=row["subject"],
            time=row["time"],
            sequence=row["sequence"],
            partitionkey=row["key"],
            correlationid=row["correlation"],
            causationid=row["causation"],
            dataschema=f"{self.base_url}/schemas/{name}/{version}",
            traceparent=row["traceparent"],
            data=row["value"],
        )
