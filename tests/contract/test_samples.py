"""Golden samples: never changed, read by today's code, and handled twice by whoever subscribes to them."""

from __future__ import annotations

import importlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import TopicPartition
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from cloudevents.core.formats.json import JSONFormat
from jsonschema import Draft202012Validator
from pydantic import SecretStr
from sqlalchemy import text

from services import SERVICES
from shared.contracting import samples, schemas
from shared.contracting.samples import Sample
from shared.data import migrate
from shared.service import Running
from tests.contract.conftest import NAMES, committed
from tests.support.stack import Issuer

if TYPE_CHECKING:
    from pathlib import Path

    from shared.messaging.envelope import Event
    from shared.service import Service
    from tests.support.parts import Parts

ALL = samples.committed()
every_sample = pytest.mark.parametrize("sample", ALL, ids=lambda sample: sample.name)
PARTITION = TopicPartition("samples", 0)


def test_no_sample_was_changed_or_removed_and_none_is_unlisted() -> None:
    assert samples.digests() == samples.manifest()
    assert len(ALL) >= 110


def test_a_sample_that_is_changed_removed_or_slipped_in_is_noticed(services: list[Service], tmp_path: Path) -> None:
    samples.add(samples.lacking(services, tmp_path), tmp_path)
    assert samples.digests(tmp_path) == samples.manifest(tmp_path)
    victim = tmp_path / "NeedPosted.v1" / "001.json"
    whole = victim.read_bytes()
    victim.write_bytes(whole.replace(b"ETH", b"KEN") + b" ")
    assert samples.digests(tmp_path) != samples.manifest(tmp_path)
    victim.write_bytes(whole)
    assert samples.digests(tmp_path) == samples.manifest(tmp_path)
    victim.rename(victim.with_name("009.json"))
    assert samples.digests(tmp_path) != samples.manifest(tmp_path)


def test_every_event_has_its_samples_and_no_more_are_made(services: list[Service]) -> None:
    assert samples.lacking(services) == []
    events = {schemas.versioned(event) for service in services for event in service.publishes}
    assert events <= {sample.name.partition("/")[0] for sample in ALL}


def test_a_member_that_is_new_gets_a_new_sample_beside_the_old(services: list[Service], tmp_path: Path) -> None:
    samples.add(samples.lacking(services, tmp_path), tmp_path)
    before = samples.manifest(tmp_path)
    file = tmp_path / "NeedPosted.v1" / "002.json"
    content = json.loads(file.read_text())
    del content["data"]["need"]["urgency"]  # as if it had been committed before the member was there
    file.write_text(json.dumps(content))
    there = [json.loads(sample.read_text())["headers"] for sample in tmp_path.glob("*.v*/*.json")]
    [new] = samples.lacking(services, tmp_path)
    assert new.name == "NeedPosted.v1/003.json"
    assert new.data["need"]["urgency"]
    assert new.headers["ce_sequence"] > max(headers["ce_sequence"] for headers in there)
    samples.add([new], tmp_path)
    assert samples.manifest(tmp_path).items() >= before.items()


def test_ids_and_sequences_are_all_different() -> None:
    assert len({sample.headers["ce_id"] for sample in ALL}) == len(ALL)
    assert len({sample.headers["ce_sequence"] for sample in ALL}) == len(ALL)


