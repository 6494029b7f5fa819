"""Steps and looks that the tests of single protections share, on the smallest service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.kafka import read_topic
from tests.support.probe import TOPIC, Heard, Probe

if TYPE_CHECKING:
    from shared.messaging.envelope import CloudEvent
    from tests.support.parts import Parts

UNSENT = "select id from outbox where published_at is null order by id"


async def make(probe: Probe, title: str) -> str:
    answer = await probe.client.post("/things", json={"title": title}, headers=probe.as_owner())
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def rename(probe: Probe, thing: str, title: str) -> None:
    headers = probe.as_owner() | {"if-match": "*"}
    answer = await probe.client.post(f"/things/{thing}/rename", json={"title": title}, headers=headers)
    assert answer.status_code == 200, answer.text


async def heard(probe: Probe, number: int) -> bool:
    found = await probe.count(Heard)
    assert found == number, f"{found} of {number} heard"
    assert await probe.rows("select * from dead_letter") == []
    return True


async def on_kafka(parts: Parts, probe: Probe) -> list[CloudEvent]:
    return await read_topic(parts.bootstrap, probe.running.settings.topic_prefix + TOPIC.name)


async def no_rows(probe: Probe, sql: str) -> bool:
    found = await probe.rows(sql)
    assert not found, found
    return True
