"""Which function reacts to which event."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from shared.messaging.envelope import CloudEvent, Event, NotACloudEvent

if TYPE_CHECKING:
    from shared.messaging.transaction import Tx

E = TypeVar("E", bound=Event)
Handler = Callable[["Tx", Any], Awaitable[None]]


class Handlers:
    """The reactions of one service, one function per event class (one function may serve several)."""

    def __init__(self) -> None:
        self._by_wire: dict[str, tuple[type[Event], Handler]] = {}

    def on(
        self, *events: type[Event]
    ) -> Callable[[Callable[[Tx, E], Awaitable[None]]], Callable[[Tx, E], Awaitable[None]]]:
        """Registers the decorated function for these event classes."""

        def register(handler: Callable[[Tx, E], Awaitable[None]]) -> Callable[[Tx, E], Awaitable[None]]:
            for event in events:
                self._by_wire[event.wire] = (event, handler)
            return handler

        return register

    @property
    def topics(self) -> list[str]:
        """The topics to subscribe to."""
        return sorted({event.topic for event, _ in self._by_wire.values()})

    @property
    def events(self) -> list[type[Event]]:
        """The event classes that are handled."""
        return [event for event, _ in self._by_wire.values()]

    @property
    def reactions(self) -> list[tuple[Handler, list[type[Event]]]]:
        """Each function with the events it serves, in the order of registration."""
        found: dict[Handler, list[type[Event]]] = {}
        for event, handler in self._by_wire.values():
            found.setdefault(handler, []).append(event)
        return list(found.items())

    def read(self, cloud_event: CloudEvent) -> tuple[Event, Handler] | None:
        """The typed event and its handler; None for a type that nobody here reacts to.

        Raises `NotACloudEvent` when the data do not fit the schema of the type.
        """
        found = self._by_wire.get(cloud_event.type)
        if found is None:
            return None
        try:
            return found[0].model_validate_json(cloud_event.data), found[1]
        except ValidationError as error:
            msg = f"data do not fit {cloud_event.type}: {error.errors(include_url=False)[:3]}"
            raise NotACloudEvent(msg) from error
