"""Events in and out, from the event classes and the handlers."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from services import SERVICES
from services.catalogue import EVENTS
from services.guides.markdown import first_line, table
from shared.events.topics import TOPICS
from shared.messaging.envelope import Visibility

if TYPE_CHECKING:
    from shared.messaging.envelope import Event
    from shared.service import Service

_KEPT = {
    "keep": "for ever",
    "compact": "each for 14 days, the last one per key for ever",
    "delete": "14 days",
}


def published(name: str) -> str:
    """What a service tells."""
    rows = [
        (event.short_name(), f"`{event.topic}`", event.visibility.value, first_line(event.__doc__))
        for event in _service(name).publishes
        if event.topic
    ]
    return table(("Event", "Topic", "Visible to", "When"), *rows)


def heard(name: str) -> str:
    """What a service reacts to: one row per reaction."""
    handlers = _service(name).handlers
    rows = [(_names(events), first_line(reaction.__doc__)) for reaction, events in handlers.reactions]
    return table(("Event", "What happens"), *rows)


def partners() -> str:
    """What integrators may get: all but private events, topic by topic."""
    rows = []
    for topic in TOPICS:
        told = [event for event in EVENTS if event.topic == topic.name and event.visibility != Visibility.PRIVATE]
        rows += [_partner_row(event, _KEPT[topic.cleanup]) for event in told]
    return table(("Topic", "Event", "Visible to", "When", "`data` holds", "Kept on Kafka"), *rows)


def _partner_row(event: type[Event], kept: str) -> tuple[str, ...]:
    members = ", ".join(f"`{name}`" for name in event.model_fields if name != "by")
    seen = event.visibility.value
    return f"`{event.topic}`", event.short_name(), seen, first_line(event.__doc__), members, kept


def _names(events: list[type[Event]]) -> str:
    """`NeedPosted, NeedUpdated`, or the whole topic where all of it is heard."""
    names, left = [], list(events)
    for topic in dict.fromkeys(event.topic for event in events):
        whole = [event for event in EVENTS if event.topic == topic]
        if len(whole) > 1 and set(whole) <= set(events):
            names.append(f"all of `{topic}`")
            left = [event for event in left if event.topic != topic]
    return ", ".join([*names, *(event.short_name() for event in left)])


def _service(name: str) -> Service:
    package = SERVICES[name]
    settings = importlib.import_module(f"{package}.settings").Settings
    service: Service = importlib.import_module(f"{package}.app").build(settings())
    return service
