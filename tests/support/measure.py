"""What one machine carries: `python -m tests.support.measure [stories] [at a time]` on the system of BANDUNG_HOME.

Plays whole stories (need, match, project, practice), several at a time, and prints stories and requests per second,
and memory (PSS) and processor time of each part: the figures of the operator's guide.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from tests.e2e.world import Cooperation, World, today
from tests.support.system import SERVICES, System
from tests.support.waiting import eventually

PARTS = ("bandung", "postgres", "kafka")


class Counted(System):
    """Counts requests and remembers how long each took."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.seconds: list[float] = []

    def client(self, service: str) -> Any:
        """A client that is timed."""
        client = super().client(service)
        if not client.event_hooks["response"]:
            client.event_hooks = {"request": [self._begin], "response": [self._end]}
        return client

    async def _begin(self, request: Any) -> None:
        request.extensions["begun"] = time.perf_counter()

    async def _end(self, response: Any) -> None:
        self.seconds.append(time.perf_counter() - response.request.extensions["begun"])


def processes(system: System, part: str) -> list[psutil.Process]:
    """A part: PostgreSQL has children, the others are one process each."""
    process = psutil.Process(system.local["pids"][part])
    return [process] if part == "bandung" else [process, *process.children(recursive=True)]


def pss_mb(system: System, part: str) -> float:
    """Proportional memory: pages that several processes share are shared out."""
    return sum(process.memory_full_info().pss for process in processes(system, part)) / 1e6


def cpu_seconds(system: System, part: str) -> float:
    """Processor time since the start."""
    return sum(sum(process.cpu_times()[:2]) for process in processes(system, part))


async def story(world: World) -> None:
    """From two new institutions to a published practice."""
    pair = await (await world.proposed()).opened()
    project = Cooperation(pair.beneficiary, pair.provider, pair.project)
    await project.started()
    contribution = await project.committed()
    await pair.provider.do(f"/contributions/{contribution['id']}/deliver", {"delivered_on": today()})
    await pair.beneficiary.do(f"/contributions/{contribution['id']}/confirm")
    await project.reported()
    await pair.beneficiary.do(f"{project.path}/complete", {"completed_on": today()})
    await pair.beneficiary.make("/practices", project.practice_body())


async def settled(system: System) -> None:
    """Until nothing waits anywhere."""

    async def ready() -> bool:
        for service in SERVICES:
            checks = (await system.client(service).get("/readyz")).json()["checks"]
            if checks["outbox"]["unsent"] or checks["consumer"]["lag"]:
                return False
        return True

    await eventually(ready)


def memory(system: System, when: str) -> None:
    """Prints one line."""
    parts = {part: pss_mb(system, part) for part in PARTS}
    shown = ", ".join(f"{part} {size:.0f} MB" for part, size in parts.items())
    print(f"memory {when}: {shown}, together {sum(parts.values()):.0f} MB")


async def main(stories: int, at_a_time: int) -> None:
    """Measures and prints."""
    system = Counted(Path(os.environ.get("BANDUNG_HOME", ".bandung")))
    system.attach()
    memory(system, "before")
    world, gate = World(system), asyncio.Semaphore(at_a_time)
    before = {part: cpu_seconds(system, part) for part in PARTS}

    async def one() -> None:
        async with gate:
            await story(world)

    begun = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(stories)))
    await settled(system)
    took = time.perf_counter() - begun
    spent = {part: (cpu_seconds(system, part) - before[part]) / stories for part in PARTS}
    times = sorted(system.seconds)
    print(
        f"{stories} stories, {at_a_time} at a time: {took:.1f} s, {stories / took:.2f} stories/s, "
        f"{len(times) / took:.0f} requests/s, median {times[len(times) // 2] * 1000:.0f} ms, "
        f"99 % below {times[len(times) * 99 // 100] * 1000:.0f} ms"
    )
    print("processor time per story: " + ", ".join(f"{part} {seconds:.2f} s" for part, seconds in spent.items()))
    memory(system, "after")
    await system.end()


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    asyncio.run(main(*(given or [60, 8])))
