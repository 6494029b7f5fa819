"""The life of a project: dated roles, agreements, start, ledger, milestones, completion, practice, replication.

Every step looks first at what is there, so that it may be repeated, and so that a run that was cut off goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from shared.local.demo.client import Actor, Json
from shared.local.demo.opening import Scene, from_day
from shared.local.demo.story import Agreement, InKind, Partner, Practice, Project, Share, first_day, last_day
from shared.reference.vocabulary import Role

STARTED = frozenset({"active", "completed", "closed"})
ENDED = frozenset({"completed", "closed"})


async def carry_out(scene: Scene, plan: Project, project_id: str) -> Json:
    """Brings the project from wherever it is to the state that the facts give it."""
    await name_and_plan(scene, plan, project_id)
    await date_roles(scene, plan, project_id)
    agreements = [a for a in scene.story.agreements if a.project == plan.id and a.instrument and a.date]
    await sign(scene, project_id, [a for a in agreements if not _later(a, plan)])
    await start(scene, plan, project_id)
    await sign(scene, project_id, [a for a in agreements if _later(a, plan)])
    await fill_ledger(scene, plan, project_id)
    await reach_milestones(scene, plan, project_id)
    await complete(scene, plan, project_id)
    return await scene.read("projects", f"/projects/{project_id}")


def _later(agreement: Agreement, plan: Project) -> bool:
    """Whether it was signed after the work began."""
    return bool(agreement.date and plan.started_on and first_day(agreement.date) > plan.started_on)


async def name_and_plan(scene: Scene, plan: Project, project_id: str) -> None:
    """The name and the planned dates as in the facts; a project is born with its need's title."""
    project = await scene.read("projects", f"/projects/{project_id}")
    wanted: Json = {"title": plan.title}
    if plan.start and plan.planned_end:
        planned = {"planned_start_on": first_day(plan.start), "planned_end_on": last_day(plan.planned_end)}
        wanted |= {name: day.isoformat() for name, day in planned.items()}
    if any(project[name] != value for name, value in wanted.items()):
        path = f"/projects/{project_id}"
        await scene.desk.patch("projects", path, scene.operator, project["version"], wanted)


async def date_roles(scene: Scene, plan: Project, project_id: str) -> None:
    """Each partner in its role from the day the facts give.

    A match makes partners from today on: such a role is ended on its first day and given again with its true one.
    """
    project = await scene.read("projects", f"/projects/{project_id}")
    for position, partner in enumerate(plan.partners):
        if not _held(scene, plan, partner, project):
            project = await _give_role(scene, plan, position, project)


def _held(scene: Scene, plan: Project, partner: Partner, project: Json) -> bool:
    its = [held for held in _of(scene, partner, project) if held["to"] is None]
    known = partner.from_ or plan.start
    return bool(its) and (known is None or its[0]["from"] == from_day(scene, plan, partner.from_))


def _of(scene: Scene, partner: Partner, project: Json) -> list[Json]:
    mine = scene.id_of(partner.institution)
    return [p for p in project["partners"] if p["institution_id"] == mine and p["role"] == partner.role]


async def _give_role(scene: Scene, plan: Project, position: int, project: Json) -> Json:
    partner = plan.partners[position]
    path, step = f"/projects/{project['id']}/partners", f"{project['id']}/role/{position}"
    institution_id = scene.id_of(partner.institution)
    for held in [h for h in _of(scene, partner, project) if h["to"] is None]:
        leaving: Json = {"role": partner.role, "to": held["from"]}
        away, version = f"{path}/{institution_id}/leave", project["version"]
        project = await scene.desk.change(f"{step}/leave", "projects", away, scene.operator, version, leaving)
    body: Json = {"institution_id": institution_id, "role": partner.role, "from": from_day(scene, plan, partner.from_)}
    return await scene.desk.change(f"{step}/join", "projects", path, scene.operator, project["version"], body)


