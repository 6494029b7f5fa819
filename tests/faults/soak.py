"""The soak: the load of the real story for half an hour while something breaks every twenty seconds.

`python -m tests.faults.soak --minutes 30 --seed 1` writes its report to `tests/faults/RESULTS.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean

import psutil

from tests.faults.checker import Evidence, Healing, figures, verify
from tests.faults.gather import gather
from tests.faults.installation import Installation
from tests.faults.striking import lasting
from tests.faults.tools.database import crash, end_all_sessions
from tests.faults.workload import Cast, Load
from tests.support.system import SERVICES

EVERY_SECONDS = 20.0
SAMPLE_SECONDS = 5.0
FLAT = 1.25
"""How much more memory the last third of the time may take than the middle one."""

Fault = Callable[[Installation, random.Random], Awaitable[str]]


async def kill_a_service(system: Installation, chance: random.Random) -> str:
    name = chance.choice(SERVICES)
    await system.processes[name].kill()
    return f"{name} killed"


async def freeze_a_service(system: Installation, chance: random.Random) -> str:
    name = chance.choice(SERVICES)
    process = system.processes[name]
    process.signal(signal.SIGSTOP)
    try:
        await lasting(time.monotonic(), 6)
    finally:
        process.signal(signal.SIGCONT)
    return f"{name} frozen for 6 s"


async def restart_a_service(system: Installation, chance: random.Random) -> str:
    name = chance.choice(SERVICES)
    await system.processes[name].restart()
    return f"{name} restarted"


async def kill_a_part(system: Installation, chance: random.Random) -> str:
    part = chance.choice(("kafka", "postgres"))
    await system.kill_part(part)
    await lasting(time.monotonic(), chance.uniform(0, 4))
    await system.start_part(part)
    return f"{part} killed"


async def crash_the_database(system: Installation, _chance: random.Random) -> str:
    await crash(system)
    await system.start_part("postgres")
    return "pg_ctl stop -m immediate"


async def freeze_the_broker(system: Installation, _chance: random.Random) -> str:
    pid = system.parts.kafka.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        await lasting(time.monotonic(), 5)
    finally:
        os.kill(pid, signal.SIGCONT)
    return "kafka frozen for 5 s"


async def end_sessions(system: Installation, _chance: random.Random) -> str:
    assert await end_all_sessions(system)
    return "pg_terminate_backend on everything"


async def break_the_network(system: Installation, chance: random.Random) -> str:
    kind = chance.choice(("reset", "stall", "go_deaf", "swallow", "latency"))
    proxies = list(system.proxies.values())
    for proxy in proxies:
        if kind == "swallow":
            proxy.swallow = 1
        elif kind == "latency":
            proxy.latency_seconds = 0.3
        else:
            getattr(proxy, kind)()
    await lasting(time.monotonic(), 5)
    for proxy in proxies:
        proxy.heal()
    return f"network: {kind}"


FAULTS: tuple[Fault, ...] = (
    kill_a_service,
    kill_a_service,
    freeze_a_service,
    restart_a_service,
    kill_a_part,
    crash_the_database,
    freeze_the_broker,
    end_sessions,
    break_the_network,
    break_the_network,
)


@dataclass
class Soak:
    """One run."""

    system: Installation
    cast: Cast
    seed: int
    until: float
    loads: list[Load] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)
    memory: list[dict[str, float]] = field(default_factory=list)

    async def run(self) -> None:
        """Load, faults and measurements side by side, until the time is over."""
        await asyncio.gather(self._work(), self._break(), self._measure())

    def _goes_on(self) -> bool:
        return time.monotonic() < self.until

    async def _work(self) -> None:
        while self._goes_on():
            load = Load(self.system, self.cast, seed=self.seed * 1000 + len(self.loads), lives=12, writers=6)
            self.loads.append(load)
            await load.run()

    async def _break(self) -> None:
        chance = random.Random(self.seed)  # noqa: S311 (a plan, no secret)
        while self._goes_on():
            begun = time.monotonic()
            told = await chance.choice(FAULTS)(self.system, chance)
            self.happened[told] += 1
            print(f"{datetime.now(UTC):%H:%M:%S} {told}", flush=True)
            await lasting(begun, EVERY_SECONDS)

    async def _measure(self) -> None:
        while self._goes_on():
            running = {name: p.memory_mb() for name, p in self.system.processes.items() if p.alive}
            self.memory.append(running)
            await lasting(time.monotonic(), SAMPLE_SECONDS)

    def thirds(self, name: str) -> list[float]:
        """Mean memory of a process in each third of the time, in MB."""
        found = [sample[name] for sample in self.memory if name in sample]
        third = max(1, len(found) // 3)
        return [mean(found[n * third : (n + 1) * third]) for n in range(3)]


async def soak(minutes: float, seed: int) -> tuple[str, bool]:
    """The report, and whether the promise was kept."""
    with tempfile.TemporaryDirectory(prefix="bandung-soak-") as folder:
        system = Installation(Path(folder) / "home")
        try:
            await system.start()
            run = Soak(system, await Cast.of(system), seed, time.monotonic() + minutes * 60)
            await run.run()
            ended = time.monotonic()
            await system.all_ready()
            evidence = await gather(system, run.loads, healing=Healing(time.monotonic() - ended))
        finally:
            await system.end()
    flat = all(run.thirds(name)[2] <= FLAT * run.thirds(name)[1] for name in SERVICES)
    return report(run, evidence, minutes), flat and not verify(evidence)


def report(run: Soak, evidence: Evidence, minutes: float) -> str:
    """The figures as a page."""
    found, healing = figures(evidence), evidence.healing
    assert healing is not None
    violations = [str(violation) for violation in verify(evidence)]
    requests, retries = (sum(getattr(load, name) for load in run.loads) for name in ("requests", "retries"))
    kept = [f"{found.lost} lost", f"{found.ghosts} ghosts", f"{found.inversions} inversions"]
    lines = [
        "# The soak",
        "",
        f"- {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {minutes:g} minutes, seed {run.seed}, {machine()}",
        f"- {sum(run.happened.values())} faults under {requests} requests with a key and {retries} retries",
        f"- {len(evidence.writes)} acknowledged writes, {found.events} events: {', '.join(kept)}",
        f"- {found.duplicates} duplicates on Kafka; healed {healing.seconds:.1f} s after the end",
        f"- violations: {'; '.join(violations[:10]) or 'none'}",
        "",
        "| process | MB, first third | second | last |",
        "|---|---|---|---|",
        *(f"| {name} | {' | '.join(f'{mb:.0f}' for mb in run.thirds(name))} |" for name in SERVICES),
        "",
        "| fault | times |",
        "|---|---|",
        *(f"| {told} | {times} |" for told, times in sorted(run.happened.items())),
    ]
    return "\n".join(lines) + "\n"


def machine() -> str:
    """Cores, memory, system."""
    memory = f"{psutil.virtual_memory().total / 1e9:.0f} GB"
    return f"{os.cpu_count()} cores, {memory}, {platform.platform()}, Python {platform.python_version()}"


def main() -> int:
    """0 when nothing was lost or invented and memory stayed flat."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    asked = parser.parse_args()
    page, kept = asyncio.run(soak(asked.minutes, asked.seed))
    asked.report.write_text(page)
    print(page)
    return 0 if kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
