"""A snapshot says again what is known already: nobody is told twice. And who has left is told no more."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import pytest_asyncio

from shared.events import registry
from shared.events.projects import (
    ContributionCommitted,
    ContributionPledged,
    MilestonePlanned,
    MilestoneReached,
    PartnerRoleChanged,
    PracticePublished,
    PracticeReplicated,
    ProjectOpened,
)  # fmt: skip
from shared.events.registry import InstitutionRegistered, VerificationSubmitted
from shared.messaging.envelope import CloudEvent
from tests.support.notifications import inbox, told_of
from tests.support.samples import (
    LIDI,
    OPERATOR,
    SYSTEM,
    TODAY,
    contribution,
    institution,
    part,
    practice,
    project,
    role,
    sample,
)  # fmt: skip
from tests.support.stack import RunningService, running_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def s(parts: Parts) -> AsyncIterator[RunningService]:
    async with running_service(parts, "notifications") as service:
        yield service


async def test_a_snapshot_of_a_later_epoch_tells_nobody_twice(s):
    one = uuid4()
    event = sample(registry.InstitutionVerified, OPERATOR, institution=institution(id=one, version=3))
    first = await s.foreign.send(event)
    who = s.token("owner", institution_id=one)
    await told_of(s, who, first.id)
    again = replace_sequence(first, "0002-0000000001")
    await s.foreign.send_record(event.topic, again)
    news = sample(registry.InstitutionSuspended, OPERATOR, institution=institution(id=one, version=4))
    later = replace_sequence(first, "0002-0000000002", news)
    await s.foreign.send_record(event.topic, later)
    await told_of(s, who, later.id)
    assert [item["event_type"] for item in (await inbox(s, who))["items"]] == [
        "InstitutionSuspended",
        "InstitutionVerified",
    ]


def replace_sequence(record: Any, sequence: str, event: Any = None) -> Any:
    """The same record as a new event of another epoch."""
    changes: dict[str, Any] = {"id": uuid4(), "sequence": sequence, "time": record.time + timedelta(seconds=1)}
    if event is not None:
        changes |= {"type": event.wire, "data": event.model_dump_json().encode()}
    return dataclasses.replace(record, **changes)


async def names_told(s: RunningService, one: Any, last: Any) -> list[str]:
    """The types of all that an institution was told of, newest first, once this last one is among them."""
    who = s.token("owner", institution_id=one)
    await told_of(s, who, last.id)
    return [item["event_type"] for item in (await inbox(s, who, limit=200))["items"]]


async def send_in(s: RunningService, event: Any, sequence: str) -> Any:
    """An event of any epoch."""
    record = replace_sequence(unsent(event), sequence)
    await s.foreign.send_record(event.topic, record)
    return record


def unsent(event: Any) -> Any:
    """The record of an event, not on Kafka yet."""
    return CloudEvent(
        id=uuid4(), source=f"urn:bandung:test:{event.topic.partition('.')[0]}", type=event.wire,
        subject=event.subject(), time=datetime.now(UTC), sequence="", partitionkey=str(event.key()),
        correlationid=str(event.correlation()), causationid=None, dataschema="", traceparent=None,
        data=event.model_dump_json().encode(),
    )  # fmt: skip


async def test_a_snapshot_says_it_in_other_words_and_versions(s):
    """It names the type that led to the status: an update comes again as a publication, and state may be set back."""
    one = uuid4()
    state = institution(id=one)
    await send_in(s, sample(InstitutionRegistered, OPERATOR, institution=state), "0001-0000000001")
    verified = sample(registry.InstitutionVerified, OPERATOR, institution=state | {"version": 2})
    await send_in(s, verified, "0001-0000000002")
    updated = sample(registry.InstitutionUpdated, OPERATOR, institution=state | {"version": 5})
    await send_in(s, updated, "0001-0000000003")
    snapshot = sample(registry.InstitutionVerified, OPERATOR, institution=state | {"version": 4})
    await send_in(s, snapshot, "0002-0000000004")
    await send_in(s, sample(registry.InstitutionUpdated, OPERATOR, institution=state), "0003-0000000005")
    last = await send_in(s, verified, "0003-0000000006")
    assert await names_told(s, one, last) == [
        "InstitutionVerified",
        "InstitutionUpdated",
        "InstitutionVerified",
        "InstitutionRegistered",
    ]


async def test_what_only_a_new_epoch_knows_is_news(s):
    one = uuid4()
    first = sample(InstitutionRegistered, OPERATOR, institution=institution(id=one))
    last = await send_in(s, first, "0002-0000000001")
    assert await names_told(s, one, last) == ["InstitutionRegistered"]


async def test_a_snapshot_of_a_project_with_its_parts_tells_nobody_twice(s):
    """All share one key; each part is first in the epoch once."""
    one, project_id = uuid4(), uuid4()
    common = {"project_id": project_id, "partner_ids": [LIDI, one]}
    partners = [role(LIDI, "beneficiary"), role(LIDI, "pivotal") | {"institution_id": one}]
    opened = sample(ProjectOpened, SYSTEM, project=project(id=project_id, partners=partners))
    milestones = [
        part(title="Plant runs", due_on=TODAY, reached_on=None, reason=None, **common) | {"id": uuid4()} for _ in "ab"
    ]
    planned = [sample(MilestonePlanned, SYSTEM, milestone=milestone) for milestone in milestones]
    pledged = sample(ContributionPledged, SYSTEM, contribution=contribution(**common))
    committed = sample(ContributionCommitted, SYSTEM, contribution=pledged.contribution.model_dump() | {"version": 2})
    for number, event in enumerate([opened, *planned, pledged, committed], 1):
        await send_in(s, event, f"0001-{number:010d}")
    again = [opened, pledged, *planned]  # a contribution committed in the hour that was lost is pledged again
    for number, event in enumerate(again, 6):
        await send_in(s, event, f"0002-{number:010d}")
    news = sample(MilestoneReached, SYSTEM, milestone=milestones[1])
    last = await send_in(s, news, "0002-0000000010")
    assert await names_told(s, one, last) == [
        "MilestoneReached",
        "ContributionCommitted",
        "ContributionPledged",
        "MilestonePlanned",
        "MilestonePlanned",
        "ProjectOpened",
    ]


async def test_a_snapshot_of_a_practice_and_its_replications_tells_nobody_twice(s):
    """They share one subject, so each replication is known by its own id."""
    one = uuid4()
    state = practice() | {"partner_ids": [one]}
    published = sample(PracticePublished, SYSTEM, practice=state)
    first, second, third = [sample(PracticeReplicated, SYSTEM, practice=state) for _ in range(3)]
    for number, event in enumerate([published, first, second], 1):
        await send_in(s, event, f"0001-{number:010d}")
    for number, event in enumerate([published, first, second], 4):
        await send_in(s, event, f"0002-{number:010d}")
    last = await send_in(s, third, "0002-0000000007")
    assert await names_told(s, one, last) == ["PracticeReplicated"] * 3 + ["PracticePublished"]


async def test_a_snapshot_of_a_verification_tells_the_verifier_once(s):
    verifier, submitted = s.token("verifier"), sample(VerificationSubmitted, OPERATOR)
    first = await send_in(s, submitted, "0001-0000000101")
    await told_of(s, verifier, first.id)
    again = await send_in(s, submitted, "0002-0000000102")
    last = await send_in(s, sample(VerificationSubmitted, OPERATOR), "0002-0000000103")
    await told_of(s, verifier, last.id)
    told = {item["event_id"] for item in (await inbox(s, verifier, limit=200))["items"]}
    assert str(again.id) not in told


async def test_a_partner_that_has_left_hears_no_more_of_the_project(s):
    staying, left = uuid4(), uuid4()
    project_id = uuid4()
    common = {"project_id": project_id, "partner_ids": [staying, left]}

    def roles(to: Any = None) -> list[dict[str, Any]]:
        held = [(staying, "beneficiary", None), (left, "pivotal", to)]
        return [role(LIDI, name, to=until) | {"institution_id": one} for one, name, until in held]

    def milestone() -> Any:
        return sample(
            MilestonePlanned,
            SYSTEM,
            milestone=part(title="Plant runs", due_on=TODAY, reached_on=None, reason=None, **common),
        )

    await s.foreign.send(milestone())  # nothing is known of the project yet
    await s.foreign.send(sample(ProjectOpened, SYSTEM, project=project(id=project_id, partners=roles())))
    await s.foreign.send(milestone())
    leaving = project(id=project_id, version=2, partners=roles(date(2026, 2, 1)))
    changed = await s.foreign.send(sample(PartnerRoleChanged, SYSTEM, project=leaving))
    last = await s.foreign.send(milestone())
    before = ["PartnerRoleChanged", "MilestonePlanned", "ProjectOpened", "MilestonePlanned"]
    assert await names_told(s, staying, last) == ["MilestonePlanned", *before]
    assert await names_told(s, left, changed) == before
