"""Records as examples: the data of an event by the story, and the envelope that the real code puts around them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from shared.contracting import schemas
from shared.contracting.examples import Examples, Fill
from shared.messaging.envelope import CloudEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.messaging.envelope import Event

Json = dict[str, Any]
_TIME = datetime(2026, 11, 24, 9, 20, 0, 123_000, tzinfo=UTC)
_ID = UUID("01a20cda-2002-7002-8002-000000000002")
_CAUSE = "01a20cda-2001-7001-8001-000000000001"
_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def data_of(event: type[Event], values: Mapping[str, Any], fill: Fill) -> Json:
    """The value of a record. The state has the status that it has after this event: `<Event>.status` in the table."""
    schema = schemas.of_event(event)
    data: Json = Examples(values, schema.get("$defs", {}), fill).of(schema, event.short_name())
    status = values.get(f"{event.short_name()}.status")
    for state in data.values():
        if status and "status" in state:
            state["status"] = status
    return data


def record(
    event: type[Event], data: Json, base_url: str, *, event_id: UUID = _ID, sequence: int = 1, caused: bool = False
) -> CloudEvent:
    """The record that holds this value; raises ValidationError when the event does not take it."""
    raw = json.dumps(data).encode()
    typed = event.model_validate_json(raw)
    return CloudEvent(
        id=event_id,
        source=f"urn:bandung:local:{producer(event)}",
        type=event.wire,
        subject=typed.subject(),
        time=_TIME,
        sequence=f"0001-{sequence:010d}",
        partitionkey=str(typed.key()),
        correlationid=str(typed.correlation()),
        causationid=_CAUSE if caused else None,
        dataschema=f"{base_url}/schemas/{event.short_name()}/{event.version()}",
        traceparent=_TRACE if caused else None,
        data=raw,
    )


def story(event: type[Event], values: Mapping[str, Any]) -> CloudEvent:
    """The example of this event for a document; its addresses are made up, so that no setting changes it."""
    made = record(event, data_of(event, values, Fill.STORY), f"https://{producer(event)}.example")
    return replace(made, correlationid=values.get(f"{event.topic}.thread", made.correlationid))


def producer(event: type[Event]) -> str:
    """The service that tells it: the first part of its topic; what has no topic goes to webhooks only."""
    return event.topic.partition(".")[0] or "notifications"
