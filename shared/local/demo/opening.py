"""From need to project: the capability, the need, the match that the exchange proposes, and its formalising."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

from shared.local.demo.client import Actor, Desk, Json, wait_for
from shared.local.demo.institutions import Directory
from shared.local.demo.members import Project
from shared.local.demo.story import Story
from shared.reference.dates import first_day
from shared.reference.vocabulary import Role

DEADLINE = timedelta(days=60)
PLACES = 3
OVER = frozenset({"declined", "expired", "withdrawn"})


@dataclass
class Scene:
    """One story being played: who acts, where its requests are made, and the business day of the exchange."""

    story: Story
    desk: Desk
    directory: Directory
    today: date

    @property
    def operator(self) -> Actor:
        """The exchange's operator, who also reads everything."""
        return self.directory.operator

    def id_of(self, name: str) -> str:
        """Id of an institution of the story."""
        return self.directory.id_of(self.story.institution(name))

    async def owner(self, name: str) -> Actor:
        """Owner of an institution of the story."""
        return await self.directory.owner(self.story.institution(name))

    async def owner_by_id(self, institution_id: str) -> Actor:
        """Owner of an institution of the story, by its id in the exchange."""
        return await self.owner(self.directory.names[institution_id])

    async def read(self, service: str, path: str) -> Json:
        """One resource, as the operator sees it."""
        return await self.desk.exchange.get(service, path, self.operator)

    async def children(self, path: str) -> list[Json]:
        """All items of a list of projects."""
        return [item async for item in self.desk.exchange.items("projects", path, self.operator)]


async def offer(scene: Scene) -> Json:
    """The provider's published capability."""
    wanted = scene.story.capability
    body: Json = {
        **wanted.json_common(),
        "summary": wanted.summary,
        "serves": {"all_south": True, "countries": [], "blocs": []},
        "capacity": PLACES,
        "publish": True,
    }
    found = await _own(scene, "/capabilities", wanted.institution, body, ("published",))
    return found or await _register(scene, "/capabilities", wanted.institution, body)


async def seek(scene: Scene) -> Json:
    """The beneficiary's posted need, open for two months from now."""
    wanted = scene.story.need
    body: Json = {
        **wanted.json_common(),
        "problem": wanted.problem,
        "country": wanted.country,
        "urgency": wanted.urgency,
        "budget": wanted.budget.json_money() if wanted.budget else None,
        "funding_gap": wanted.funding_gap.json_money() if wanted.funding_gap else None,
        "deadline": (scene.today + DEADLINE).isoformat(),
        "post": True,
    }
    found = await _own(scene, "/needs", wanted.institution, body, ("open", "engaged", "fulfilled"))
    return found or await _register(scene, "/needs", wanted.institution, body)


async def _own(scene: Scene, path: str, institution: str, body: Json, statuses: tuple[str, ...]) -> Json | None:
    """What this institution has there already with this title and text."""
    if scene.id_of(institution) in scene.directory.new:
        return None
    mine = scene.desk.exchange.items("registry", path, scene.operator, institution_id=scene.id_of(institution))
    texts = {name: body[name] for name in ("title", "summary", "problem") if name in body}
    alike = [i async for i in mine if i["status"] in statuses and all(i[name] == text for name, text in texts.items())]
    return alike[0] if alike else None


async def _register(scene: Scene, path: str, institution: str, body: Json) -> Json:
    return await scene.desk.make(f"{path[1:]}/{scene.today}", "registry", path, await scene.owner(institution), body)


async def proposal(scene: Scene, need: Json, capability: Json) -> Json:
    """The match of need and capability, as soon as the exchange has ranked the need."""
    what = f"the match of “{need['title']}” with “{capability['title']}”"
    return await wait_for(what, partial(_proposed, scene, need, capability))


async def _proposed(scene: Scene, need: Json, capability: Json) -> Json | None:
    page = await scene.desk.exchange.get("matching", "/matches", scene.operator, need_id=need["id"], limit=200)
    found = [m for m in page["items"] if m["capability_id"] == capability["id"] and m["status"] not in OVER]
    return found[0] if found else None


async def agree_on(scene: Scene, match: Json) -> Json:
    """Interest, acceptance, facilitating partners, and both confirmations; what is done already is left alone."""
    story = scene.story
    seeker, provider = await _sides(scene, match)
    if match["answers"]["provider"] is None:
        message = {"message": "We have solved this at home and can help."}
        match = await _answer(scene, match, "express-interest", provider, message)
    if match["status"] != "formalised" and match["status"] != "accepted":
        match = await _answer(scene, match, "accept", seeker, {})
    if match["status"] == "accepted":
        for name in story.played[0].names(Role.FACILITATING):
            match = await _invite(scene, match, seeker, name)
        for side, owner in (("provider", provider), ("beneficiary", seeker)):
            if side not in match["confirmations"]:
                match = await _answer(scene, match, "formalise", owner, {})
    return match


async def _sides(scene: Scene, match: Json) -> tuple[Actor, Actor]:
    story = scene.story
    if match["status"] == "formalised":  # nobody has to act any more, so no keys are made
        return scene.operator, scene.operator
    return await scene.owner(story.need.institution), await scene.owner(story.capability.institution)


async def _answer(scene: Scene, match: Json, action: str, actor: Actor, body: Json) -> Json:
    path = f"/matches/{match['id']}/{action}"
    return await scene.desk.change(f"{match['id']}/{action}", "matching", path, actor, match["version"], body)


async def _invite(scene: Scene, match: Json, inviting: Actor, name: str) -> Json:
    """Invites a facilitating partner, which joins."""
    guest = scene.id_of(name)
    path, step = f"/matches/{match['id']}/facilitators", f"{match['id']}/{guest}"
    status = {one["institution_id"]: one["status"] for one in match["facilitators"]}.get(guest)
    if status is None:
        body: Json = {"institution_id": guest, "message": "Will you back us?"}
        match = await scene.desk.change(f"{step}/invite", "matching", path, inviting, match["version"], body)
        status = "invited"
    if status == "invited":
        joining, path = await scene.owner(name), f"{path}/{guest}/join"
        match = await scene.desk.change(f"{step}/join", "matching", path, joining, match["version"], {})
    return match


def from_day(scene: Scene, project: Project, partial_day: str | None) -> str:
    """The first day of a role; unknown, that of the project."""
    known = partial_day or project.start
    return (first_day(known) if known else scene.today).isoformat()
