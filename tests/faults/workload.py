"""The load under which faults strike: many needs lived through by many institutions at once, planned from a seed.

What each need goes through, in which words and with which answers lost on the way, depends on the seed alone; `plan`
is pure. Requests are made as a careful client makes them: with an Idempotency-Key, again after a lost answer or a 503.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import httpx

from tests.e2e.world import ISIC, SOUTH, Cooperation, Member, World, capability_body, need_body, today
from tests.faults.checker import Write
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.faults.installation import Installation

ENDINGS = ("completed",) * 4 + ("cancelled",) * 2 + ("declined",) * 2 + ("withdrawn", "left open")
PATIENCE_SECONDS = 240.0
AGAIN = {429, 500, 502, 503, 504}
PAIRS = 6


@dataclass(frozen=True)
class Life:
    """What one need will go through."""

    number: int
    pair: int
    isic: str
    words: str
    changes: int
    ending: str
    lost_answers: frozenset[int]
    """At which of its requests the client behaves as if the answer had been lost, and asks again."""


def plan(seed: int, number: int) -> list[Life]:
    """The lives of a load; the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 (a plan, no secret)
    return [
        Life(
            number=n,
            pair=chance.randrange(PAIRS),
            isic=ISIC[(seed * 7 + n) % len(ISIC)],
            words=f"load {seed}/{n} {chance.randrange(10**6):06d}",
            changes=chance.randrange(1, 6),
            ending=chance.choice(ENDINGS),
            lost_answers=frozenset(chance.sample(range(24), 5)),
        )
        for n in range(number)
    ]


@dataclass
class Cast:
    """The institutions that act, made once per installation."""

    pairs: list[tuple[Member, Member]]

    @classmethod
    async def of(cls, system: Installation) -> Cast:
        """Pairs of verified institutions of different countries."""
        world = World(system)
        countries = [(SOUTH[2 * n], SOUTH[2 * n + 1]) for n in range(PAIRS)]
        members = [world.member(country=country) for pair in countries for country in pair]
        made = await asyncio.gather(*members)
        return cls([(made[n], made[n + 1]) for n in range(0, 2 * PAIRS, 2)])


@dataclass
class Load:
    """One run. `acknowledged` and `refused` are what the checker wants to know."""

    system: Installation
    cast: Cast
    seed: int
    lives: int = 8
    writers: int = 8
    acknowledged: list[Write] = field(default_factory=list)
    refused: list[Write] = field(default_factory=list)
    retries: int = 0
    requests: int = 0
    _task: asyncio.Task[None] | None = None

    @property
    def today(self) -> str:
        """The day of the installation's clock."""
        return today(self.system.days_ahead)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.run())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self._task is not None
        if kind is not None:
            self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=kind is not None)

    async def under_way(self, acknowledged: int = 10, seconds: float = 60.0) -> None:
        """Returns when so much has been written, so that a fault meets work."""

        def far_enough() -> bool:
            assert self._task is not None
            if self._task.done() and self._task.exception():
                self._task.result()
            return len(self.acknowledged) >= acknowledged

        await eventually(far_enough, seconds)
        assert self._task is not None
        assert not self._task.done(), "the load ended before the fault"

    async def finished(self) -> None:
        """Returns when everything was lived through."""
        assert self._task is not None
        await self._task

    async def run(self) -> None:
        """All lives, some at a time."""
        places = asyncio.Semaphore(self.writers)

        async def one(life: Life) -> None:
            async with places:
                await _Living(self, life, *self.cast.pairs[life.pair]).live()

        await asyncio.gather(*(one(life) for life in plan(self.seed, self.lives)))