async def sign(scene: Scene, project_id: str, agreements: list[Agreement]) -> None:
    """Proposed by the first party, signed by each on the day of the facts."""
    there = {found["title"]: found for found in await scene.children(f"/projects/{project_id}/agreements")}
    for agreement in agreements:
        found = there.get(agreement.title) or await _propose(scene, project_id, agreement)
        for party in [p for p in found["parties"] if p["signed_on"] is None]:
            name = scene.directory.names[party["institution_id"]]
            body: Json = {"signed_on": _day(agreement).isoformat()}
            path, step = f"/agreements/{found['id']}/sign", f"{found['id']}/{party['institution_id']}"
            found = await scene.desk.change(step, "projects", path, await scene.owner(name), found["version"], body)


async def _propose(scene: Scene, project_id: str, agreement: Agreement) -> Json:
    body: Json = {
        "kind": agreement.instrument,
        "title": agreement.title,
        "parties": [scene.id_of(name) for name in agreement.signing],
        "effective_on": _day(agreement).isoformat(),
    }
    actor = await scene.owner(agreement.signing[0])
    step = f"{project_id}/agreement/{scene.story.agreements.index(agreement)}"
    return await scene.desk.make(step, "projects", f"/projects/{project_id}/agreements", actor, body)


def _day(agreement: Agreement) -> date:
    return first_day(agreement.date or "")


async def start(scene: Scene, plan: Project, project_id: str) -> None:
    """The pivotal partner starts the work, if it ever began."""
    project = await scene.read("projects", f"/projects/{project_id}")
    if plan.final_state in STARTED and plan.started_on and project["started_on"] is None:
        leader = await scene.owner(plan.names(Role.PIVOTAL)[0])
        await _move(scene, project, "start", leader, {"started_on": plan.started_on.isoformat()})


async def _move(scene: Scene, project: Json, action: str, actor: Actor, body: Json) -> Json:
    path = f"/projects/{project['id']}/{action}"
    return await scene.desk.change(f"{project['id']}/{action}", "projects", path, actor, project["version"], body)


async def fill_ledger(scene: Scene, plan: Project, project_id: str) -> None:
    """Money and contributions in kind: agreed ones are committed, spent or given ones delivered and confirmed."""
    there = {found["description"]: found for found in await scene.children(f"/projects/{project_id}/contributions")}
    gifts = [(share.giver or "", _cash(scene, share), share.status == "spent") for share in plan.ledger]
    gifts += [
        (i.party, _in_kind(scene, i), i.stage == "confirmed") for i in scene.story.in_kind if i.project == plan.id
    ]
    for giver, body, is_given in gifts:
        gift = Gift(scene, project_id, giver, body)
        found = there.get(body["description"]) or await gift.pledge()
        if found["status"] == "pledged":
            found = await gift.move(found, "commit", giver, {})
        if found["status"] == "committed" and is_given:
            day = plan.completed_on or scene.today
            found = await gift.move(found, "deliver", giver, {"delivered_on": day.isoformat()})
        if found["status"] == "delivered":
            await gift.move(found, "confirm", scene.directory.names[found["receiver_id"]], {})


def _cash(scene: Scene, share: Share) -> Json:
    return {
        "receiver_id": scene.id_of(share.receiver or ""),
        "resource_kind": "financial",
        "kind": "cash",
        "value": {"amount": f"{share.amount:.2f}", "currency": share.currency},
        "description": share.description,
    }


def _in_kind(scene: Scene, gift: InKind) -> Json:
    return {
        "receiver_id": scene.id_of(gift.receiver),
        "resource_kind": gift.resource_kind,
        "kind": "in_kind",
        "unit": gift.unit_code,
        "quantity": str(gift.quantity),
        "description": f"{gift.what} ({gift.unit})",
    }


@dataclass(frozen=True)
class Gift:
    """One contribution on its way from pledge to confirmation."""

    scene: Scene
    project_id: str
    giver: str
    body: Json

    @property
    def _step(self) -> str:
        words = "".join(char if char.isascii() and char.isalnum() else "_" for char in self.body["description"])
        return f"{self.project_id}/gift/{words}"

    async def pledge(self) -> Json:
        """The promise."""
        path, actor = f"/projects/{self.project_id}/contributions", await self.scene.owner(self.giver)
        return await self.scene.desk.make(self._step, "projects", path, actor, self.body)

    async def move(self, found: Json, action: str, name: str, body: Json) -> Json:
        """The next state, by giver or receiver."""
        path, actor = f"/contributions/{found['id']}/{action}", await self.scene.owner(name)
        step = f"{self._step}/{action}"
        return await self.scene.desk.change(step, "projects", path, actor, found["version"], body)


