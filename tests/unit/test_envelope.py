"""CloudEvents on Kafka and as JSON, with the CloudEvents SDK as an independent reader."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent as Official

from shared.messaging.envelope import CloudEvent, NotACloudEvent, rfc3339, short

EVENT = CloudEvent(
    id=UUID("01a20cda-2001-7001-8001-000000000001"),
    source="urn:bandung:local:registry",
    type="org.bandung.NeedPosted.v1",
    subject="needs/01a20cda-0b06-7006-8006-000000000006",
    time=datetime(2026, 11, 24, 9, 20, 0, 123_000, tzinfo=UTC),
    sequence="0001-0000000001",
    partitionkey="01a20cda-0b06-7006-8006-000000000006",
    correlationid="01a20cda-0b06-7006-8006-000000000006",
    causationid=None,
    dataschema="http://127.0.0.1:8001/schemas/NeedPosted/1",
    traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    data=b'{"need": {"title": "\xc3\xa9"}}',
)


def test_headers_are_those_of_the_contract() -> None:
    headers = {name: value.decode() for name, value in EVENT.headers()}
    assert headers["ce_specversion"] == "1.0"
    assert headers["ce_time"] == "2026-11-24T09:20:00.123Z"
    assert headers["content-type"] == "application/json"
    assert headers["traceparent"] == EVENT.traceparent
    assert "ce_causationid" not in headers


def test_what_is_written_is_read_again() -> None:
    assert CloudEvent.from_record(EVENT.headers(), EVENT.data) == EVENT


def test_the_structured_form_has_the_same_attributes() -> None:
    document = EVENT.structured()
    assert document["data"] == {"need": {"title": "é"}}
    assert document["datacontenttype"] == "application/json"
    assert document["sequence"] == "0001-0000000001"
    assert {name.removeprefix("ce_") for name, _ in EVENT.headers()} - {"content-type"} <= set(document)


def test_the_cloudevents_sdk_reads_our_records() -> None:
    message = KafkaMessage(headers=dict(EVENT.headers()), key=EVENT.partitionkey.encode(), value=EVENT.data)
    event = from_binary_event(message, JSONFormat())
    assert event.get_id() == str(EVENT.id)
    assert event.get_type() == EVENT.type
    assert event.get_time() == EVENT.time
    assert event.get_extension("sequence") == EVENT.sequence


def test_the_cloudevents_sdk_reads_the_structured_form() -> None:
    event = JSONFormat().read(Official, json.dumps(EVENT.structured()).encode())
    assert event.get_id() == str(EVENT.id)
    assert event.get_extension("correlationid") == EVENT.correlationid


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("ce_id", b"x")],
        [("ce_id", b"\xff")],
        [("ce_id", str(uuid4()).encode()), ("ce_source", b"s"), ("ce_type", b"t"), ("ce_time", b"yesterday")],
    ],
)
def test_other_headers_are_named_as_what_they_are(headers: list[tuple[str, bytes]]) -> None:
    with pytest.raises(NotACloudEvent, match="no CloudEvent"):
        CloudEvent.from_record(headers, b"{}")


def test_names_and_times() -> None:
    assert short("org.bandung.NeedPosted.v1") == "NeedPosted"
    assert short("com.example.other") == "com.example.other"
    assert rfc3339(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000Z"
