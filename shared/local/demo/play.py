"""Plays the stories, several at once, and works out their figures."""

from __future__ import annotations

import asyncio
import getpass
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import IO, Any

import httpx

from shared.local.demo.client import Actor, DemoError, Desk, Exchange, Json
from shared.local.demo.ending import complete, publish, replicate
from shared.local.demo.figures import Figure, Lists, figures
from shared.local.demo.institutions import Directory
from shared.local.demo.ledger import fill_ledger
from shared.local.demo.observed import Observed, Seen, observe
from shared.local.demo.opening import Scene, agree_on, offer, proposal, seek
from shared.local.demo.story import Story, choose, load_all, number
from shared.local.demo.timeline import Timeline, timelines
from shared.local.demo.working import Work, date_roles, of_match, open_directly, prepare, reach_milestones, sign, start
from shared.local.locks import try_lock, wait_for_lock

Report = Callable[[str, str], None]
"""Told the story's id and what it is doing; the id is empty for what concerns all of them."""

STORIES_AT_ONCE = 4
TIMEOUT_SECONDS = 30.0
ANY_COUNTRY = "CHN"


@dataclass
class StoryResult:
    """How one story went. `error` says in words why it did not get through."""

    story: Story
    seconds: float = 0.0
    writes: int = 0
    countries: list[str] = field(default_factory=list)
    projects: list[Seen] = field(default_factory=list)
    timelines: list[Timeline] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    error: str | None = None
    names: dict[str, str] = field(default_factory=dict)
    """Names of institutions by id."""

    @property
    def already_played(self) -> bool:
        """Nothing had to be changed."""
        return self.error is None and self.writes == 0

    @property
    def computed(self) -> list[Figure]:
        """The figures that the system worked out."""
        return [figure for figure in self.figures if figure.kind == "computed"]

    @property
    def from_source(self) -> list[Figure]:
        """The figures that the source alone gives."""
        return [figure for figure in self.figures if figure.kind == "source"]

    @property
    def red(self) -> list[Figure]:
        """Those that differ, whoever worked them out."""
        return [figure for figure in self.figures if not figure.equal]

    @property
    def events(self) -> int:
        """How many events its threads have."""
        return sum(line.times for timeline in self.timelines for line in timeline.lines)


@dataclass
class DemoResult:
    """How all went."""

    stories: list[StoryResult]
    seconds: float

    @property
    def green(self) -> bool:
        """Every story got through and no figure differs."""
        return all(result.error is None and not result.red for result in self.stories)

    @property
    def summary(self) -> str:
        """One line."""
        played = [result for result in self.stories if result.error is None]
        computed = sum(len(result.computed) for result in played)
        red = sum(len(result.red) for result in played)
        words = [f"{len(played)} of {len(self.stories)} real stories", f"{computed} figures computed, {red} red"]
        if played and all(result.already_played for result in played):
            words.append("already played, nothing changed")
        return f"Demo: {', '.join(words)}, {self.seconds:.0f} s."


def _quietly(story: str, doing: str) -> None:
    """Nobody wants to know."""


async def play_all(
    endpoints: Mapping[str, str],
    keys: Mapping[str, Mapping[str, Any]],
    *,
    stories: Sequence[str] | None = None,
    report: Report = _quietly,
) -> DemoResult:
    """Plays the named stories (all, by default) on the system at `endpoints`.

    `keys` are the platform's, by name: `operator` and `verifier`, as in `local.json`. Raises DemoError when nothing
    can be played at all; what goes wrong within one story stands in its result.
    """
    begun = time.monotonic()
    chosen = _chosen(stories)
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as http:
        exchange = Exchange(dict(endpoints), http)
        directory = Directory(exchange, _platform(keys, "operator"), _platform(keys, "verifier"))
        with await _alone(endpoints["registry"], report):
            results = await _play(directory, chosen, report)
    return DemoResult(sorted(results, key=lambda result: number(result.story)), time.monotonic() - begun)


async def _alone(registry: str, report: Report) -> IO[str]:
    """One run at a time on one system: two that both find nothing would both make everything."""
    name = f"bandung-demo-{getpass.getuser()}-{zlib.crc32(registry.encode()):08x}.lock"
    file = Path(tempfile.gettempdir()) / name
    if lock := try_lock(file):
        return lock
    report("", "waiting for another run of the demo to end")
    return await wait_for_lock(file)


