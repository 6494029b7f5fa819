"""The life of a project: its name and dated roles, agreements, start, and milestones.

Every step looks first at what is there, so that it may be repeated, and so that a run that was cut off goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import partial

from shared.local.demo.client import Actor, DemoError, Json, RefusedError, wait_for
from shared.local.demo.members import Agreement, Partner, Project, last_day
from shared.local.demo.opening import Scene, from_day
from shared.reference.dates import first_day
from shared.reference.vocabulary import Role

STARTED = frozenset({"active", "completed", "closed"})


@dataclass
class Work:
    """A planned project and the real one, as last seen; nothing is below a `fresh` one yet."""

    scene: Scene
    plan: Project
    project: Json
    fresh: bool

    @property
    def path(self) -> str:
        """Where the project is."""
        return f"/projects/{self.project['id']}"

    @property
    def step(self) -> str:
        """How its steps are named."""
        return str(self.project["id"])

    async def below(self, name: str) -> list[Json]:
        """Its agreements, contributions, milestones, reports or practices."""
        return [] if self.fresh else await self.scene.children(f"{self.path}/{name}")

    async def leader(self, role: Role) -> Actor:
        """The first partner in a role."""
        return await self.scene.owner(self.plan.names(role)[0])

    async def look_again(self) -> None:
        """The project as it is now."""
        self.project = await self.scene.read("projects", self.path)

    async def add(self, name: str, step: str, actor: Actor, body: Json) -> Json:
        """Something new below the project."""
        return await self.scene.desk.make(f"{self.step}/{step}", "projects", f"{self.path}/{name}", actor, body)

    async def change(self, step: str, path: str, actor: Actor, seen: Json, body: Json) -> Json:
        """The next state of something that was seen as `seen`."""
        step = f"{self.step}/{step}"
        return await self.scene.desk.change(step, "projects", path, actor, seen["version"], body)

    async def move(self, action: str, actor: Actor, body: Json) -> None:
        """The next state of the project itself."""
        self.project = await self.change(action, f"{self.path}/{action}", actor, self.project, body)


async def of_match(scene: Scene, plan: Project, match: Json) -> Work:
    """The project that follows from the formalised match."""
    if not match["project_id"]:
        raise DemoError(f"The match {match['id']} is {match['status']} and names no project.")
    project = await wait_for("the project of the match", partial(_project, scene, match["project_id"]))
    return Work(scene, plan, project, fresh=project["version"] == 1 and project["title"] != plan.title)


async def _project(scene: Scene, project_id: str) -> Json | None:
    try:
        return await scene.read("projects", f"/projects/{project_id}")
    except RefusedError as error:
        if error.status != 404:  # noqa: PLR2004 (the event is still on its way)
            raise
        return None


async def open_directly(scene: Scene, plan: Project) -> Work:
    """A project without a match: the continuation of a cooperation that was there before."""
    first = plan.partners[0].institution
    for found in await scene.children("/projects"):
        holders = {partner["institution_id"] for partner in found["partners"]}
        if found["match_id"] is None and found["title"] == plan.title and scene.id_of(first) in holders:
            return Work(scene, plan, found, fresh=False)
    body: Json = {
        "title": plan.title,
        "language": "en",
        "partners": [
            {"institution_id": scene.id_of(p.institution), "role": p.role, "from": from_day(scene, plan, p.from_)}
            for p in plan.partners
        ],
        "resource_kinds": [*scene.story.need.resource_kinds],
        "isic": scene.story.need.isic,
        "justification_code": "existing_cooperation",
        "sdg_targets": scene.story.need.sdg,
        "budget": plan.budget_total.json_money() if plan.budget_total else None,
    }
    made = await scene.desk.make(f"open/{plan.id}", "projects", "/projects", await scene.owner(first), body)
    return Work(scene, plan, made, fresh=True)


async def prepare(work: Work) -> None:
    """The name and the planned dates as in the facts; a project is born with its need's title."""
    plan, wanted = work.plan, dict[str, str](title=work.plan.title)
    if plan.start and plan.planned_end:
        planned = {"planned_start_on": first_day(plan.start), "planned_end_on": last_day(plan.planned_end)}
        wanted |= {name: day.isoformat() for name, day in planned.items()}
    if any(work.project[name] != value for name, value in wanted.items()):
        desk, version = work.scene.desk, work.project["version"]
        work.project = await desk.patch("projects", work.path, work.scene.operator, version, wanted)