@every_sample
def test_today_s_code_and_schema_read_it(sample: Sample, services: list[Service]) -> None:
    event = _event(sample, services)
    typed = event.model_validate_json(sample.event.data)
    assert typed.subject() == sample.headers["ce_subject"]
    assert str(typed.key()) == sample.headers["ce_partitionkey"]
    document = committed(f"schemas/{schemas.versioned(event)}.json")
    Draft202012Validator(document, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(sample.data)
    assert _subset(sample.data, json.loads(typed.model_dump_json()))


@every_sample
def test_the_cloudevents_sdk_reads_it(sample: Sample) -> None:
    headers: dict[str, str | bytes] = {name: value.encode() for name, value in sample.headers.items()}
    message = KafkaMessage(headers, sample.headers["ce_partitionkey"].encode(), sample.event.data)
    official = from_binary_event(message, JSONFormat())
    assert official.get_type() == sample.headers["ce_type"]
    assert official.get_data() == sample.data
    assert official.get_extension("sequence") == sample.headers["ce_sequence"]


def test_samples_show_both_nothing_and_everything() -> None:
    empty, full = (next(s for s in ALL if s.name == f"MatchFormalised.v1/{number}.json") for number in ("001", "002"))
    assert empty.data["match"]["project_id"] is None
    assert empty.data["match"]["beneficiary"]["country"] is None
    assert "ce_causationid" not in empty.headers
    assert full.data["match"]["facilitators"][0]["status"] == "invited"
    assert "null" not in json.dumps(full.data)
    assert full.headers["ce_causationid"]


def _event(sample: Sample, services: list[Service]) -> type[Event]:
    [found] = {e for service in services for e in service.publishes if e.wire == sample.headers["ce_type"]}
    return found


def _subset(small: Any, large: Any) -> bool:
    """Whether nothing of the sample got lost in reading and writing it; times may be written otherwise."""
    if isinstance(small, dict):
        return all(name in large and _subset(item, large[name]) for name, item in small.items())
    if isinstance(small, list):
        return len(small) == len(large) and all(_subset(*pair) for pair in zip(small, large, strict=True))
    return bool(small == large)


@dataclass(frozen=True)
class Record:
    """What aiokafka gives of a record, as far as a delivery looks at it."""

    sample: Sample
    offset: int

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        return [(name, value.encode()) for name, value in self.sample.headers.items()]

    @property
    def value(self) -> bytes:
        return self.sample.event.data


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.asyncio
async def test_every_sample_is_handled_twice_and_the_second_time_changes_nothing(parts: Parts, name: str) -> None:
    async with _at_rest(parts, name) as running:
        heard = {event.wire for event in running.service.handlers.events}
        records = [Record(sample, offset) for offset, sample in enumerate(ALL)]
        fresh = await _dump(running)
        assert await _handle(running, records) == sum(sample.headers["ce_type"] in heard for sample in ALL)
        before = await _dump(running)
        assert {name for name in before if before[name] != fresh[name]} - {"inbox", "consumer_positions"}
        assert await _handle(running, records) == 0
        assert await _dump(running) == before


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.asyncio
async def test_samples_that_come_again_after_the_inbox_was_purged_find_what_they_left(parts: Parts, name: str) -> None:
    """As when a topic is read again from its start: natural keys and sequences hold, not only the inbox."""
    async with _at_rest(parts, name) as running:
        records = [Record(sample, offset) for offset, sample in enumerate(ALL)]
        await _handle(running, records)
        before = await _dump(running)
        async with running.database.background_session() as session:
            await session.execute(text("delete from inbox"))
            await session.commit()
        await _handle(running, records)
        after = await _dump(running)
        assert {
            t: sorted(set(after[t]) ^ set(before[t])) for t in before if t != "inbox" and after[t] != before[t]
        } == {}


@asynccontextmanager
async def _at_rest(parts: Parts, name: str) -> AsyncIterator[Running]:
    """A service with its database, whose loops do not run: only the test delivers."""
    settings = importlib.import_module(f"{SERVICES[name]}.settings").Settings
    url = await parts.new_database(name)
    service = importlib.import_module(f"{SERVICES[name]}.app").build(settings(database_url=SecretStr(url)))
    await migrate.upgrade(url, service.migrations)
    running = Running(service, keys=Issuer())
    try:
        await running.prepare()
        yield running
    finally:
        await running.close()


async def _handle(running: Running, records: list[Record]) -> int:
    """Each record on the way that the consumer takes, in a slice of its own; how many reached a handler."""
    before = _handled(running)
    for record in records:
        await running.consumer.delivery.handle("samples", PARTITION, [record])
    return _handled(running) - before


def _handled(running: Running) -> int:
    return int(running.metrics.handled.labels("handled")._value.get())


async def _dump(running: Running) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    tables = [table.name for table in running.service.metadata.sorted_tables]
    async with running.database.background_session() as session:
        return {
            name: sorted((await session.execute(text(f"select t::text from {name} t"))).scalars())  # noqa: S608
            for name in tables
        }
