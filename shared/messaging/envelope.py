"""CloudEvents 1.0 on Kafka (binary mode) and in structured JSON, and the base class of all event classes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CONTENT_TYPE = "application/json"
TYPE_PREFIX = "org.bandung."


class Visibility(StrEnum):
    """Who may receive an event by webhook and feed."""

    PUBLIC = "public"
    PARTIES = "parties"
    PRIVATE = "private"


class By(BaseModel):
    """For whom and through which door a change came."""

    model_config = ConfigDict(frozen=True)

    institution_id: UUID | None
    via: Literal["api", "console", "import", "system"]


SYSTEM_BY = By(institution_id=None, via="system")


class Event(BaseModel):
    """What happened, with the full public state after it. One subclass per event; `wire` is its type for ever."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    wire: ClassVar[str] = ""
    topic: ClassVar[str] = ""
    visibility: ClassVar[Visibility] = Visibility.PRIVATE

    by: By

    def key(self) -> UUID | str:
        """The Kafka key: the aggregate whose order counts."""
        raise NotImplementedError

    def subject(self) -> str:
        """What it is about, `<resources>/<id>`."""
        raise NotImplementedError

    def correlation(self) -> UUID | str:
        """The thread; the aggregate's own id unless a subclass knows better."""
        return self.key()

    def parties(self) -> frozenset[UUID]:
        """The institutions that may see it when it is not public."""
        return frozenset()

    @classmethod
    def short_name(cls) -> str:
        """`NeedPosted`."""
        return short(cls.wire)

    @classmethod
    def version(cls) -> str:
        """`1`."""
        return cls.wire.rpartition(".v")[2]


def short(wire: str) -> str:
    """`org.bandung.NeedPosted.v1` -> `NeedPosted`."""
    return wire.removeprefix(TYPE_PREFIX).rpartition(".v")[0] or wire


class NotACloudEvent(ValueError):  # noqa: N818 (says what the record is)
    """The record's headers do not make a CloudEvent."""


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """The attributes of one record (contract section 15); `data` are the raw bytes of its value."""

    id: UUID
    source: str
    type: str
    subject: str
    time: datetime
    sequence: str
    partitionkey: str
    correlationid: str
    causationid: str | None
    dataschema: str
    traceparent: str | None
    data: bytes

    def headers(self) -> list[tuple[str, bytes]]:
        """Kafka record headers in binary mode."""
        pairs = [
            ("ce_specversion", "1.0"),
            ("ce_id", str(self.id)),
            ("ce_source", self.source),
            ("ce_type", self.type),
            ("ce_subject", self.subject),
            ("ce_time", rfc3339(self.time)),
            ("ce_sequence", self.sequence),
            ("ce_partitionkey", self.partitionkey),
            ("ce_correlationid", self.correlationid),
            ("ce_causationid", self.causationid),
            ("ce_dataschema", self.dataschema),
            ("content-type", CONTENT_TYPE),
            ("traceparent", self.traceparent),
        ]
        return [(name, value.encode()) for name, value in pairs if value is not None]

    def structured(self) -> dict[str, Any]:
        """The same event as one JSON document, for webhooks and the feed."""
        document = {
            "specversion": "1.0",
            "id": str(self.id),
            "source": self.source,
            "type": self.type,
            "subject": self.subject,
            "time": rfc3339(self.time),
            "sequence": self.sequence,
            "partitionkey": self.partitionkey,
            "correlationid": self.correlationid,
            "causationid": self.causationid,
            "dataschema": self.dataschema,
            "traceparent": self.traceparent,
            "datacontenttype": CONTENT_TYPE,
            "data": json.loads(self.data),
        }
        return {name: value for name, value in document.items() if value is not None}

    @classmethod
    def from_record(
        cls, headers: Sequence[tuple[str, bytes]] | Iterable[tuple[str, bytes]], value: bytes | None
    ) -> CloudEvent:
        """Reads a Kafka record; raises `NotACloudEvent` naming what is wrong."""
        try:
            given = {name.lower(): raw.decode() for name, raw in headers}
            return cls(
                id=UUID(given["ce_id"]),
                source=given["ce_source"],
                type=given["ce_type"],
                subject=given.get("ce_subject", ""),
                time=datetime.fromisoformat(given["ce_time"]),
                sequence=given.get("ce_sequence", ""),
                partitionkey=given.get("ce_partitionkey", ""),
                correlationid=given.get("ce_correlationid", ""),
                causationid=given.get("ce_causationid"),
                dataschema=given.get("ce_dataschema", ""),
                traceparent=given.get("traceparent"),
                data=value or b"",
            )
        except (KeyError, ValueError, AttributeError) as error:
            msg = f"no CloudEvent: {type(error).__name__} {error}"
            raise NotACloudEvent(msg) from error


def rfc3339(moment: datetime) -> str:
    """`2026-11-24T09:20:00.123Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
