"""Events of notifications. Nothing is told about single deliveries."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from shared.events import topics
from shared.events.states import Reason, State
from shared.messaging.envelope import Event, Visibility


class WebhookState(State):
    """A webhook without its secret."""

    id: UUID
    version: int
    status: str
    institution_id: UUID
    url: str
    event_types: list[str]
    reason: Reason | None = None


class WebhookDisabled(Event):
    """It answered 410, or failed for five days; or its owner switched it off."""

    wire: ClassVar[str] = "org.bandung.WebhookDisabled.v1"
    topic: ClassVar[str] = topics.WEBHOOKS
    visibility: ClassVar[Visibility] = Visibility.PARTIES
    webhook: WebhookState

    def key(self) -> UUID:
        return self.webhook.id

    def subject(self) -> str:
        return f"webhooks/{self.webhook.id}"

    def parties(self) -> frozenset[UUID]:
        return frozenset({self.webhook.institution_id})


class WebhookTest(Event):
    """A trial delivery that an owner asked for. It goes to one webhook and never to Kafka or the feed."""

    wire: ClassVar[str] = "org.bandung.WebhookTest.v1"
    webhook: WebhookState

    def key(self) -> UUID:
        return self.webhook.id

    def subject(self) -> str:
        return f"webhooks/{self.webhook.id}"


EVENTS: tuple[type[Event], ...] = (WebhookDisabled,)
