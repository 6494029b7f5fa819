"""`/asyncapi.json`: what a service publishes and hears, as AsyncAPI 3.0, made from its `Service`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared import __version__
from shared.messaging.envelope import CONTENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.messaging.envelope import Event
    from shared.service import Service

ATTRIBUTES = {
    "ce_specversion": "Always 1.0",
    "ce_id": "UUIDv7, unique with ce_source, the same on every redelivery",
    "ce_source": "Instance and service",
    "ce_type": "The event's type",
    "ce_subject": "What it is about",
    "ce_time": "When it happened",
    "ce_sequence": "Epoch and number, contiguous per topic and key, compares as a string",
    "ce_partitionkey": "The record's key",
    "ce_correlationid": "The thread",
    "ce_dataschema": "Address of the JSON Schema of the value",
}


def document(service: Service) -> dict[str, Any]:
    """The AsyncAPI document of one service. `x-visibility` says who may see an event by webhook and feed."""
    written, heard = _by_topic(service.publishes), _by_topic(service.handlers.events)
    events = {event.short_name(): event for event in (*service.publishes, *service.handlers.events)}
    schemas: dict[str, Any] = {}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": f"Bandung {service.name}", "version": __version__},
        "defaultContentType": CONTENT_TYPE,
        "channels": {topic: _channel(topic, {**written, **heard}[topic]) for topic in sorted({*written, *heard})},
        "operations": {
            **{f"send.{topic}": _operation("send", topic, events_) for topic, events_ in written.items()},
            **{f"receive.{topic}": _operation("receive", topic, events_) for topic, events_ in heard.items()},
        },
        "components": {
            "messages": {name: _message(event, schemas) for name, event in events.items()},
            "schemas": schemas,
        },
    }


def _by_topic(events: Iterable[type[Event]]) -> dict[str, list[type[Event]]]:
    topics: dict[str, list[type[Event]]] = {}
    for event in events:
        topics.setdefault(event.topic, []).append(event)
    return topics


def _channel(topic: str, events: list[type[Event]]) -> dict[str, Any]:
    references = {e.short_name(): {"$ref": f"#/components/messages/{e.short_name()}"} for e in events}
    return {"address": topic, "messages": references}


def _operation(action: str, topic: str, events: list[type[Event]]) -> dict[str, Any]:
    messages = [{"$ref": f"#/channels/{_escaped(topic)}/messages/{event.short_name()}"} for event in events]
    return {"action": action, "channel": {"$ref": f"#/channels/{_escaped(topic)}"}, "messages": messages}


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _message(event: type[Event], schemas: dict[str, Any]) -> dict[str, Any]:
    """One message; the schema of its value and the parts of it go into `schemas`."""
    schema = event.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
    schemas.update(schema.pop("$defs", {}))
    schemas[event.short_name()] = schema
    return {
        "name": event.wire,
        "title": event.short_name(),
        "summary": (event.__doc__ or "").strip().splitlines()[0],
        "contentType": CONTENT_TYPE,
        "headers": {
            "type": "object",
            "required": list(ATTRIBUTES),
            "properties": {name: {"type": "string", "description": words} for name, words in ATTRIBUTES.items()},
        },
        "payload": {"$ref": f"#/components/schemas/{event.short_name()}"},
        "x-visibility": event.visibility.value,
    }
