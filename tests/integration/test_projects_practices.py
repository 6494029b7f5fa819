"""Practices, replications and lineage; the snapshot and the migration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from shared.events import topics
from shared.events.registry import InstitutionSuspended
from shared.operations import snapshot
from shared.ops.ids import new_id
from tests.support.kafka import types
from tests.support.projects import Institution, Twinning, desk, today, twinning
from tests.support.stack import RunningService, running_service
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(parts: Parts) -> AsyncIterator[RunningService]:
    async with running_service(parts, "projects") as running:
        yield running


def refused(answer: httpx.Response, status: int, code: str, pointer: str | None = None) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json()["code"] == code, answer.text
    if pointer is not None:
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer], answer.text


def reuse(project_id: object, outcome: str = "in_progress") -> dict[str, Any]:
    return {"project_id": str(project_id), "adaptation": "Two smaller units.", "outcome": outcome}


async def test_a_practice_needs_a_completed_project_of_the_caller(service: RunningService) -> None:
    pair = twinning(service)
    await pair.active()
    refused(await pair.pivotal.post("/practices", pair.practice(), None), 409, "project_not_completed")
    stranger = desk(service, Institution("X", "KEN"), "owner")
    refused(await stranger.post("/practices", pair.practice(), None), 404, "not_found")
    refused(await desk(service, None, "operator").post("/practices", pair.practice(), None), 403, "forbidden")
    refused(await desk(service, pair.clri, "reader").post("/practices", pair.practice(), None), 403, "forbidden")
    nowhere = pair.practice(project_id=str(new_id()))
    refused(await pair.pivotal.post("/practices", nowhere, None), 404, "not_found")


async def test_a_draft_is_its_institutions_until_it_is_published(service: RunningService) -> None:
    pair = twinning(service)
    await pair.completed()
    stranger = desk(service, Institution("X", "KEN"), "reader")
    made = await desk(service, pair.lidi, "editor").post("/practices", pair.practice(publish=False), None)
    draft, path = made.json(), made.headers["location"]
    assert (draft["status"], draft["published_at"], draft["actions"]) == ("draft", None, ["publish"])
    assert made.headers["x-correlation-id"] == draft["correlation_id"] == str(pair.match.need_id)
    for other in (stranger, pair.pivotal, desk(service, None, "verifier")):
        refused(await other.get(path), 404, "not_found")
    assert (await desk(service, None, "operator").get(path)).json()["actions"] == []
    refused(await desk(service, None, "operator").post(f"{path}/publish"), 403, "forbidden")
    listed = f"{pair.path}/practices"
    assert (await pair.pivotal.get(listed)).json()["items"] == []
    assert len((await pair.beneficiary.get(listed)).json()["items"]) == 1
    refused(await pair.beneficiary.post(f"{path}/publish", None, None), 428, "precondition_required")
    refused(
        await pair.beneficiary.post(f"{path}/replications", reuse(pair.match.project_id)), 409, "invalid_transition"
    )
    published = await pair.beneficiary.done(f"{path}/publish")
    assert (published["status"], published["version"], published["actions"]) == ("published", 2, [])
    refused(await pair.beneficiary.post(f"{path}/publish"), 409, "invalid_transition")
    assert (await stranger.get(path)).json() == published


async def test_practices_are_found_by_words_and_sector(service: RunningService) -> None:
    pair = twinning(service)
    await pair.completed()
    chrome = await pair.pivotal.made("/practices", pair.practice())
    solar = await pair.pivotal.made(
        "/practices", pair.practice(title="Séchage solaire 100 %", challenge="Fruit rots.", approach="Dry it.",
                                    conditions=None, results="Less loss.", isic=["10", "3510"],
                                    poverty_reduction=None),
    )  # fmt: skip
    anybody = desk(service, Institution("X", "KEN"), "reader")

    async def found(**params: Any) -> set[str]:
        items = (await anybody.get("/practices", **params)).json()["items"]
        return {item["id"] for item in items} & {chrome["id"], solar["id"]}

    assert await found() == {chrome["id"], solar["id"]}
    assert await found(q="chrome") == {chrome["id"]}
    assert await found(q="CHROME cluster") == {chrome["id"]}
    assert await found(q="chrome solar") == set()
    assert await found(q="sechage") == {solar["id"]}
    assert await found(q="100 %") == {solar["id"]}
    assert await found(q="_") == set()
    assert await found(isic="1511") == {chrome["id"]}
    assert await found(isic="15") == {chrome["id"]}
    assert await found(isic="C") == {chrome["id"], solar["id"]}
    assert await found(isic="D") == {solar["id"]}
    assert await found(isic="1010") == set()
    assert await found(q="chrome", isic="35") == set()
    assert await found(updated_since=solar["updated_at"]) == {solar["id"]}
    refused(await anybody.get("/practices", isic="9999"), 422, "validation_failed")


async def test_a_replication_is_another_running_project_once(service: RunningService) -> None:
    pair, other = twinning(service), twinning(service)
    source = await pair.completed()
    await other.opened()
    practice = await pair.beneficiary.made("/practices", pair.practice())
    path = f"/practices/{practice['id']}/replications"
    refused(await pair.beneficiary.post(path, reuse(source["id"])), 422, "validation_failed", "/project_id")
    refused(await pair.beneficiary.post(path, reuse(other.match.project_id)), 404, "not_found")
    refused(await desk(service, other.lidi, "reader").post(path, reuse(other.match.project_id)), 403, "forbidden")
    refused(await desk(service, None, "operator").post(path, reuse(other.match.project_id)), 403, "forbidden")
    wrong = reuse(other.match.project_id, "splendid")
    refused(await other.beneficiary.post(path, wrong), 422, "validation_failed", "/outcome")
    made = await other.beneficiary.post(path, reuse(other.match.project_id), None)
    assert made.status_code == 201
    assert made.headers["x-correlation-id"] == str(pair.match.need_id)
    assert (await pair.pivotal.get(made.headers["location"])).json() == made.json()
    assert (await pair.pivotal.get(path)).json()["items"] == [made.json()]
    refused(await other.pivotal.post(path, reuse(other.match.project_id)), 409, "invalid_transition")
    cancelled = await pair.pivotal.made("/projects", pair.direct())
    await pair.pivotal.done(f"/projects/{cancelled['id']}/cancel", {"reason_code": "funding_lost"})
    refused(await pair.pivotal.post(path, reuse(cancelled["id"])), 422, "validation_failed", "/project_id")
    refused(await pair.pivotal.post(f"/practices/{new_id()}/replications", reuse(source["id"])), 404, "not_found")


async def test_lineage_follows_practices_of_the_reusing_projects_and_ends_in_circles(service: RunningService) -> None:
    chain = [twinning(service) for _ in range(3)]
    projects = [await pair.completed() for pair in chain]
    practices = [await pair.pivotal.made("/practices", pair.practice()) for pair in chain]

    async def replicate(of: int, by: Twinning, outcome: str) -> None:
        await by.pivotal.made(f"/practices/{practices[of]['id']}/replications", reuse(by.match.project_id, outcome))

    await replicate(0, chain[1], "successful")
    await replicate(1, chain[2], "in_progress")
    await replicate(2, chain[0], "unsuccessful")

    async def edges(of: int) -> list[tuple[str, str, str]]:
        lineage = (await chain[0].pivotal.get(f"/practices/{practices[of]['id']}/lineage")).json()
        assert lineage["practice_id"] == practices[of]["id"]
        return [(e["from_project_id"], e["to_project_id"], e["outcome"]) for e in lineage["edges"]]

    a, b, c = (project["id"] for project in projects)
    circle = [(a, b, "successful"), (b, c, "in_progress"), (c, a, "unsuccessful")]
    assert await edges(0) == circle
    assert await edges(1) == circle
    other = await chain[0].pivotal.made("/practices", chain[0].practice(title="Another"))
    assert (await chain[0].pivotal.get(f"/practices/{other['id']}/lineage")).json()["edges"] == []


async def test_a_suspended_institution_may_not_publish(service: RunningService) -> None:
    pair = twinning(service)
    await pair.completed()
    await service.foreign.send(pair.lidi.event(InstitutionSuspended, "suspended"))
    draft = await pair.beneficiary.made("/practices", pair.practice(publish=False))

    async def refused_now() -> bool:
        return (await pair.beneficiary.get(f"/practices/{draft['id']}")).json()["actions"] == []

    await eventually(refused_now)
    refused(await pair.beneficiary.post(f"/practices/{draft['id']}/publish"), 409, "institution_suspended")
    refused(await pair.beneficiary.post("/practices", pair.practice(), None), 409, "institution_suspended")


async def test_the_snapshot_tells_every_aggregate_again_in_its_thread(service: RunningService) -> None:
    pair = twinning(service)
    await pair.active()
    await pair.pivotal.made(f"{pair.path}/contributions", pair.experts())
    await _deliver(pair, dispute=False)
    await _deliver(pair, dispute=True)
    await pair.pivotal.made(f"{pair.path}/milestones", {"title": "First plant"})
    project_id = str(pair.match.project_id)
    await snapshot(service.running)

    async def told() -> list[Any] | None:
        found = [record for record in await service.records(topics.PROJECTS) if record.partitionkey == project_id]
        again = [record for record in found if record.sequence.startswith("0002-")]
        return again if len(again) == 6 else None

    again = await eventually(told)
    assert types(again) == [
        "ProjectStarted", "AgreementSigned", "ContributionPledged", "ContributionDelivered", "ContributionDisputed",
        "MilestonePlanned",
    ]  # fmt: skip
    assert {record.correlationid for record in again} == {str(pair.match.need_id)}


async def _deliver(pair: Twinning, *, dispute: bool) -> None:
    """A part of a contribution, which stays committed."""
    made = await pair.pivotal.made(f"{pair.path}/contributions", pair.experts())
    path = f"/contributions/{made['id']}"
    await pair.pivotal.done(f"{path}/commit")
    shown = await pair.pivotal.done(f"{path}/deliver", {"quantity": "40", "delivered_on": today()})
    if dispute:
        named = {"delivery_id": shown["deliveries"][0]["id"], "reason_code": "quality"}
        shown = await pair.beneficiary.done(f"{path}/dispute", named)
    assert shown["status"] == "committed"


async def test_the_migration_makes_exactly_the_tables_of_the_code(service: RunningService) -> None:
    async with service.running.database.background.connect() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(
                MigrationContext.configure(sync, opts={"compare_type": True}), service.running.service.metadata
            )
        )
    assert [d for d in differences if "alembic_version" not in str(d)] == []
