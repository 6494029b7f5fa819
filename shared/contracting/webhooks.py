"""What a service sends to webhooks, for the `webhooks` of its OpenAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.contracting import records, schemas

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.messaging.envelope import Event
    from shared.service import Service

Json = dict[str, Any]
CLOUD_EVENT = "application/cloudevents+json"
_TEXT = {"type": "string"}
_HEADERS = {
    "webhook-id": "Id of the event, the same on every repetition: keep it to drop duplicates",
    "webhook-timestamp": "Seconds since 1970 of this attempt: refuse what is older than five minutes",
    "webhook-signature": "`v1,<base64>`, two of them for a day after a new secret: HMAC-SHA256 of id.timestamp.body",
}
ENVELOPE: Json = {
    "type": "object",
    "title": "CloudEvent",
    "description": "CloudEvents 1.0 in structured JSON. Members that are not named here must be ignored.",
    "required": [
        *("specversion", "id", "source", "type", "subject", "time", "sequence", "partitionkey", "correlationid"),
        *("dataschema", "datacontenttype", "data"),
    ],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "format": "uuid"},
        "source": _TEXT,
        "type": _TEXT,
        "subject": _TEXT,
        "time": {"type": "string", "format": "date-time"},
        "sequence": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{10}$"},
        "partitionkey": _TEXT,
        "correlationid": _TEXT,
        "causationid": {"type": "string", "format": "uuid"},
        "dataschema": {"type": "string", "format": "uri"},
        "traceparent": _TEXT,
        "datacontenttype": {"const": "application/json"},
        "data": {"type": "object"},
    },
}


def add(document: Json, service: Service) -> None:
    """One webhook per event that the service delivers, with the schemas of their data."""
    events = sorted(service.delivers, key=schemas.name)
    schemas.put(document["components"]["schemas"], {**schemas.as_components(events), "CloudEvent": ENVELOPE})
    document["webhooks"] = {schemas.name(event): {"post": _operation(event, service.examples)} for event in events}


def _operation(event: type[Event], values: Mapping[str, Any]) -> Json:
    data = {"$ref": f"#/components/schemas/{schemas.name(event)}"}
    schema = {"allOf": [
        {"$ref": "#/components/schemas/CloudEvent"},
        {"properties": {"type": {"const": event.wire}, "data": data}},
    ]}  # fmt: skip
    example = records.story(event, values).structured()
    return {
        "operationId": f"deliver_{schemas.name(event)}",
        "tags": ["deliveries"],
        "summary": schemas.summary(event),
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": words, "schema": _TEXT}
            for name, words in _HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {CLOUD_EVENT: {"schema": schema, "example": example}}},
        "responses": {
            "2XX": {"description": "Taken. Anything else, or no answer in 15 s, is tried again for a day and more"},
            "410": {"description": "Gone: the webhook is disabled at once"},
        },
        "security": [],
        "x-visibility": event.visibility.value,
    }
