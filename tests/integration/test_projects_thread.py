"""The thread through projects: a formalised match becomes a project, a practice and a replication."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from shared.events import topics
from shared.messaging.envelope import short
from tests.support.kafka import types
from tests.support.projects import Institution, desk, today, twinning
from tests.support.stack import RunningService, running_service
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from shared.messaging.envelope import CloudEvent
    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(parts: Parts) -> AsyncIterator[RunningService]:
    async with running_service(parts, "projects") as running:
        yield running


async def records_of(service: RunningService, topic: str, key: str, wanted: int) -> list[CloudEvent]:
    async def there() -> list[CloudEvent] | None:
        found = [record for record in await service.records(topic) if record.partitionkey == key]
        return found if len(found) >= wanted else None

    return await eventually(there)


async def test_a_formalised_match_opens_one_project_whatever_is_redelivered(service: RunningService) -> None:
    pair = twinning(service)
    project = await pair.opened()
    first = await service.foreign.send(pair.match.event())  # another event id with the same match
    await service.foreign.send_record(topics.MATCHES, first)  # the same record again
    last = await service.foreign.send(pair.match.event())  # behind both in the same partition
    await service.handled(last.id)

    again = (await pair.beneficiary.get("/projects", match_id=str(pair.match.id))).json()
    assert [item["id"] for item in again["items"]] == [str(pair.match.project_id)]
    assert project["version"] == 1
    assert project["status"] == "pipeline"
    assert project["modality"] == "south_south"
    assert project["need_id"] == project["correlation_id"] == str(pair.match.need_id)
    assert project["budget"] == {"amount": "450000.00", "currency": "USD"}
    assert project["actions"] == ["cancel"]
    assert project["partners"] == [
        {
            "institution_id": str(institution.id), "name": institution.name, "country": institution.country,
            "role": role, "from": today(), "to": None,
        }
        for institution, role in ((pair.lidi, "beneficiary"), (pair.clri, "pivotal"))
    ]  # fmt: skip
    opened = await records_of(service, topics.PROJECTS, project["id"], 1)
    assert types(opened) == ["ProjectOpened"]
    assert opened[0].correlationid == str(pair.match.need_id)
    assert opened[0].causationid is not None


async def test_a_facilitator_that_joined_makes_it_triangular(service: RunningService) -> None:
    giz, other = Institution("Giz", "DEU"), Institution("Other", "FRA")
    pair = twinning(service, facilitators=[(giz, "joined"), (other, "invited")])
    project = await pair.opened()
    assert [partner["role"] for partner in project["partners"]] == ["beneficiary", "pivotal", "facilitating"]
    assert project["modality"] == "triangular"
    assert (await desk(service, giz, "reader").get(pair.path)).status_code == 200
    assert (await desk(service, other, "owner").get(pair.path)).status_code == 404


async def test_the_whole_story_from_agreement_to_replication(service: RunningService) -> None:
    pair = twinning(service)
    await pair.opened()
    agreement = await pair.beneficiary.made(f"{pair.path}/agreements", pair.agreement())
    assert agreement["status"] == "proposed"
    assert agreement["actions"] == ["sign"]
    await pair.beneficiary.done(f"/agreements/{agreement['id']}/sign", {"signed_on": today()})
    signed = await pair.pivotal.done(f"/agreements/{agreement['id']}/sign", {"signed_on": today()})
    assert (signed["status"], signed["version"], signed["actions"]) == ("signed", 3, [])
    assert (await pair.pivotal.get(pair.path)).json()["actions"] == ["start", "cancel"]

    started = await pair.pivotal.done(f"{pair.path}/start", {"started_on": today()})
    assert (started["status"], started["version"], started["started_on"]) == ("active", 3, today())

    given = await pair.pivotal.made(f"{pair.path}/contributions", pair.experts())
    assert given["actions"] == ["commit"]
    path = f"/contributions/{given['id']}"
    await pair.pivotal.done(f"{path}/commit")
    part = await pair.pivotal.done(f"{path}/deliver", {"delivered_on": today(), "quantity": "40"})
    assert part["status"] == "committed"
    full = await pair.pivotal.done(f"{path}/deliver", {"delivered_on": today()})
    assert [d["quantity"] for d in full["deliveries"]] == ["40", "80"]
    assert full["status"] == "delivered"
    confirmed = await pair.beneficiary.done(f"{path}/confirm", {})
    assert confirmed["status"] == "confirmed"
    assert (await pair.beneficiary.get(f"{pair.path}/totals")).json() == {
        "cash": [{"currency": "USD"} | dict.fromkeys(("pledged", "committed", "delivered", "confirmed"), "0.00")],
        "in_kind": [
            {"unit": "expert_day", "pledged": "120", "committed": "120", "delivered": "120", "confirmed": "120"}
        ],
    }

    report = await pair.beneficiary.made(f"{pair.path}/reports", pair.report())
    await pair.beneficiary.done(f"/reports/{report['id']}/sign")
    assert (await pair.pivotal.done(f"/reports/{report['id']}/sign"))["status"] == "signed"
    completed = await pair.pivotal.done(f"{pair.path}/complete", {"completed_on": today()})
    assert (completed["status"], completed["completed_on"]) == ("completed", today())

    practice = await pair.beneficiary.made("/practices", pair.practice())
    assert (practice["status"], practice["version"]) == ("published", 1)
    second = await pair.pivotal.made("/projects", pair.direct())
    assert second["correlation_id"] == second["id"]
    copied = await pair.pivotal.made(
        f"/practices/{practice['id']}/replications",
        {"project_id": second["id"], "adaptation": "Two smaller units instead of one.", "outcome": "in_progress"},
    )
    assert copied == {
        "id": copied["id"], "version": 1, "practice_id": practice["id"], "source_project_id": completed["id"],
        "project_id": second["id"], "adaptation": "Two smaller units instead of one.", "outcome": "in_progress",
    }  # fmt: skip
    lineage = (await pair.beneficiary.get(f"/practices/{practice['id']}/lineage")).json()
    assert lineage["edges"] == [
        {"from_project_id": completed["id"], "to_project_id": second["id"], "outcome": "in_progress"}
    ]

    story = await records_of(service, topics.PROJECTS, completed["id"], 12)
    assert types(story) == [
        "ProjectOpened", "AgreementProposed", "AgreementSigned", "ProjectStarted", "ContributionPledged",
        "ContributionCommitted", "ContributionDelivered", "ContributionDelivered", "ContributionConfirmed",
        "ReportSubmitted", "ReportSigned", "ProjectCompleted",
    ]  # fmt: skip
    assert [record.sequence for record in story] == [f"0001-{number:010d}" for number in range(1, 13)]
    assert {record.correlationid for record in story} == {str(pair.match.need_id)}
    told = await records_of(service, topics.PRACTICES, practice["id"], 2)
    assert types(told) == ["PracticePublished", "PracticeReplicated"]
    assert {record.correlationid for record in told} == {str(pair.match.need_id)}


async def test_events_of_children_carry_title_and_partners_but_no_words_of_people(service: RunningService) -> None:
    pair = twinning(service)
    await pair.active()
    given = await pair.pivotal.made(f"{pair.path}/contributions", pair.cash("100.50"))
    await pair.pivotal.done(f"/contributions/{given['id']}/commit")
    part = await pair.pivotal.done(f"/contributions/{given['id']}/deliver", {"delivered_on": today()})
    reason = {"delivery_id": part["deliveries"][0]["id"], "reason_code": "other", "text": "Nobody came."}
    disputed = await pair.beneficiary.done(f"/contributions/{given['id']}/dispute", reason)
    assert disputed["deliveries"][0]["reason"] == {"code": "other", "text": "Nobody came."}

    record = (await records_of(service, topics.PROJECTS, str(pair.match.project_id), 8))[-1]
    state = json.loads(record.data)["contribution"]
    assert short(record.type) == "ContributionDisputed"
    assert record.subject == f"contributions/{given['id']}"
    assert state["project_title"] == "Cut chrome discharge"
    assert state["partner_ids"] == [str(pair.lidi.id), str(pair.clri.id)]
    assert state["deliveries"][0]["reason"] == {"code": "other"}
    assert state["deliveries"][0]["amount"] == "100.50"
    assert b"Nobody came" not in record.data
