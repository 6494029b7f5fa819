"""Two matches compete for one need; whatever order their events arrive in, every service ends in the same state."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import tempfile
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import text

from services import SERVICES
from services.registry.tables import CapabilityRow, InstitutionRow, NeedRow
from shared.data import migrate
from shared.events import matching, projects
from shared.messaging.envelope import CloudEvent, Event
from shared.ops.clock import Clock
from shared.ops.ids import new_id
from shared.service import Running
from tests.faults.read_models import READ_MODELS
from tests.support import samples
from tests.support.stack import ISSUER, Issuer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.support.parts import Parts

OWN = {
    "registry": {"need": "id, status", "capability": "id, status"},
    "projects": {"project": "id, status, match_id, need_id", "project_role": "project_id, institution_id, role"},
    "matching": {"engagement": "match_id, state"},
}
"""What a service decides itself from these events."""


@dataclass(frozen=True)
class Story:
    """Events of one need in the order in which they happened, and the names of what they are about."""

    events: list[CloudEvent]
    names: dict[UUID, str]

    @property
    def need(self) -> UUID:
        return next(key for key, name in self.names.items() if name == "need")

    @property
    def capability(self) -> UUID:
        return next(key for key, name in self.names.items() if name == "capability")


def story(service: str) -> Story:
    """The first match is formalised, its project cancelled; the second is formalised, its project completed."""
    names = {uuid4(): name for name in ("need", "capability", "match 1", "match 2", "project 1", "project 2")}
    need, capability, *rest = names
    pairs = list(zip(rest[:2], rest[2:], strict=True))
    told: list[Event] = []
    for number, (match_id, project_id) in enumerate(pairs):
        common = {"id": match_id, "need_id": need, "capability_id": capability}
        told.append(samples.sample(matching.MatchAccepted, match=samples.match(status="accepted", **common)))
        formalised = samples.match(status="formalised", project_id=project_id, **common)
        partners = [
            samples.party(samples.LIDI) | {"role": "beneficiary"},
            samples.party(samples.CLRI) | {"role": "pivotal"},
        ]
        seed = samples.project(id=project_id, partners=partners, funding_gap=None)
        told.append(samples.sample(matching.MatchFormalised, match=formalised, project=seed))
        ids = {"id": project_id, "match_id": match_id, "need_id": need, "capability_id": capability}
        last = projects.ProjectCompleted if number else projects.ProjectCancelled
        status = "completed" if number else "cancelled"
        ended = samples.TODAY if number else None
        told.append(samples.sample(last, project=samples.project(status=status, completed_on=ended, **ids)))
    handled = {event.wire for event in _handled(service)}
    return Story(_numbered([event for event in told if event.wire in handled]), names)


def _handled(service: str) -> list[type[Event]]:
    package = importlib.import_module(f"{SERVICES[service]}.app")
    values = importlib.import_module(f"{SERVICES[service]}.settings").Settings
    return list(package.build(values(embedded=True)).handlers.events)


def _numbered(told: Sequence[Event]) -> list[CloudEvent]:
    sequences: dict[tuple[str, str], int] = defaultdict(int)
    events = []
    for event in told:
        place = (event.topic, str(event.key()))
        sequences[place] += 1
        events.append(
            CloudEvent(
                id=new_id(),
                source=f"urn:bandung:test:{event.topic.partition('.')[0]}",
                type=event.wire,
                subject=event.subject(),
                time=samples.NOW,
                sequence=f"0001-{sequences[place]:010d}",
                partitionkey=place[1],
                correlationid=str(event.correlation()),
                causationid=None,
                dataschema="http://127.0.0.1/schemas",
                traceparent=None,
                data=event.model_dump_json().encode(),
            )
        )
    return events


@dataclass
class Listener:
    """A service that is told events one by one."""

    name: str
    running: Running
    told: int = 0

    async def hears(self, event: CloudEvent) -> None:
        """As its consumer would hand it on."""
        self.told += 1
        topic = TopicPartition("any", 0)
        record = ConsumerRecord(
            "any", 0, self.told, 0, 0, event.partitionkey.encode(), event.data, None, 0, 0, tuple(event.headers())
        )
        await self.running.consumer.delivery.handle("log", topic, [record])

    async def ends(self, story_: Story, order: Sequence[int]) -> dict[str, set[str]]:
        """What it holds after the story in this order, by the names of the story."""
        if self.name == "registry":
            await self._knows(story_)
        for number in order:
            await self.hears(story_.events[number])
        return await self._holds(story_)

    async def _knows(self, story_: Story) -> None:
        """The need and the capability, which are registry's own."""
        of = {"institution_id": samples.LIDI, "status": "open", "created_at": samples.NOW}
        need = NeedRow(**{**samples.need(id=story_.need), **of, "partners_wanted": 1})
        own = {"institution_id": samples.CLRI, "status": "published", "created_at": samples.NOW}
        capability = CapabilityRow(**{**samples.capability(id=story_.capability, capacity=1), **own})
        async with self.running.transactions.background() as tx:
            for one in (samples.LIDI, samples.CLRI):
                if await tx.session.get(InstitutionRow, one) is None:
                    tx.session.add(InstitutionRow(**samples.institution(one), folded_names=[], searched=""))
            tx.session.add_all([need, capability])

    async def _holds(self, story_: Story) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        events = {event.id: f"event {n}" for n, event in enumerate(story_.events)}
        async with self.running.database.background_session() as session:
            for table, columns in (READ_MODELS[self.name] | OWN.get(self.name, {})).items():
                columns = columns.replace("md5(data) data, ", "")  # noqa: PLW2901 (ids within differ from story to story)
                rows = await session.execute(text(f"select {columns} from {table}"))  # noqa: S608 (names above)
                texts = {_renamed(str(tuple(row)), story_.names | events) for row in rows}
                found[table] = {row for row in texts if any(name in row for name in (*story_.names.values(), "event "))}
        return found


