"""Tables of notifications: every event of the installation, who is told of it, and webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, LargeBinary, MetaData, Text, UniqueConstraint, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from shared.data import columns
from shared.service import KernelTables

NAMES = {
    "ix": "%(table_name)s_%(column_0_N_name)s",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "pk": "%(table_name)s_pkey",
}


class Base(SQLModel, registry=registry(metadata=MetaData(naming_convention=NAMES))):
    """Tables of notifications."""


def _ids() -> Any:  # noqa: ANN401 (stands where SQLModel wants a Field)
    return Field(default_factory=list, sa_type=ARRAY(Uuid), nullable=False)


class EventRow(Base, table=True):
    """One event, kept for ever: the thread, the feed and webhook bodies are read from here.

    `position` is its place in the feed, stamped by the sequencer after the commit; private rows (webhook tests)
    never get one. Times of arrival are real time, `time` is business time.
    """

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("source", "event_id"),
        Index("event_unstamped", "id", postgresql_where=text("position is null and visibility <> 'private'")),
        Index("event_thread", "correlation", "time", "id"),
        Index("event_name_position", "name", "position"),
        Index("event_subject_version", "subject", "version"),
    )

    id: int | None = Field(default=None, sa_type=BigInteger, sa_column_args=[Identity(always=True)], primary_key=True)
    source: str = columns.text()
    event_id: UUID = columns.uuid()
    type: str = columns.text()
    name: str = columns.text()
    subject: str = columns.text()
    version: int = 0
    """Version of the resource after the event, 0 where it has none."""
    time: datetime = columns.moment()
    sequence: str = columns.text()
    partitionkey: str = columns.text()
    correlation: str = columns.text()
    causation: str | None = columns.text(null=True)
    dataschema: str = columns.text()
    traceparent: str | None = columns.text(null=True)
    data: bytes = Field(sa_type=LargeBinary, nullable=False)
    visibility: str = columns.text()
    parties: list[UUID] = _ids()
    actor_id: UUID | None = columns.uuid(null=True)
    countries: list[str] = columns.texts()
    institutions: list[UUID] = _ids()
    isic: list[str] = columns.texts()
    facts: dict[str, Any] = columns.document()
    position: int | None = Field(default=None, sa_type=BigInteger, nullable=True, unique=True)
    received_at: datetime = columns.moment()
    stamped_at: datetime | None = columns.moment(null=True, index=True)


class PositionRow(Base, table=True):
    """The last position given out in `feed` and `inbox`; its row lock is the order of all stamping."""

    __tablename__ = "position"

    name: str = Field(sa_type=Text, primary_key=True)
    last: int = Field(default=0, sa_type=BigInteger)


class InboxEntryRow(Base, table=True):
    """What one institution (`institution:<id>`) or platform role (`role:<name>`) is told of one event.

    The words are put together when it is read, in the reader's language and with present names.
    """

    __tablename__ = "inbox_entry"
    __table_args__ = (
        UniqueConstraint("source", "event_id", "recipient"),
        Index("inbox_entry_recipient_id", "recipient", "id"),
        Index("inbox_entry_recipient_position", "recipient", "position"),
        Index("inbox_entry_unstamped", "id", postgresql_where=text("position is null")),
    )

    id: UUID = columns.key()
    recipient: str = columns.text()
    source: str = columns.text()
    event_id: UUID = columns.uuid()
    name: str = columns.text()
    subject: str = columns.text()
    correlation: str = columns.text()
    template: str = columns.text()
    facts: dict[str, Any] = columns.document()
    action_required: bool = False
    due_at: datetime | None = columns.moment(null=True)
    created_at: datetime = columns.moment()
    position: int | None = Field(default=None, sa_type=BigInteger, nullable=True)


class ReadMarkRow(Base, table=True):
    """One person or system has read one entry."""

    __tablename__ = "read_mark"

    sub: str = Field(sa_type=Text, primary_key=True)
    entry_id: UUID = columns.key()
    read_at: datetime = columns.moment()


class InstitutionRow(Base, table=True):
    """What notifications knows of an institution; a projection guarded by `sequence`."""

    __tablename__ = "institution"

    id: UUID = columns.key()
    name: str = columns.text()
    country: str | None = columns.text(null=True)
    languages: list[str] = columns.texts()
    sequence: str = columns.text()


class WebhookRow(Base, table=True):
    """An address that is told of events. The secret is kept readable, since it must sign."""

    __tablename__ = "webhook"
    __table_args__ = (
        Index("webhook_institution_id_id", "institution_id", "id"),
        Index("webhook_exhausted_since", "exhausted_since", postgresql_where=text("status = 'enabled'")),
    )

    id: UUID = columns.key()
    version: int = 1
    status: str = columns.text()
    institution_id: UUID = columns.uuid()
    url: str = columns.text()
    description: str = columns.text()
    event_types: list[str] = columns.texts()
    filters: dict[str, list[str]] = columns.document()
    secret: str = columns.text()
    previous_secret: str | None = columns.text(null=True)
    previous_valid_until: datetime | None = columns.moment(null=True)
    reason_code: str | None = columns.text(null=True)
    exhausted_since: datetime | None = columns.moment(null=True)
    """Since when deliveries end without success; real time."""
    created_at: datetime = columns.moment()
    updated_at: datetime = columns.moment()


class DeliveryRow(Base, table=True):
    """One event on its way to one webhook. All its times are real time."""

    __tablename__ = "delivery"
    __table_args__ = (
        Index(
            "delivery_due", "webhook_id", "next_attempt_at", postgresql_where=text("status in ('pending', 'failed')")
        ),
        Index("delivery_webhook_id_id", "webhook_id", "id"),
        Index("delivery_old", "created_at", postgresql_where=text("status in ('succeeded', 'exhausted')")),
        Index("delivery_once", "webhook_id", "event_row", unique=True, postgresql_where=text("not replay")),
    )

    id: UUID = columns.key()
    webhook_id: UUID = columns.uuid()
    event_row: int = Field(sa_type=BigInteger)
    event_id: UUID = columns.uuid()
    event_name: str = columns.text()
    replay: bool = False
    attempt: int = 0
    status: str = columns.text()
    http_status: int | None = Field(default=None, nullable=True)
    duration_ms: int | None = Field(default=None, nullable=True)
    response_excerpt: str = columns.text()
    attempted_at: datetime | None = columns.moment(null=True)
    next_attempt_at: datetime | None = columns.moment(null=True)
    lease_id: UUID | None = columns.uuid(null=True)
    lease_until: datetime | None = columns.moment(null=True)
    created_at: datetime = columns.moment()


KERNEL = KernelTables.on(Base.metadata)