async def date_roles(work: Work) -> None:
    """Each partner in its role from the day the facts give.

    A match makes partners from today on: such a role is ended on its first day and given again with its true one.
    """
    for position, partner in enumerate(work.plan.partners):
        known = partner.from_ or work.plan.start
        day = from_day(work.scene, work.plan, partner.from_)
        held = [held for held in _of(work, partner) if held["to"] is None]
        if not held or (known and held[0]["from"] != day):
            await _give_role(work, position, held, day)


def _of(work: Work, partner: Partner) -> list[Json]:
    mine = work.scene.id_of(partner.institution)
    return [p for p in work.project["partners"] if p["institution_id"] == mine and p["role"] == partner.role]


async def _give_role(work: Work, position: int, held: list[Json], day: str) -> None:
    partner, operator = work.plan.partners[position], work.scene.operator
    institution_id = work.scene.id_of(partner.institution)
    for wrong in held:
        body, away = {"role": partner.role, "to": wrong["from"]}, f"{work.path}/partners/{institution_id}/leave"
        work.project = await work.change(f"role/{position}/leave", away, operator, work.project, body)
    body = {"institution_id": institution_id, "role": partner.role, "from": day}
    work.project = await work.change(f"role/{position}", f"{work.path}/partners", operator, work.project, body)


async def sign(work: Work, *, after_start: bool) -> None:
    """The agreements of before (or after) the start: proposed by the first party, signed on the day of the facts."""
    there = {found["title"]: found for found in await work.below("agreements")}
    for position, agreement in enumerate(work.scene.story.agreements):
        if agreement.project != work.plan.id or not agreement.instrument or not agreement.date:
            continue
        if _is_later(agreement, work.plan) == after_start:
            found = there.get(agreement.title) or await _propose(work, position, agreement)
            await _sign(work, agreement, found)


def _is_later(agreement: Agreement, plan: Project) -> bool:
    """Whether it was signed after the work began."""
    return bool(plan.started_on) and _day(agreement) > (plan.started_on or date.min)


def _day(agreement: Agreement) -> date:
    return first_day(agreement.date or "")


async def _propose(work: Work, position: int, agreement: Agreement) -> Json:
    body: Json = {
        "kind": agreement.instrument,
        "title": agreement.title,
        "parties": [work.scene.id_of(name) for name in agreement.signing],
        "effective_on": _day(agreement).isoformat(),
    }
    return await work.add("agreements", f"agreement/{position}", await work.scene.owner(agreement.signing[0]), body)


async def _sign(work: Work, agreement: Agreement, found: Json) -> None:
    body, path = {"signed_on": _day(agreement).isoformat()}, f"/agreements/{found['id']}/sign"
    for party in [party["institution_id"] for party in found["parties"] if party["signed_on"] is None]:
        actor = await work.scene.owner_by_id(party)
        found = await work.change(f"{found['id']}/{party}", path, actor, found, body)


async def start(work: Work) -> None:
    """The pivotal partner starts the work, if it ever began."""
    if work.plan.final_state in STARTED and work.plan.started_on and work.project["started_on"] is None:
        await work.look_again()  # the agreement has moved it
        await work.move("start", await work.leader(Role.PIVOTAL), {"started_on": work.plan.started_on.isoformat()})


async def reach_milestones(work: Work) -> None:
    """Planned for the day on which they were reached; the plan itself is not published."""
    there = {found["title"]: found for found in await work.below("milestones")}
    for position, milestone in enumerate(work.scene.story.milestones):
        if milestone.project == work.plan.id and milestone.date:
            step, day = f"milestone/{position}", first_day(milestone.date).isoformat()
            found = there.get(milestone.title)
            if found is None or found["status"] == "planned":
                actor = await work.leader(Role.BENEFICIARY)
                found = found or await work.add("milestones", step, actor, {"title": milestone.title, "due_on": day})
                path = f"/milestones/{found['id']}/reach"
                await work.change(f"{step}/reach", path, actor, found, {"reached_on": day})
