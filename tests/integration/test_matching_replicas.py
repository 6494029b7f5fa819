"""Two processes of matching: one ranks, the other takes over and misses nothing."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from sqlalchemy import text

from tests.support.matching import World
from tests.support.stack import Issuer, running_service
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.parts import Parts
    from tests.support.stack import RunningService

pytestmark = pytest.mark.asyncio


async def test_who_takes_over_knows_what_the_one_before_took_in(parts: Parts) -> None:
    url, prefix, issuer = await parts.new_database("matching"), f"two{uuid4().hex[:8]}.", Issuer()
    again = {"database_url": url, "prefix": prefix, "issuer": issuer}
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(running_service(parts, "matching", **again))
        await eventually(one.running.relay.leading.is_set)
        other = await stack.enter_async_context(running_service(parts, "matching", **again, replica="b"))
        world = World(one)
        lidi, clri = await world.institution("LIDI", "ETH"), await world.institution("CLRI", "IND")
        capability = await world.capability(clri)
        await eventually(lambda: taken_in(one))
        await one.loops.end("relay", deadline=asyncio.get_running_loop().time() + 5)

        await eventually(other.running.relay.leading.is_set)
        theirs = World(other)
        (match,) = await theirs.proposed(lidi, await theirs.need(lidi))
        assert match["capability_id"] == str(capability.id)


async def taken_in(service: RunningService) -> bool:
    """Whether the capability has arrived, and no work waits."""
    async with service.running.database.background_session() as session:
        counts = "select (select count(*) from capability), (select count(*) from work)"
        return tuple((await session.execute(text(counts))).one()) == (1, 0)
