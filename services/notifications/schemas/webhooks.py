"""Webhooks and their deliveries (contract, section 13)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

from services.notifications.domain.filters import ALL
from shared.api import Body, Resource
from shared.events import matching, notifications, projects, registry
from shared.reference.types import Codes, CountryCode, IsicCode, OptionalText, SomeCodes, UtcDateTime

EVENT_NAMES = frozenset(
    event.short_name()
    for events in (registry.EVENTS, matching.EVENTS, projects.EVENTS, notifications.EVENTS)
    for event in events
)
_URL_LENGTH = 2_000


def check_event_name(name: str) -> str:
    """A known event type by its short name."""
    if name not in EVENT_NAMES:
        raise PydanticCustomError("event_type_unknown", "Must be an event type such as NeedPosted")
    return name


def _name_or_all(name: str) -> str:
    return name if name == ALL else check_event_name(name)


EventName = Annotated[str, Field(strict=True, examples=["NeedPosted"]), AfterValidator(_name_or_all)]
Url = Annotated[str, Field(strict=True, min_length=1, max_length=_URL_LENGTH, examples=["https://erp.example/hooks"])]
Description = Annotated[OptionalText, Field(examples=["ERP"])]
DeliveryStatus = Literal["pending", "succeeded", "failed", "exhausted"]
WebhookStatus = Literal["enabled", "disabled"]


class Filters(Body):
    """Each empty list lets everything pass; all that are given must pass."""

    countries: Codes[CountryCode] = Field(default_factory=list)
    isic: Codes[IsicCode] = Field(default_factory=list)
    institution_ids: Codes[UUID] = Field(default_factory=list)


class WebhookIn(Body):
    """A new webhook; what may stand in `url` is decided by the guard against inside addresses."""

    url: Url
    description: Description = ""
    event_types: SomeCodes[EventName]
    filters: Filters = Field(default_factory=Filters)
    institution_id: UUID | None = None


class WebhookPatch(Body):
    """JSON merge patch: what is absent stays."""

    url: Url | None = None
    description: Description | None = None
    event_types: SomeCodes[EventName] | None = None
    filters: FiltersPatch | None = None

    def given(self) -> dict[str, Any]:
        """The members that were sent; null clears what may be empty."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class FiltersPatch(Body):
    """The same rule one level deeper."""

    countries: Codes[CountryCode] | None = None
    isic: Codes[IsicCode] | None = None
    institution_ids: Codes[UUID] | None = None


class FiltersOut(BaseModel):
    """The filters of a webhook."""

    countries: list[str] = Field(default_factory=list)
    isic: list[str] = Field(default_factory=list)
    institution_ids: list[str] = Field(default_factory=list)


class WebhookOut(Resource):
    """A webhook; `secret` is shown once, when it is made."""

    collection: ClassVar[str] = "webhooks"

    id: UUID
    version: int
    status: WebhookStatus
    institution_id: UUID
    url: str
    description: str
    event_types: list[str]
    filters: FiltersOut
    secret: str | None = None
    previous_valid_until: UtcDateTime | None = None
    reason: dict[str, str] | None = None
    created_at: UtcDateTime
    updated_at: UtcDateTime
    actions: list[str]


class Accepted(BaseModel):
    """The delivery that was put on its way."""

    delivery_id: UUID


class DeliveryOut(BaseModel):
    """One event on its way to one webhook; `failed` is tried again at `next_attempt_at`, `exhausted` is not."""

    id: UUID
    webhook_id: UUID
    event_id: UUID
    event_type: str
    attempt: int
    status: DeliveryStatus
    http_status: int | None
    duration_ms: int | None
    response_excerpt: str
    attempted_at: UtcDateTime | None
    next_attempt_at: UtcDateTime | None


WebhookPatch.model_rebuild()
