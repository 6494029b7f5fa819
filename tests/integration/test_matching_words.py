"""What an operator learns of the words of posted texts that the lexicon lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from services.matching.engine.lexicon import default_lexicon
from services.matching.engine.unknown import Candidate, UnknownWords
from services.matching.store import texts
from tests.support.matching import World
from tests.support.stack import running_service
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture(loop_scope="session")
async def world(parts: Parts) -> AsyncIterator[World]:
    async with running_service(parts, "matching") as service:
        yield World(service)


async def unknown(world: World) -> list[Candidate]:
    found = UnknownWords(default_lexicon())
    async with world.service.running.transactions.background() as tx:
        async for parts in texts.posted(tx, page_rows=2):
            found.take(parts)
    return found.most_frequent(limit=50, least=3)


async def test_words_of_needs_and_capabilities_are_counted_over_all_pages(world: World) -> None:
    lidi = await world.institution("LIDI", "ETH")
    for n in range(3):
        await world.need(lidi, title=f"Frobnicators for plant {n}")
    await world.capability(await world.institution("CLRI", "IND"), technologies=["frobnicator"])
    title = "Frobnicators for plant "

    async def four() -> Candidate | None:
        return next((c for c in await unknown(world) if c.word.startswith("frobnicator") and c.texts == 4), None)

    found = await eventually(four)
    assert found is not None
    assert (found.word, found.language) == ("frobnicators", "en")
    assert found.example.startswith(title)
