"""What this service has taken in: handled event ids, positions in the log, and dead letters."""

from __future__ import annotations

import base64
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
    UniqueConstraint,
    Uuid,
    func,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.messaging.envelope import CloudEvent


@dataclass(frozen=True)
class InboxTables:
    """The tables of one service."""

    inbox: Table
    positions: Table
    dead_letters: Table


def inbox_tables(metadata: MetaData) -> InboxTables:
    """Declares them on the service's metadata."""
    inbox = Table(
        "inbox",
        metadata,
        Column("source", Text, nullable=False),
        Column("event_id", Uuid, nullable=False),
        Column("handled_at", DateTime(timezone=True), nullable=False),
        PrimaryKeyConstraint("source", "event_id"),
        Index("inbox_handled_at", "handled_at"),
    )
    positions = Table(
        "consumer_positions",
        metadata,
        # which log: `<cluster>/<topic id>`
        Column("cluster", Text, nullable=False),
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("next_offset", BigInteger, nullable=False),
        PrimaryKeyConstraint("cluster", "topic", "partition"),
    )
    dead_letters = Table(
        "dead_letter",
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("cluster", Text, nullable=False),
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("offset", BigInteger, nullable=False),
        Column("key", LargeBinary),
        Column("value", LargeBinary),
        Column("headers", JSONB, nullable=False),
        Column("error", Text, nullable=False),
        Column("trace_id", Text),
        Column("attempts", Integer, nullable=False),
        Column("at", DateTime(timezone=True), nullable=False),
        Column("redriven_at", DateTime(timezone=True)),
        UniqueConstraint("cluster", "topic", "partition", "offset"),
    )
    return InboxTables(inbox, positions, dead_letters)


async def take(
    session: AsyncSession, tables: InboxTables, events: Sequence[CloudEvent], at: datetime
) -> set[tuple[str, UUID]]:
    """Marks these events as handled in this transaction; returns those that were new."""
    if not events:
        return set()
    # the same event may stand twice in one slice
    rows = {(e.source, e.id): {"source": e.source, "event_id": e.id, "handled_at": at} for e in events}
    table = tables.inbox
    marked = (
        insert(table).values(list(rows.values())).on_conflict_do_nothing().returning(table.c.source, table.c.event_id)
    )
    return {(row.source, row.event_id) for row in await session.execute(marked)}


async def save_position(
    session: AsyncSession, tables: InboxTables, log_id: str, topic: str, partition: int, next_offset: int
) -> None:
    """Where to read on, in the transaction of the effects."""
    where = {"cluster": log_id, "topic": topic, "partition": partition}
    row = insert(tables.positions).values(**where, next_offset=next_offset)
    await session.execute(row.on_conflict_do_update(index_elements=list(where), set_={"next_offset": next_offset}))


async def positions(session: AsyncSession, tables: InboxTables, logs: Mapping[str, str]) -> dict[tuple[str, int], int]:
    """(topic, partition) -> next offset in the log that the topic is now; any other is read from its start."""
    t = tables.positions
    rows = await session.execute(
        select(t.c.topic, t.c.partition, t.c.next_offset).where(tuple_(t.c.topic, t.c.cluster).in_(logs.items()))
    )
    return {(row.topic, row.partition): row.next_offset for row in rows}


async def bury(session: AsyncSession, tables: InboxTables, log_id: str, record: Any, error: str, at: datetime) -> None:  # noqa: ANN401
    """Keeps a record that cannot be handled, with its original bytes; the same record is kept once."""
    headers = [[_storable(name.encode()), _storable(raw)] for name, raw in record.headers]
    await session.execute(
        insert(tables.dead_letters)
        .values(
            cluster=log_id,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            value=record.value,
            headers=headers,
            error=error[:2000].replace("\x00", "?").encode("utf-8", "replace").decode(),
            trace_id=_trace_id(headers),
            attempts=1,
            at=at,
        )
        .on_conflict_do_nothing()
    )


_BASE64 = "base64:"


def _storable(raw: bytes) -> str:
    """Bytes as text that JSONB can hold, without losing any: as they are, or marked and in base64."""
    try:
        text_ = raw.decode()
    except UnicodeDecodeError:
        text_ = "\x00"
    if "\x00" in text_ or text_.startswith(_BASE64):
        return _BASE64 + base64.b64encode(raw).decode()
    return text_


def original(stored: str) -> bytes:
    """The bytes of a stored header."""
    return base64.b64decode(stored.removeprefix(_BASE64)) if stored.startswith(_BASE64) else stored.encode()


def _trace_id(headers: list[list[str]]) -> str | None:
    parts = dict(headers).get("traceparent", "").split("-")
    return parts[1] if len(parts) == 4 else None  # noqa: PLR2004 (W3C trace context)


async def waiting_dead_letters(session: AsyncSession, tables: InboxTables) -> int:
    """How many wait for an operator."""
    t = tables.dead_letters
    return int(await session.scalar(select(func.count()).select_from(t).where(t.c.redriven_at.is_(None))) or 0)


async def purge(session: AsyncSession, table: str, column: str, before: datetime) -> int:
    """Deletes a thousand old rows of a kernel table; returns how many went."""
    statement = text(
        f"delete from {table} where ctid = any(array(select ctid from {table} where {column} < :before limit 1000))"  # noqa: S608 (names from our own code)
    )
    result = await session.execute(statement, {"before": before})
    return int(result.rowcount)  # type: ignore[attr-defined]
