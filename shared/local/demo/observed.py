"""What the APIs answer about a story once it is played: the figures and the timeline are made of this alone."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from shared.local.demo.client import Json, LateError, RefusedError, wait_for
from shared.local.demo.members import Project
from shared.local.demo.opening import Scene
from shared.local.demo.working import Work

CHILDREN = ("agreements", "contributions", "milestones", "reports", "practices")


@dataclass
class Seen:
    """One project and all that is below it."""

    plan: Project
    project: Json
    totals: Json
    children: dict[str, list[Json]]

    @property
    def thread_id(self) -> str:
        """The thread it belongs to: its need's, or its own."""
        return str(self.project["correlation_id"])

    def committed(self, kind: str, unit: str, stage: str = "committed") -> str:
        """A figure of the ledger: `kind` is `cash` or `in_kind`, `unit` the currency or unit."""
        name = "currency" if kind == "cash" else "unit"
        return next((str(row[stage]) for row in self.totals[kind] if row[name] == unit), "0")

    def events(self) -> Counter[str]:
        """The events that this state implies, by type."""
        below = self.children
        found = Counter({"ProjectOpened": 1, "ProjectStarted": int(self.project["started_on"] is not None)})
        found["ProjectCompleted"] = int(self.project["completed_on"] is not None)
        found["ProjectClosed"] = int(self.project["status"] == "closed")
        found["AgreementProposed"] = len(below["agreements"])
        found["AgreementSigned"] = _having(below["agreements"], "signed")
        found["MilestonePlanned"] = len(below["milestones"])
        found["MilestoneReached"] = _having(below["milestones"], "reached")
        found["ReportSubmitted"] = len(below["reports"])
        found["ReportSigned"] = _having(below["reports"], "signed")
        found["PracticePublished"] = _having(below["practices"], "published")
        return found + _ledger_events(below["contributions"])


def _having(items: list[Json], status: str) -> int:
    return sum(item["status"] == status for item in items)


def _ledger_events(contributions: list[Json]) -> Counter[str]:
    deliveries = [delivery for contribution in contributions for delivery in contribution["deliveries"]]
    return Counter(
        {
            "ContributionPledged": len(contributions),
            "ContributionCommitted": sum(c["status"] != "pledged" for c in contributions),
            "ContributionDelivered": len(deliveries),
            "ContributionConfirmed": _having(deliveries, "confirmed"),
        }
    )


@dataclass
class Observed:
    """All of a story: its need and match (None when its projects were opened directly), projects and threads."""

    seen: list[Seen]
    need: Json | None = None
    match: Json | None = None
    threads: dict[str, list[Json]] = field(default_factory=dict)
    reuse: str | None = None
    """How the practice that it replicates fares in its project, as the practice's lineage says."""

    def project(self, plan_id: str) -> Seen:
        """By the name that the story gives it."""
        return next(seen for seen in self.seen if seen.plan.id == plan_id)

    def expected_events(self) -> Counter[str]:
        """The events that the state of all resources implies; proposals to others are not among them."""
        found: Counter[str] = sum((seen.events() for seen in self.seen), Counter())
        if self.match and self.need:
            joined = [one for one in self.match["facilitators"] if one["status"] == "joined"]
            once = ("NeedPosted", "MatchInterestExpressed", "MatchAccepted", "MatchConfirmed", "MatchFormalised")
            found.update(
                {"FacilitatorInvited": len(joined), "FacilitatorJoined": len(joined), **dict.fromkeys(once, 1)}
            )
            found["NeedEngaged"] = 1
            found["NeedFulfilled"] = int(self.need["status"] == "fulfilled")
        return +found

    def found_events(self) -> Counter[str]:
        """Those of the kinds above that the threads show."""
        expected = self.expected_events()
        return Counter(item["type"] for item in self._items() if item["type"] in expected)

    def actors(self) -> set[str]:
        """Ids of the institutions that did something in the threads."""
        return {item["institution_id"] for item in self._items() if item["institution_id"]}

    def _items(self) -> Iterator[Json]:
        for items in self.threads.values():
            yield from items


async def observe(scene: Scene, works: Sequence[Work], need: Json | None, match: Json | None) -> Observed:
    """Reads everything, and waits until need and threads have caught up with it.

    What does not catch up in time is left as it is, for the figures to show.
    """
    seen = await asyncio.gather(*(_see(work) for work in works))
    observed = Observed(list(seen), need, match)
    observed.threads = {one.thread_id: [] for one in seen}
    if need:
        with contextlib.suppress(LateError):
            await wait_for("the need to follow", partial(_need_followed, scene, observed, need["id"]))
    with contextlib.suppress(LateError):
        await wait_for("the threads to show every event", partial(_threads_caught_up, scene, observed))
    return observed


async def _see(work: Work) -> Seen:
    scene = work.scene
    lists = await asyncio.gather(*(scene.children(f"{work.path}/{name}") for name in CHILDREN))
    totals = await scene.read("projects", f"{work.path}/totals")
    await work.look_again()
    return Seen(work.plan, work.project, totals, dict(zip(CHILDREN, lists, strict=True)))


async def _need_followed(scene: Scene, observed: Observed, need_id: str) -> bool | None:
    observed.need = await scene.read("registry", f"/needs/{need_id}")
    ended = observed.seen[0].project["completed_on"] is not None
    return True if observed.need["status"] == ("fulfilled" if ended else "engaged") else None


async def _threads_caught_up(scene: Scene, observed: Observed) -> bool | None:
    for thread_id in observed.threads:
        try:
            items = scene.desk.exchange.items("notifications", f"/threads/{thread_id}", scene.operator)
            observed.threads[thread_id] = [item async for item in items]
        except RefusedError as error:
            if error.status != 404:  # noqa: PLR2004 (no event of the thread has arrived yet)
                raise
    return None if observed.expected_events() - observed.found_events() else True