async def reach_milestones(scene: Scene, plan: Project, project_id: str) -> None:
    """Planned for the day on which they were reached; the plan itself is not published."""
    there = {found["title"]: found for found in await scene.children(f"/projects/{project_id}/milestones")}
    leader = plan.names(Role.BENEFICIARY)[0]
    for number, milestone in enumerate(scene.story.milestones):
        if milestone.project == plan.id and milestone.date:
            day, step = first_day(milestone.date).isoformat(), f"{project_id}/milestone/{number}"
            found = there.get(milestone.title)
            if found is None:
                path, plans = f"/projects/{project_id}/milestones", {"title": milestone.title, "due_on": day}
                found = await scene.desk.make(step, "projects", path, await scene.owner(leader), plans)
            if found["status"] == "planned":
                path, actor = f"/milestones/{found['id']}/reach", await scene.owner(leader)
                await scene.desk.change(f"{step}/reach", "projects", path, actor, found["version"], {"reached_on": day})


async def complete(scene: Scene, plan: Project, project_id: str) -> None:
    """The completion report signed by all, the completion itself, and the closing where the facts say so."""
    project = await scene.read("projects", f"/projects/{project_id}")
    if plan.final_state in ENDED and project["status"] == "active" and plan.completed_on:
        await _report(scene, plan, project)
        leader = await scene.owner(plan.names(Role.BENEFICIARY)[0])
        project = await _move(scene, project, "complete", leader, {"completed_on": plan.completed_on.isoformat()})
    if plan.final_state == "closed" and project["status"] == "completed":
        await _move(scene, project, "close", scene.operator, {})


async def _report(scene: Scene, plan: Project, project: Json) -> None:
    path, step = f"/projects/{project['id']}/reports", f"{project['id']}/report"
    there = [found for found in await scene.children(path) if found["kind"] == "completion"]
    if not there:
        actor = await scene.owner(plan.names(Role.PIVOTAL)[0])
        body: Json = {"kind": "completion", **(plan.report.model_dump() if plan.report else {})}
        there = [await scene.desk.make(step, "projects", path, actor, body)]
    report = there[0]
    for signature in [s for s in report["signatures"] if s["signed_on"] is None]:
        signer = await scene.owner(scene.directory.names[signature["institution_id"]])
        signing, away = f"{step}/{signature['institution_id']}", f"/reports/{report['id']}/sign"
        report = await scene.desk.change(signing, "projects", away, signer, report["version"], {})


async def publish(scene: Scene, plan: Project, practice: Practice, project_id: str) -> Json:
    """The practice that a completed project proved."""
    there = [p for p in await scene.children(f"/projects/{project_id}/practices") if p["title"] == practice.title]
    if there:
        return there[0]
    body: Json = {
        **practice.model_dump(exclude={"project"}),
        "project_id": project_id,
        "language": "en",
        "isic": scene.story.need.isic,
        "sdg_targets": scene.story.need.sdg,
        "publish": True,
    }
    actor = await scene.owner(plan.names(Role.PIVOTAL)[0])
    return await scene.desk.make(f"{project_id}/practice", "projects", "/practices", actor, body)


async def replicate(scene: Scene, plan: Project, practice: Json, project_id: str) -> str | None:
    """Records that this project reuses somebody's practice; how that fares, as the lineage says."""
    outcome = await _lineage(scene, practice, project_id)
    if outcome is None and scene.story.replication:
        body: Json = {"project_id": project_id, **scene.story.replication.model_dump(exclude={"project"})}
        path, actor = f"/practices/{practice['id']}/replications", await scene.owner(plan.names(Role.BENEFICIARY)[0])
        await scene.desk.make(f"{project_id}/replication", "projects", path, actor, body)
        outcome = await _lineage(scene, practice, project_id)
    return outcome


async def _lineage(scene: Scene, practice: Json, project_id: str) -> str | None:
    edges = (await scene.read("projects", f"/practices/{practice['id']}/lineage"))["edges"]
    return next((str(edge["outcome"]) for edge in edges if edge["to_project_id"] == project_id), None)
