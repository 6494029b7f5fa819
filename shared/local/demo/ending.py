"""The end of a project and what stays of it: report, completion, closing, practice, replication."""

from __future__ import annotations

from shared.local.demo.client import Json
from shared.local.demo.working import Work
from shared.reference.vocabulary import Role

ENDED = frozenset({"completed", "closed"})


async def complete(work: Work) -> None:
    """The completion report signed by all, the completion itself, and the closing where the facts say so."""
    plan = work.plan
    if plan.final_state in ENDED and work.project["status"] == "active" and plan.completed_on:
        await _report(work)
        await work.look_again()
        leader = await work.leader(Role.BENEFICIARY)
        await work.move("complete", leader, {"completed_on": plan.completed_on.isoformat()})
    if plan.final_state == "closed" and work.project["status"] == "completed":
        await work.move("close", work.scene.operator, {})


async def _report(work: Work) -> None:
    there = [found for found in await work.below("reports") if found["kind"] == "completion"]
    if not there:
        body: Json = {"kind": "completion", **(work.plan.report.model_dump() if work.plan.report else {})}
        there = [await work.add("reports", "report", await work.leader(Role.PIVOTAL), body)]
    report, path = there[0], f"/reports/{there[0]['id']}/sign"
    for partner in [s["institution_id"] for s in report["signatures"] if s["signed_on"] is None]:
        report = await work.change(f"report/{partner}", path, await work.scene.owner_by_id(partner), report, {})


async def publish(work: Work) -> Json | None:
    """The practice that this project proved, if the story has one and it is this project's."""
    practice, need = work.scene.story.practice, work.scene.story.need
    if practice is None or practice.project != work.plan.id:
        return None
    there = [found for found in await work.below("practices") if found["title"] == practice.title]
    if there:
        return there[0]
    body: Json = {**practice.model_dump(exclude={"project"}), "project_id": work.project["id"], "language": "en"}
    body |= {"isic": need.isic, "sdg_targets": need.sdg, "publish": True}
    actor = await work.leader(Role.PIVOTAL)
    return await work.scene.desk.make(f"{work.step}/practice", "projects", "/practices", actor, body)


async def replicate(work: Work, practice: Json) -> str | None:
    """Records that this project reuses somebody's practice; how that fares, as the lineage says."""
    how, outcome = work.scene.story.replication, await _lineage(work, practice)
    if outcome is None and how:
        body: Json = {"project_id": work.project["id"], **how.model_dump(exclude={"project"})}
        path, actor = f"/practices/{practice['id']}/replications", await work.leader(Role.BENEFICIARY)
        await work.scene.desk.make(f"{work.step}/replication", "projects", path, actor, body)
        outcome = await _lineage(work, practice)
    return outcome


async def _lineage(work: Work, practice: Json) -> str | None:
    edges = (await work.scene.read("projects", f"/practices/{practice['id']}/lineage"))["edges"]
    return next((str(edge["outcome"]) for edge in edges if edge["to_project_id"] == work.project["id"]), None)