def _renamed(row: str, names: dict[UUID, str]) -> str:
    for key, name in names.items():
        row = row.replace(str(key), name)
    return row


@asynccontextmanager
async def listening(parts: Parts, name: str) -> AsyncIterator[Listener]:
    """One of the four with its database, its loops asleep."""
    package = importlib.import_module(f"{SERVICES[name]}.app")
    values = importlib.import_module(f"{SERVICES[name]}.settings").Settings
    url = await parts.new_database(name)
    home = Path(tempfile.mkdtemp())
    service = package.build(
        values(
            instance="test",
            embedded=True,
            home=home,
            database_url=SecretStr(url),
            kafka_bootstrap=parts.bootstrap,
            issuer=ISSUER,
            time_offset_seconds=(samples.NOW - Clock().now()).total_seconds(),
        )
    )
    await migrate.upgrade(url, service.migrations)
    running = Running(service, keys=Issuer())
    try:
        yield Listener(name, running)
    finally:
        await running.close()


def ends(runner: asyncio.Runner, listener: Listener, order: Sequence[int]) -> dict[str, set[str]]:
    return runner.run(listener.ends(story(listener.name), order))


def test_registry_ends_the_same_in_every_order_of_what_decides_between_two_matches(parts: Parts) -> None:
    with asyncio.Runner() as runner:
        around = listening(parts, "registry")
        listener = runner.run(around.__aenter__())
        try:
            deciding = [n for n, event in enumerate(story("registry").events) if "Accepted" not in event.type]
            wanted = ends(runner, listener, deciding)
            assert "(UUID('need'), 'fulfilled')" in wanted["need"], wanted
            orders = list(itertools.permutations(deciding))
            assert len(orders) == 24
            for order in orders:
                assert ends(runner, listener, order) == wanted, order
        finally:
            runner.run(around.__aexit__(None, None, None))


def test_registry_ends_the_same_in_any_order_with_repetitions(parts: Parts) -> None:
    check_any_order(parts, "registry")


def check_any_order(parts: Parts, name: str) -> None:
    """Some orders, some events twice."""
    with asyncio.Runner() as runner:
        around = listening(parts, name)
        listener = runner.run(around.__aenter__())
        try:
            number = len(story(name).events)
            assert number >= 2
            wanted = ends(runner, listener, range(number))
            assert any(wanted.values()), "nothing came of it"

            @settings(
                max_examples=25,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate],
            )
            @given(st.permutations([*range(number), *range(number)]))
            def same_end(order: list[int]) -> None:
                assert ends(runner, listener, order) == wanted, order

            same_end()
        finally:
            runner.run(around.__aexit__(None, None, None))


def test_matching_ends_the_same_in_any_order_with_repetitions(parts: Parts) -> None:
    check_any_order(parts, "matching")


def test_projects_ends_the_same_in_any_order_with_repetitions(parts: Parts) -> None:
    check_any_order(parts, "projects")


def test_notifications_ends_the_same_in_any_order_with_repetitions(parts: Parts) -> None:
    check_any_order(parts, "notifications")
