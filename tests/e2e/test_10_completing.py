"""Contract, section 10: milestones, reports, completion."""

from __future__ import annotations

import pytest

from tests.e2e.world import World, today
from tests.support.system import refused, succeeded
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio

TEXTS = {"summary": "Done.", "results": "Clean water.", "lessons": "Start earlier."}


async def test_milestones_are_planned_reached_and_waived(world: World) -> None:
    project = await (await world.direct()).started()
    body = {"title": "Pilot plant runs", "due_on": today(90)}
    answer = await project.provider.post(f"{project.path}/milestones", body)
    first = succeeded(answer, 201)
    assert first.items() >= body.items()
    assert answer.headers["location"] == f"/milestones/{first['id']}"
    second = await project.beneficiary.make(f"{project.path}/milestones", body | {"title": "Second"})
    reached = await project.provider.do(f"/milestones/{first['id']}/reach", {"reached_on": today()}, if_match='"1"')
    assert (reached["status"], reached["version"]) == ("reached", 2)
    waive = f"/milestones/{second['id']}/waive"
    for wrong, pointer in (
        ({}, "/reason_code"),
        ({"reason_code": "x"}, "/reason_code"),
        ({"reason_code": "other"}, "/text"),
    ):
        refused(await project.provider.act(waive, wrong), 422, "validation_failed", pointer)
    assert (await project.provider.do(waive, {"reason_code": "superseded"}))["status"] == "waived"
    refused(await project.provider.act(waive, {"reason_code": "superseded"}), 409, "invalid_transition")
    listed = await project.beneficiary.items(f"{project.path}/milestones")
    assert {item["id"] for item in listed} == {first["id"], second["id"]}


async def test_who_plans_milestones(world: World) -> None:
    project, stranger = await world.direct(), await world.registered()
    body = {"title": "Pilot plant runs", "due_on": today(90)}
    reader = await project.provider.colleague("reader")
    refused(await reader.post(f"{project.path}/milestones", body), 403, "forbidden")
    refused(await stranger.post(f"{project.path}/milestones", body), 404, "not_found")
    milestone = await project.provider.make(f"{project.path}/milestones", body)
    refused(await stranger.act(f"/milestones/{milestone['id']}/reach", {"reached_on": today()}), 404, "not_found")


async def test_the_completion_report_is_signed_by_all(world: World) -> None:
    project = await (await world.direct()).started()
    clerk = await project.provider.colleague("editor")
    answer = await clerk.post(f"{project.path}/reports", {"kind": "completion", **TEXTS})
    report = succeeded(answer, 201)
    assert (report["status"], report["version"]) == ("submitted", 1)
    assert report.items() >= {"kind": "completion", **TEXTS}.items()
    sign = f"/reports/{report['id']}/sign"
    refused(await clerk.act(sign), 403, "forbidden")
    refused(await (await world.registered()).act(sign), 404, "not_found")
    refused(await project.provider.act(sign, {}, if_match=None), 428, "precondition_required")
    assert (await project.provider.do(sign, {}))["status"] == "submitted"
    refused(await project.provider.act(sign, {}), 409, "invalid_transition")
    assert (await project.beneficiary.do(sign, {}))["status"] == "signed"
    assert [item["id"] for item in await project.beneficiary.items(f"{project.path}/reports")] == [report["id"]]


async def test_completing_waits_for_milestones_and_report(world: World) -> None:
    project = await (await world.direct()).started()
    path, body = f"{project.path}/complete", {"completed_on": today()}
    refused(await project.beneficiary.act(path, body), 409, "completion_report_not_signed")
    report = await project.provider.make(f"{project.path}/reports", {"kind": "completion", **TEXTS})
    await project.provider.do(f"/reports/{report['id']}/sign")
    refused(await project.beneficiary.act(path, body), 409, "completion_report_not_signed")
    await project.beneficiary.do(f"/reports/{report['id']}/sign")
    milestone = await project.provider.make(f"{project.path}/milestones", {"title": "Plant", "due_on": today(9)})
    refused(await project.beneficiary.act(path, body), 409, "milestones_open")
    await project.provider.do(f"/milestones/{milestone['id']}/reach", {"reached_on": today()})
    refused(await project.beneficiary.act(path, body, if_match=None), 428, "precondition_required")
    done = await project.beneficiary.do(path, body)
    assert (done["status"], done["completed_on"]) == ("completed", today())
    refused(await project.beneficiary.act(path, body), 409, "invalid_transition")


async def test_a_progress_report_completes_nothing(world: World) -> None:
    project = await (await world.direct()).started()
    await project.provider.make(f"{project.path}/reports", {"kind": "progress", **TEXTS})
    answer = await project.beneficiary.act(f"{project.path}/complete", {"completed_on": today()})
    refused(answer, 409, "completion_report_not_signed")


async def test_only_an_active_project_completes(world: World) -> None:
    project = await (await world.direct()).agreed()
    answer = await project.beneficiary.act(f"{project.path}/complete", {"completed_on": today()})
    refused(answer, 409, "invalid_transition")


async def test_editors_and_strangers_do_not_complete(world: World) -> None:
    project = await (await (await world.direct()).started()).reported()
    path, body = f"{project.path}/complete", {"completed_on": today()}
    refused(await (await project.provider.colleague("editor")).act(path, body), 403, "forbidden")
    refused(await (await world.registered()).act(path, body), 404, "not_found")


async def test_nothing_is_pledged_to_a_completed_project(world: World) -> None:
    project = await (await world.direct()).completed()
    answer = await project.provider.post(f"{project.path}/contributions", project.pledge_body())
    refused(answer, 409, "invalid_transition")


async def test_milestones_and_reports_are_told(world: World) -> None:
    project = await (await (await world.direct()).started()).reported()
    path = f"{project.path}/milestones"
    first, second = [await project.provider.make(path, {"title": t, "due_on": today(9)}) for t in ("One", "Two")]
    await project.provider.do(f"/milestones/{first['id']}/reach", {"reached_on": today()})
    await project.provider.do(f"/milestones/{second['id']}/waive", {"reason_code": "other", "text": "Mrs Secret"})
    await project.provider.do(f"{project.path}/complete", {"completed_on": today()})
    await project.provider.do(f"{project.path}/close")
    wanted = (
        "ReportSubmitted ReportSigned MilestonePlanned MilestonePlanned MilestoneReached MilestoneWaived "
        "ProjectCompleted ProjectClosed"
    )

    async def told() -> bool:
        found = await world.system.records("projects.projects", thread=project.id)
        assert [record.type for record in found][4:] == wanted.split()
        assert all(b"Mrs Secret" not in record.value for record in found)
        return True

    await eventually(told)
