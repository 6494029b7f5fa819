"""What every fault test does: load, strike, heal, gather, verify, and one row of the table."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.faults.checker import HEALED_SECONDS, Evidence, Figures, Healing, Sight, Violation, figures, verify
from tests.faults.gather import gather
from tests.faults.workload import Cast, Load
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.installation import Installation
    from tests.support.system import Receiver

COLUMNS = ("fault", "happened", "events", "lost", "ghosts", "duplicates", "inversions", "seconds to heal")


@dataclass
class Ground:
    """One installation with its cast; every test on it adds to the same evidence."""

    system: Installation
    cast: Cast
    receiver: Receiver | None = None
    owed: tuple[str, ...] = ()
    loads: list[Load] = field(default_factory=list)
    before: Figures = field(default_factory=lambda: Figures(0, 0, 0, 0, 0))

    def load(self, *, lives: int = 8, writers: int = 8) -> Load:
        """A new load under a seed of its own."""
        made = Load(self.system, self.cast, seed=len(self.loads) + 1, lives=lives, writers=writers)
        self.loads.append(made)
        return made

    async def judge(
        self,
        fault: str,
        happened: str,
        record: Callable[[str, object], None],
        *,
        ended: float,
        sights: tuple[Sight, ...] = (),
    ) -> Evidence:
        """Waits until all is well again, and fails with every violation. `ended` is when the fault ended (monotonic).

        `happened` is the proof that the fault struck; an empty one fails.
        """
        assert happened, f"{fault} did not happen"
        evidence, violations, seconds = await self._healed(ended, sights)
        now = figures(evidence)
        record("fault", row(fault, happened, since(self.before, now), seconds))
        self.before = now
        assert not violations, "\n".join(map(str, violations[:20]))
        return evidence

    async def _healed(self, ended: float, sights: tuple[Sight, ...]) -> tuple[Evidence, list[Violation], float]:
        """The evidence of a moment at rest, what is wrong with it, and when that was.

        What is missing or stale when everybody says ready may still come, for as long as a fault has to heal: a
        consumer looks every ten seconds whether a topic was made anew. Nothing else is looked at twice.
        """
        while True:
            await self.system.all_ready()
            seconds = time.monotonic() - ended
            evidence = await self._at_rest(Healing(seconds), sights)
            violations = verify(evidence)
            missing = violations and {each.invariant for each in violations} <= {"I1", "I4"}
            if not missing or time.monotonic() - ended > HEALED_SECONDS:
                return evidence, violations, seconds
            await asyncio.sleep(1.0)

    async def _at_rest(self, healing: Healing, sights: tuple[Sight, ...]) -> Evidence:
        """The evidence of a moment in which nothing was written: a timer may still find something due."""

        async def unmoved() -> Evidence | None:
            await self.system.all_ready()
            before = await self.system.outbox_sizes()
            evidence = await gather(
                self.system, self.loads, receiver=self.receiver, owed=self.owed, healing=healing, sights=sights
            )
            return evidence if await self.system.outbox_sizes() == before else None

        return await eventually(unmoved)


async def lasting(begun: float, seconds: float) -> None:
    """Returns when what began then (monotonic) has lasted so long."""
    await eventually(lambda: time.monotonic() > begun + seconds, seconds + 5)


def since(before: Figures, now: Figures) -> Figures:
    """What this test added; losses and the like are never carried away by an earlier one."""
    return Figures(now.events - before.events, now.lost, now.ghosts, now.duplicates - before.duplicates, now.inversions)


def row(fault: str, happened: str, found: Figures, seconds: float) -> dict[str, Any]:
    """One row of the table."""
    return dict(
        zip(
            COLUMNS,
            (
                fault,
                happened,
                found.events,
                found.lost,
                found.ghosts,
                found.duplicates,
                found.inversions,
                round(seconds, 1),
            ),
            strict=True,
        )
    )


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as text, under the names of their members."""
    names = list(rows[0])
    cells = [names, *([str(each[name]) for name in names] for each in rows)]
    widths = [max(len(line[n]) for line in cells) for n in range(len(names))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
    return "\n".join(line.rstrip() for line in lines)
