"""Everything at once: no deadlock, no place given twice, no sequence broken."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from shared.events import projects, registry
from shared.events.topics import MATCHES
from tests.support.matching import World
from tests.support.stack import running_service
from tests.support.waiting import eventually

if TYPE_CHECKING:
    import httpx

    from tests.support.matching import Party
    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio
Json = dict[str, Any]


async def test_people_news_and_the_engine_at_the_same_time(parts: Parts) -> None:
    dice = random.Random(7)  # noqa: S311 (a fixed order of calls, no secret)
    async with running_service(parts, "matching") as service:
        world = World(service)
        parties = {str(p.id): p for p in [await world.institution(f"P{n}", "IND") for n in range(4)]}
        offers = [await world.capability(party, capacity=2) for party in parties.values()]
        homes = [await world.institution(f"B{n}", "ETH") for n in range(6)]
        needs = [(home, await world.need(home)) for home in homes]
        found = [(home, m) for home, need in needs for m in await world.proposed(home, need, len(offers))]
        answers: list[int] = []

        async def life(home: Party, match: Json) -> None:
            provider = parties[match["provider"]["institution_id"]]
            steps = [(provider, "express-interest"), (home, "accept"), (provider, "formalise"), (home, "formalise")]
            for party, action in steps:
                # a full pool answers 503 within its bound, and whoever asked comes again
                answer = await eventually(lambda party=party, action=action: _taken(world, party, match, action))
                answers.append(answer.status_code)
                if action == "formalise" and answer.status_code == 200 and answer.json()["status"] == "formalised":
                    event = dice.choice([projects.ProjectCompleted, projects.ProjectCancelled])
                    await world.project_event(event, answer.json())

        async def news() -> None:
            states = {offer.id: offer for offer in offers}
            for _ in range(40):
                offer = dice.choice(list(states.values()))
                states[offer.id] = await world.capability_event(registry.CapabilityUpdated, offer)
                await asyncio.sleep(0)

        await asyncio.gather(news(), *(life(home, match) for home, match in found))
        assert set(answers) <= {200, 409}, Counter(answers)
        assert answers.count(200) > len(found), "most answers were taken"
        await eventually(lambda: _settled(world))
        taken = await _rows(world, "select capability_id, count(*) from engagement where state = 'active' group by 1")
        assert all(count <= 2 for _, count in taken)
        pairs = "select need_id, capability_id from match where not closed group by 1, 2 having count(*) > 1"
        assert await _rows(world, pairs) == []
        deadlocks = "select deadlocks from pg_stat_database where datname = current_database()"
        assert await _rows(world, deadlocks) == [(0,)]
        await _sequences_are_whole(world)


async def _taken(world: World, party: Party, match: Json, action: str) -> httpx.Response | None:
    answer = await world.post(party, match, action)
    return None if answer.status_code == 503 else answer


async def _settled(world: World) -> bool:
    [(work,)] = await _rows(world, "select count(*) from work")
    [(unsent,)] = await _rows(world, "select count(*) from outbox where published_at is null")
    return bool(work == 0 and unsent == 0)


async def _rows(world: World, sql: str) -> list[Any]:
    async with world.service.running.database.background_session() as session:
        return [tuple(row) for row in await session.execute(text(sql))]


async def _sequences_are_whole(world: World) -> None:
    by_key: dict[str, list[str]] = defaultdict(list)
    for record in await world.service.records(MATCHES):
        by_key[record.partitionkey].append(record.sequence)
    assert by_key
    for sequences in by_key.values():
        assert sequences == [f"0001-{n:010d}" for n in range(1, len(sequences) + 1)]
