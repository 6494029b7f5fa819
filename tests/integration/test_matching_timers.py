"""What time alone brings about: the same stack, restarted in another week."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from services.matching.store import queue
from shared.events import registry
from shared.events.topics import MATCHES
from shared.messaging.envelope import short
from tests.support.matching import CLOCK, World
from tests.support.stack import Issuer, running_service
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.matching import Party
    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio
Json = dict[str, Any]
DAY = 86_400


class Weeks:
    """One database and topic prefix, visited at different times."""

    def __init__(self, parts: Parts, url: str) -> None:
        self.parts, self.url, self.prefix, self.issuer = parts, url, f"w{uuid4().hex[:8]}.", Issuer()

    @asynccontextmanager
    async def days_later(self, days: float) -> AsyncIterator[World]:
        async with running_service(
            self.parts,
            "matching",
            database_url=self.url,
            prefix=self.prefix,
            issuer=self.issuer,
            time_offset_seconds=days * DAY,
        ) as service:
            yield World(service)


async def weeks(parts: Parts) -> Weeks:
    return Weeks(parts, await parts.new_database("matching"))


async def one_match(world: World, **need: Any) -> tuple[Party, Party, registry.NeedState, Json]:
    lidi = await world.institution("LIDI", "ETH")
    clri = await world.institution("CLRI", "IND")
    await world.capability(clri, renew_by=CLOCK.today() + timedelta(days=700))
    posted = await world.need(lidi, **{"deadline": CLOCK.today() + timedelta(days=600)} | need)
    (match,) = await world.proposed(lidi, posted)
    return lidi, clri, posted, match


async def reminded(world: World, match: Json) -> None:
    """Within five seconds of the start, however long that took."""
    await eventually(world.service.running.relay.leading.is_set)
    await eventually(lambda: _has(world, match, "MatchReminderDue"), 5)


async def told(world: World, match: Json) -> list[str]:
    records = await world.service.records(MATCHES)
    return [short(r.type) for r in records if r.partitionkey == match["id"]]


async def test_a_proposal_that_nobody_answers_is_reminded_once_then_expires_and_rests(parts: Parts) -> None:
    time = await weeks(parts)
    async with time.days_later(0) as world:
        lidi, _, need, match = await one_match(world)
    async with time.days_later(15) as world:
        await reminded(world, match)
        assert (await world.get(lidi, match))["version"] == 1, "a reminder changes nothing"
    async with time.days_later(22) as world:
        await world.status(lidi, match, "expired")
        await eventually(lambda: _has(world, match, "MatchExpired"), 5)
        assert (await told(world, match)).count("MatchReminderDue") == 1
    async with time.days_later(200) as world:
        async with world.service.running.transactions.background() as tx:
            await queue.push_live_needs(tx)
        await world.settled()
        assert len((await world.matches(lidi, need))["items"]) == 1, "the pair rests for 180 days"
    async with time.days_later(22 + 181) as world:
        (again,) = await world.proposed(lidi, need)
        assert again["id"] != match["id"]


async def _has(world: World, match: Json, name: str) -> bool:
    return name in await told(world, match)


async def test_an_accepted_match_waits_thirty_days_for_its_owners(parts: Parts) -> None:
    time = await weeks(parts)
    async with time.days_later(0) as world:
        lidi, clri, _, match = await one_match(world)
        await world.accepted(lidi, clri, match)
    async with time.days_later(24) as world:
        await reminded(world, match)
        assert (await world.get(lidi, match))["status"] == "accepted"
    async with time.days_later(31) as world:
        await world.status(lidi, match, "expired")


async def test_at_the_deadline_the_match_expires_whatever_registry_says_at_that_moment(parts: Parts) -> None:
    time = await weeks(parts)
    async with time.days_later(0) as world:
        lidi, _, need, match = await one_match(world, deadline=CLOCK.today() + timedelta(days=3))
        end = CLOCK.today() + timedelta(days=4)
        assert match["expires_at"] == f"{end.isoformat()}T00:00:00Z"
    async with time.days_later(4) as world:
        await world.need_event(registry.NeedExpired, need, status="expired")
        await world.status(lidi, match, "expired")


async def test_a_human_and_the_timer_at_one_instant_have_one_winner(parts: Parts) -> None:
    time = await weeks(parts)
    async with time.days_later(0) as world:
        lidi = await world.institution("LIDI", "ETH")
        providers = {str(p.id): p for p in [await world.institution(f"P{n}", "IND") for n in range(8)]}
        for party in providers.values():
            await world.capability(party, renew_by=CLOCK.today() + timedelta(days=700))
        need = await world.need(lidi, deadline=CLOCK.today() + timedelta(days=300))
        found = await world.proposed(lidi, need, 8)
    async with time.days_later(21) as world:
        calls = [world.post(providers[m["provider"]["institution_id"]], m, "express-interest") for m in found]
        answers = await asyncio.gather(*calls)

        async def all_over() -> bool:
            return all([(await world.get(lidi, m))["status"] == "expired" for m in found])

        await eventually(all_over)
        for match, answer in zip(found, answers, strict=True):
            await eventually(lambda m=match: _has(world, m, "MatchExpired"))
            names = await told(world, match)
            assert ("MatchInterestExpressed" in names) == (answer.status_code == 200)
            assert names.count("MatchExpired") == 1
            assert names[-1] == "MatchExpired"