@dataclass
class _Living:
    load: Load
    life: Life
    beneficiary: Member
    provider: Member
    made: int = 0

    async def live(self) -> None:
        need, capability = await self._posted()
        for n in range(self.life.changes):
            await self._rename(need, n)
        if self.life.ending == "withdrawn":
            reason = {"reason_code": "no_longer_needed"}
            await self._do(self.beneficiary, f"/needs/{need['id']}/withdraw", "NeedWithdrawn", reason)
        else:
            await self._matched(need, capability)
        reason = {"reason_code": "no_longer_offered"}  # or it would compete with the next one
        await self._do(self.provider, f"/capabilities/{capability['id']}/withdraw", "CapabilityWithdrawn", reason)

    async def _matched(self, need: dict[str, Any], capability: dict[str, Any]) -> None:
        match = await self._patiently(lambda: self._match(need, capability))
        path = f"/matches/{match['id']}"
        if self.life.ending == "declined":
            await self._do(self.provider, f"{path}/decline", "MatchDeclined", {"reason_code": "timing"})
        elif self.life.ending != "left open":
            await self._cooperate(path)

    async def _posted(self) -> tuple[dict[str, Any], dict[str, Any]]:
        words, isic = self.life.words, [self.life.isic]
        serves = {"all_south": False, "countries": [self.beneficiary.country], "blocs": []}
        offer = capability_body(title=f"Offer {words}", summary=f"Training, {words}", isic=isic, serves=serves)
        capability = await self._make(self.provider, "/capabilities", offer, "CapabilityPublished", f"Offer {words}")
        want = need_body(title=f"Want {words}", problem=f"Effluent, {words}", isic=isic)
        await self._refused(want)
        need = await self._make(self.beneficiary, "/needs", want, "NeedPosted", f"Want {words}")
        return need, capability

    async def _refused(self, want: dict[str, Any]) -> None:
        """A request that breaks a rule: nothing of it may ever be seen."""
        title = f"Refused {self.life.words}"
        answer = await self._send(self.beneficiary, "/needs", {**want, "title": title, "deadline": today(-1)})
        assert answer.status_code == 422, answer.text
        self.load.refused.append(Write("NeedPosted", "", title))

    async def _rename(self, need: dict[str, Any], n: int) -> None:
        """A PATCH has no key: its version says whether an attempt without an answer had its effect."""
        title, version = f"Want {self.life.words} v{n}", need["version"] + n
        path = f"/needs/{need['id']}"

        async def patched() -> bool:
            answer = await self.beneficiary.patch(path, {"title": title}, if_match=f'"{version}"')
            if answer.status_code == 412:
                shown = await self.beneficiary.read(path)
                assert (shown["title"], shown["version"]) == (title, version + 1), "somebody else's change"
                return True
            assert answer.status_code not in AGAIN, answer.text
            if answer.status_code != 200:
                raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")
            return True

        await self._patiently(patched)
        self._written("NeedUpdated", f"needs/{need['id']}", title)

    async def _cooperate(self, path: str) -> None:
        await self._do(self.provider, f"{path}/express-interest", "MatchInterestExpressed")
        await self._do(self.beneficiary, f"{path}/accept", "MatchAccepted")
        await self._do(self.provider, f"{path}/formalise", "MatchConfirmed")
        match = await self._do(self.beneficiary, f"{path}/formalise", "MatchFormalised")
        project = Cooperation(self.beneficiary, self.provider, f"/projects/{match['project_id']}")
        await self._patiently(lambda: self._there(project.path))
        await self._start(project)
        if self.life.ending == "cancelled":
            reason = {"reason_code": "funding_lost"}
            await self._do(self.provider, f"{project.path}/cancel", "ProjectCancelled", reason)
        else:
            await self._complete(project)

    async def _start(self, project: Cooperation) -> None:
        body = project.agreement_body(title=f"MoU {self.life.words}", effective_on=self.load.today)
        agreement = await self._make(self.beneficiary, f"{project.path}/agreements", body, "AgreementProposed")
        for member in project.members:
            await self._do(member, f"/agreements/{agreement['id']}/sign", None, {"signed_on": self.load.today})
        self._written("AgreementSigned", f"agreements/{agreement['id']}")
        await self._do(self.provider, f"{project.path}/start", "ProjectStarted", {"started_on": self.load.today})

    async def _complete(self, project: Cooperation) -> None:
        texts = {"summary": f"Done, {self.life.words}", "results": "Clean water.", "lessons": "Start earlier."}
        body = {"kind": "completion", **texts}
        report = await self._make(self.provider, f"{project.path}/reports", body, "ReportSubmitted")
        for member in project.members:
            await self._do(member, f"/reports/{report['id']}/sign", None)
        await self._do(
            self.beneficiary, f"{project.path}/complete", "ProjectCompleted", {"completed_on": self.load.today}
        )
        title = f"Practice {self.life.words}"
        practice = project.practice_body(title=title)
        await self._make(self.beneficiary, "/practices", practice, "PracticePublished", title)

    # requests

    async def _make(self, who: Member, path: str, body: Any, event: str, mark: str = "") -> dict[str, Any]:
        made = await self._answered(who, path, body, 201)
        self._written(event, f"{path.rpartition('/')[2]}/{made['id']}", mark)
        return made

    async def _do(self, who: Member, path: str, event: str | None, body: Any = None) -> dict[str, Any]:
        done = await self._answered(who, path, {} if body is None else body, 200)
        if event is not None:
            self._written(event, path[1:].rpartition("/")[0])
        return done

    def _written(self, event: str, subject: str, mark: str = "") -> None:
        self.load.acknowledged.append(Write(event, subject, mark))

    async def _answered(self, who: Member, path: str, body: Any, wanted: int) -> dict[str, Any]:
        answer = await self._send(who, path, body)
        if answer.status_code != wanted:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")
        return dict(answer.json())

    async def _send(self, who: Member, path: str, body: Any) -> httpx.Response:
        """The final answer to a POST; asked again with its key as long as there is none."""
        number, self.made = self.made, self.made + 1
        key = f"load-{self.load.seed}-{self.life.number}-{number}"
        first = await self._post(who, path, body, key)
        if number not in self.life.lost_answers:
            return first
        again = await self._post(who, path, body, key)
        assert again.status_code == first.status_code, f"{path}: {first.text} and then {again.text}"
        if first.is_success:
            assert again.json() == first.json(), f"{path}: two answers under one key"
        return again

    async def _post(self, who: Member, path: str, body: Any, key: str) -> httpx.Response:
        async def posted() -> httpx.Response:
            self.load.requests += 1
            answer = await who.act(path, body, key=key) if path.count("/") > 1 else await who.post(path, body, key=key)
            assert answer.status_code not in AGAIN, answer.text
            assert answer.status_code != 409 or "in_flight" not in answer.text, answer.text
            return answer

        return await self._patiently(posted)

    async def _patiently(self, attempt: Any) -> Any:
        """Until it gives something, through refused connections, lost answers, 503 and read models that lag."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                if (found := await attempt()) is not None:
                    return found
                problem: object = "not there yet"
            except (httpx.TransportError, AssertionError) as error:
                problem = error
                self.load.retries += 1
            if time.monotonic() > deadline:
                raise AssertionError(f"life {self.life} got no further: {problem!r}")
            await asyncio.sleep(0.1)

    async def _match(self, need: dict[str, Any], capability: dict[str, Any]) -> dict[str, Any] | None:
        page = await self.beneficiary.read("/matches", need_id=need["id"])
        return next((item for item in page["items"] if item["capability_id"] == capability["id"]), None)

    async def _there(self, path: str) -> bool | None:
        return True if (await self.beneficiary.get(path)).status_code == 200 else None