async def _play(directory: Directory, chosen: Sequence[Story], report: Report) -> list[StoryResult]:
    cast = {institution.slug: institution for story in chosen for institution in story.cast}
    report("", f"registering and verifying {len(cast)} institutions")
    country = await directory.exchange.get("registry", f"/countries/{ANY_COUNTRY}", directory.operator)
    await directory.register(cast.values())
    lists = Lists(directory.exchange, directory.operator)
    return await Stage(directory, lists, report, date.fromisoformat(country["as_of"])).play(chosen)


def _chosen(wanted: Sequence[str] | None) -> list[Story]:
    try:
        return choose(wanted or None)
    except KeyError as error:
        raise DemoError(f"There is no story {error.args[0]}; there are {', '.join(load_all())}.") from error


def _platform(keys: Mapping[str, Mapping[str, Any]], name: str) -> Actor:
    return Actor(name, keys[name]["client_id"], keys[name]["client_secret"])


async def carry_out(work: Work) -> None:
    """Brings a project from wherever it is to the state that the facts give it."""
    await prepare(work)
    await date_roles(work)
    await sign(work, after_start=False)
    await start(work)
    await sign(work, after_start=True)
    await fill_ledger(work)
    await reach_milestones(work)
    await complete(work)


@dataclass
class Stage:
    """Where the stories of one run are played."""

    directory: Directory
    lists: Lists
    report: Report
    today: date
    practices: dict[str, asyncio.Future[Json]] = field(default_factory=dict)
    """By story: what others may replicate, as soon as it is published."""

    async def play(self, stories: Sequence[Story]) -> list[StoryResult]:
        """A few at once; those that others replicate come first, so nobody waits for one that cannot begin."""
        self.practices = {story.id: asyncio.get_running_loop().create_future() for story in stories}
        gate = asyncio.Semaphore(STORIES_AT_ONCE)
        return await asyncio.gather(*(self._in_turn(gate, story) for story in stories))

    async def _in_turn(self, gate: asyncio.Semaphore, story: Story) -> StoryResult:
        async with gate:
            begun = time.monotonic()
            result = StoryResult(story, countries=story.countries, names=self.directory.names)
            scene = Scene(story, Desk(self.directory.exchange, story.id), self.directory, self.today)
            try:
                await self._perform(scene, result)
                self.report(story.id, "done")
            except DemoError as error:
                result.error = str(error)
                self.report(story.id, "failed")
            finally:
                self.practices[story.id].cancel()  # nothing happens when it has its result
            result.seconds, result.writes = time.monotonic() - begun, scene.desk.writes
            return result

    async def _perform(self, scene: Scene, result: StoryResult) -> None:
        observed = await self._enact(scene)
        self.report(scene.story.id, "working out the figures")
        result.figures = await figures(scene, observed, self.lists)
        await self.directory.learn_names(observed.actors())
        result.timelines = timelines(observed, self.directory.names)
        result.projects = observed.seen

    async def _enact(self, scene: Scene) -> Observed:
        """The whole partnership; what is there already is only read."""
        story, works = scene.story, list[Work]()
        need = match = None
        for plan in story.played:
            self.report(story.id, f"project “{plan.title}”")
            if plan.opening == "match":
                need, match = await self._match(scene)
                works.append(await of_match(scene, plan, match))
            else:
                works.append(await open_directly(scene, plan))
            await carry_out(works[-1])
        reuse = await self._share(story, works)
        observed = await observe(scene, works, need, match)
        observed.reuse = reuse
        return observed

    async def _match(self, scene: Scene) -> tuple[Json, Json]:
        self.report(scene.story.id, "capability and need")
        capability, need = await offer(scene), await seek(scene)
        self.report(scene.story.id, "waiting for the match")
        match = await agree_on(scene, await proposal(scene, need, capability))
        self.report(scene.story.id, "waiting for the project")
        return need, match

    async def _share(self, story: Story, works: Sequence[Work]) -> str | None:
        """Publishes the practice, and records the replication of another story's; how that one fares, if any."""
        reuse = None
        for work in works:
            practice = await publish(work)
            if practice:
                self.practices[story.id].set_result(practice)
            if story.replication and story.replication_of and story.replication.project == work.plan.id:
                self.report(story.id, f"waiting for the practice of {story.replication_of}")
                reuse = await replicate(work, await self._practice_of(story.replication_of))
        return reuse

    async def _practice_of(self, source: str) -> Json:
        published = self.practices[source]
        await asyncio.wait([published])
        if published.cancelled():
            raise DemoError(f"{source}, whose practice is replicated here, did not get through.")
        return published.result()
