"""What services publish and hear, as AsyncAPI 3.0."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shared import __version__
from shared.contracting import records, schemas
from shared.messaging.envelope import CONTENT_TYPE, Visibility

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shared.messaging.envelope import Event
    from shared.messaging.kafka import Topic
    from shared.service import Service

Json = dict[str, Any]
Events = list[type["Event"]]
_TEXT, _BINDING = "string", "0.5.0"
HEADERS: dict[str, tuple[str, Json]] = {
    "ce_specversion": ("Always 1.0", {"const": "1.0"}),
    "ce_id": ("UUIDv7, unique with ce_source, the same on every redelivery", {"format": "uuid"}),
    "ce_source": ("Instance and service", {"examples": ["urn:bandung:local:registry"]}),
    "ce_type": ("The event's type", {"examples": ["org.bandung.NeedPosted.v1"]}),
    "ce_subject": ("What it is about", {"examples": ["needs/01a20cda-0b06-7006-8006-000000000006"]}),
    "ce_time": ("When it happened", {"format": "date-time", "examples": ["2026-11-24T09:20:00.123Z"]}),
    "ce_sequence": (
        "Epoch and number, contiguous per topic and key, compares as a string; drop what is not greater",
        {"pattern": "^[0-9]{4}-[0-9]{10}$", "examples": ["0001-0000000001"]},
    ),
    "ce_partitionkey": ("The record's key", {}),
    "ce_correlationid": ("The thread: the need's id from need to practice", {}),
    "ce_causationid": ("The event that caused this one; absent when a request or a timer did", {"format": "uuid"}),
    "ce_dataschema": ("Address of the JSON Schema of the value", {"format": "uri"}),
    "content-type": ("Of the value", {"const": CONTENT_TYPE}),
    "traceparent": ("W3C trace context of the request or timer behind it", {}),
}
OPTIONAL = frozenset({"ce_causationid", "traceparent"})


def of_service(service: Service) -> Json:
    """The document of one service. `x-visibility` says who may see an event by webhook and feed."""
    written, heard = _by_topic(service.publishes), _by_topic(service.handlers.events)
    operations = [*(("send", t, e) for t, e in written.items()), *(("receive", t, e) for t, e in heard.items())]
    info = {"title": f"Bandung {service.name}", "version": __version__}
    return _document(info, _merged(written, heard), operations, service.topics)


def for_partners(services: Sequence[Service]) -> Json:
    """What partners may see of all services: public events and, for those concerned, events of the parties."""
    told = [e for service in services for e in service.publishes if e.visibility is not Visibility.PRIVATE]
    topics = _by_topic(told)
    info = {
        "title": "Bandung",
        "version": __version__,
        "description": "Every event that a partner can get: on Kafka (trusted consumers), by webhook, and in the feed.",
    }
    document = _document(
        info, topics, [("send", topic, events) for topic, events in topics.items()], services[0].topics
    )
    values = {name: value for service in services for name, value in service.examples.items()}
    for event in told:
        if event.topic:
            document["components"]["messages"][schemas.name(event)]["examples"] = [_example(event, values)]
    return document


def _by_topic(events: Iterable[type[Event]]) -> dict[str, Events]:
    """Without those that never go to Kafka."""
    topics: dict[str, Events] = {}
    for event in events:
        if event.topic:
            topics.setdefault(event.topic, []).append(event)
    return dict(sorted(topics.items()))


def _merged(written: dict[str, Events], heard: dict[str, Events]) -> dict[str, Events]:
    return dict(sorted({**written, **heard}.items()))


def _document(
    info: Json, topics: dict[str, Events], operations: list[tuple[str, str, Events]], declared: Sequence[Topic]
) -> Json:
    configured = {topic.name: topic for topic in declared}
    events = sorted((e for some in topics.values() for e in some), key=schemas.name)
    return {
        "asyncapi": "3.0.0",
        "info": info | {"license": {"name": "Apache-2.0"}},
        "defaultContentType": CONTENT_TYPE,
        "channels": {name: _channel(configured[name], its) for name, its in topics.items()},
        "operations": {f"{action}.{topic}": _operation(action, topic, its) for action, topic, its in operations},
        "components": {
            "messages": {schemas.name(event): _message(event) for event in events},
            "messageTraits": {"cloudEvent": _trait()},
            "schemas": schemas.as_components(events),
        },
    }


def _channel(topic: Topic, events: Events) -> Json:
    config: Json = {name: _number(value) for name, value in topic.config().items()}
    config["cleanup.policy"] = [config["cleanup.policy"]]
    kafka = {"partitions": topic.partitions, "topicConfiguration": config, "bindingVersion": _BINDING}
    return {
        "address": topic.name,
        "messages": {schemas.name(e): _ref("components/messages", schemas.name(e)) for e in events},
        "bindings": {"kafka": kafka},
    }


def _number(value: str) -> str | int:
    return int(value) if value.lstrip("-").isdigit() else value


def _operation(action: str, topic: str, events: Events) -> Json:
    messages = [_ref(f"channels/{topic}/messages", schemas.name(event)) for event in events]
    return {"action": action, "channel": _ref("channels", topic), "messages": messages}


def _message(event: type[Event]) -> Json:
    return {
        "name": event.wire,
        "title": event.short_name(),
        "summary": schemas.summary(event),
        "payload": _ref("components/schemas", schemas.name(event)),
        "traits": [_ref("components/messageTraits", "cloudEvent")],
        "x-visibility": event.visibility.value,
    }


def _example(event: type[Event], values: Mapping[str, Any]) -> Json:
    made = records.story(event, values)
    headers = {name: value.decode() for name, value in made.headers()}
    return {"headers": headers, "payload": json.loads(made.data)}


def _trait() -> Json:
    """CloudEvents 1.0 in Kafka's binary mode: the attributes are record headers, all of them UTF-8 text."""
    members = {name: {"type": _TEXT, "description": words, **more} for name, (words, more) in HEADERS.items()}
    required = [name for name in HEADERS if name not in OPTIONAL]
    headers = {"type": "object", "required": required, "properties": members}
    key = {"type": _TEXT, "description": "The id of what keeps its order: all of one key is in one partition"}
    kafka = {"key": key, "bindingVersion": _BINDING}
    return {"contentType": CONTENT_TYPE, "headers": headers, "bindings": {"kafka": kafka}}


def _ref(place: str, name: str) -> dict[str, Any]:
    return {"$ref": f"#/{place}/{name}"}
