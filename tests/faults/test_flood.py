"""One partner that asks without end takes nothing from the others."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.support.probe import Heard, Probe, running_probe
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio
ALLOWED = 60
AT_ONCE = 32
ASKED = 1_500


async def test_a_partner_that_floods_is_429_and_the_others_are_served(parts: Parts) -> None:
    async with running_probe(parts, rate_limit_per_minute=ALLOWED) as probe:
        flood = asyncio.create_task(flooding(probe))
        mine, slowest = Counter[int](), 0.0
        while not flood.done() and sum(mine.values()) < ALLOWED:
            begun = time.monotonic()
            mine[await make(probe, f"mine {sum(mine.values())}", OTHER)] += 1
            slowest = max(slowest, time.monotonic() - begun)
        theirs = await flood
        await eventually(lambda: heard(probe, mine[201] + theirs[201]))
    print(f"flood of {ASKED}: {dict(theirs)}, others {dict(mine)}, slowest {slowest:.2f} s")
    assert theirs == {201: ALLOWED, 429: ASKED - ALLOWED}
    assert set(mine) == {201}
    assert mine[201] >= 10  # one after the other, while the flood lasted


FLOODER, OTHER = "key:flooder", "key:other"


async def flooding(probe: Probe) -> Counter[int]:
    """Codes of so many requests, many at once."""
    codes: Counter[int] = Counter()

    async def one(share: int) -> None:
        for n in range(ASKED // AT_ONCE + (share < ASKED % AT_ONCE)):
            codes[await make(probe, f"{share} {n}", FLOODER)] += 1

    await asyncio.gather(*(one(share) for share in range(AT_ONCE)))
    return codes


async def make(probe: Probe, title: str, who: str) -> int:
    answer = await probe.client.post("/things", json={"title": title}, headers=probe.as_owner(sub=who))
    return answer.status_code


async def heard(probe: Probe, number: int) -> bool:
    return await probe.count(Heard) == number
