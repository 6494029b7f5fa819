"""Contract, section 11: what was learnt, and where it was done again."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.world import Cooperation, World, is_id
from tests.support.system import refused, succeeded
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def done(world: World) -> Cooperation:
    return await (await world.direct()).completed()


async def published(world: World) -> tuple[Cooperation, dict[str, Any]]:
    project = await (await world.direct()).completed()
    return project, await project.beneficiary.make("/practices", project.practice_body())


def replication(project: Cooperation, **changes: Any) -> dict[str, Any]:
    return {"project_id": project.id, "adaptation": "Two smaller units.", "outcome": "in_progress"} | changes


async def test_a_practice_is_published(world: World) -> None:
    project = await (await world.direct()).completed()
    body = project.practice_body()
    answer = await project.provider.post("/practices", body)
    made = succeeded(answer, 201)
    assert {name: made[name] for name in body if name != "publish"} == {n: v for n, v in body.items() if n != "publish"}
    assert (made["version"], made["status"]) == (1, "published")
    assert (answer.headers["etag"], answer.headers["location"]) == ('"1"', f"/practices/{made['id']}")
    assert answer.headers["x-correlation-id"] == project.id
    assert is_id(made["id"])
    stranger = await world.registered()
    assert (await stranger.read(f"/practices/{made['id']}"))["title"] == body["title"]
    found = await stranger.items("/practices", q=body["title"].split()[-1], isic="1511")
    assert [item["id"] for item in found] == [made["id"]]


async def test_the_practices_of_a_project_are_listed_for_its_partners(world: World) -> None:
    project, made = await published(world)
    assert [item["id"] for item in await project.provider.items(f"{project.path}/practices")] == [made["id"]]


async def test_a_draft_is_private_until_published(world: World) -> None:
    project = await (await world.direct()).completed()
    stranger = await world.registered()
    draft = await project.provider.make("/practices", project.practice_body(publish=False))
    path = f"/practices/{draft['id']}"
    assert draft["status"] == "draft"
    refused(await stranger.get(path), 404, "not_found")
    done = await project.provider.do(f"{path}/publish", if_match='"1"')
    assert (done["status"], done["version"]) == ("published", 2)
    assert (await stranger.read(path))["status"] == "published"
    refused(await project.provider.act(f"{path}/publish"), 409, "invalid_transition")


async def test_a_practice_needs_a_completed_project_and_a_partner(world: World) -> None:
    project = await world.direct()
    refused(await project.provider.post("/practices", project.practice_body()), 409, "project_not_completed")
    stranger, reader = await world.registered(), await project.provider.colleague("reader")
    assert (await stranger.post("/practices", project.practice_body())).status_code in (403, 404)
    refused(await reader.post("/practices", project.practice_body()), 403, "forbidden")


@pytest.mark.parametrize(
    ("pointer", "wrong"),
    [
        ("/title", {"title": "x" * 201}),
        ("/poverty_reduction/people_reached", {"poverty_reduction": {"summary": "x", "people_reached": -1}}),
        ("/isic/0", {"isic": ["9999"]}),
        ("/sdg_targets/0", {"sdg_targets": ["99"]}),
    ],
)
async def test_faulty_practices(done: Cooperation, pointer: str, wrong: dict[str, Any]) -> None:
    answer = await done.provider.post("/practices", done.practice_body(**wrong))
    refused(answer, 422, "validation_failed", pointer)


async def test_a_replication_is_recorded_and_shown_as_lineage(world: World) -> None:
    source, practice = await published(world)
    other = await world.direct()
    path = f"/practices/{practice['id']}/replications"
    answer = await other.beneficiary.post(path, replication(other))
    made = succeeded(answer, 201)
    assert answer.headers["location"] == f"/replications/{made['id']}"
    assert (
        made.items()
        >= {
            "version": 1,
            "practice_id": practice["id"],
            "source_project_id": source.id,
            "project_id": other.id,
            "outcome": "in_progress",
        }.items()
    )
    refused(await other.beneficiary.post(path, replication(other)), 409, "invalid_transition")
    refused(await source.provider.post(path, replication(source)), 422, "validation_failed", "/project_id")
    edge = {"from_project_id": source.id, "to_project_id": other.id, "outcome": "in_progress"}
    lineage = await (await world.registered()).read(f"/practices/{practice['id']}/lineage")
    assert lineage == {"practice_id": practice["id"], "edges": [edge]}


async def test_lineage_goes_on_through_practices_of_replicating_projects(world: World) -> None:
    source, first = await published(world)
    middle = await (await world.direct()).completed()
    await middle.provider.make(f"/practices/{first['id']}/replications", replication(middle, outcome="successful"))
    second = await middle.provider.make("/practices", middle.practice_body())
    last = await world.direct()
    await last.provider.make(f"/practices/{second['id']}/replications", replication(last))
    edges = (await last.provider.read(f"/practices/{first['id']}/lineage"))["edges"]
    assert [(edge["from_project_id"], edge["to_project_id"]) for edge in edges] == [
        (source.id, middle.id),
        (middle.id, last.id),
    ]


async def test_who_may_not_replicate(world: World) -> None:
    _, practice = await published(world)
    other, stranger = await world.direct(), await world.registered()
    path = f"/practices/{practice['id']}/replications"
    assert (await stranger.post(path, replication(other))).status_code in (403, 404)
    refused(await other.provider.post(path, replication(other, outcome="great")), 422, "validation_failed", "/outcome")
    await other.provider.do(f"{other.path}/cancel", {"reason_code": "funding_lost"})
    refused(await other.provider.post(path, replication(other)), 422, "validation_failed", "/project_id")


async def test_practices_are_told_in_the_thread_of_their_project(world: World) -> None:
    source, practice = await published(world)
    other = await world.direct()
    await other.provider.make(f"/practices/{practice['id']}/replications", replication(other))

    async def told() -> bool:
        found = await world.system.records("projects.practices", thread=source.id)
        assert [record.type for record in found] == ["PracticePublished", "PracticeReplicated"]
        assert {record.key for record in found} == {practice["id"]}
        assert found[1].data["replication"]["project_id"] == other.id
        return True

    await eventually(told)
