"""`bandung contracts`: every event of the installation in one table."""

from __future__ import annotations

from typing import Any

from shared.events import matching, notifications, projects, registry

EVENTS = (*registry.EVENTS, *matching.EVENTS, *projects.EVENTS, *notifications.EVENTS)


def rows(*, with_schema: bool) -> list[dict[str, Any]]:
    """One row per event class, in the order of the story."""
    listed = []
    for event in EVENTS:
        row: dict[str, Any] = {"event": event.short_name(), "topic": event.topic, "visibility": event.visibility.value}
        row["means"] = (event.__doc__ or "").strip().splitlines()[0]
        if with_schema:
            row["type"] = event.wire
            row["schema"] = event.model_json_schema(mode="serialization")
        listed.append(row)
    return listed
