"""A start takes what was worked out before from the readings, and works out again only what they do not say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import text

from services.matching import loading
from services.matching.loading import edition
from services.matching.ranking import Ranker
from shared.events import registry
from shared.ops.ids import new_id
from tests.support.matching import World
from tests.support.stack import running_service
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.matching.engine.index import Index
    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture(loop_scope="session")
async def world(parts: Parts) -> AsyncIterator[World]:
    async with running_service(parts, "matching") as service:
        yield World(service)


async def _said(world: World, statement: str, **values: Any) -> Any:
    async with world.service.running.database.background.begin() as connection:
        result = await connection.execute(text(statement), values)
        return result.scalar() if result.returns_rows else None


async def _started(world: World) -> Ranker:
    """As a start of the process would make it."""
    fresh, transactions = Ranker(), world.service.running.transactions
    await fresh.load(transactions)
    async with transactions.background() as tx:
        assert await fresh.agrees(tx)
    return fresh


def _held(world: World) -> Index:
    index: Index = world.service.running.state["ranker"].index
    return index


async def _read(world: World, capabilities: int) -> None:
    """Until so many are read; what came while a pass was under way is read by the next one."""

    async def all_are() -> bool:
        return await _said(world, "select count(*) from reading") == capabilities

    await eventually(all_are)


async def test_a_start_uses_what_was_read_before_and_reads_what_is_new(world: World) -> None:
    clri = await world.institution("CLRI", "IND")
    first = await world.capability(clri, languages=[], hs=["4107"])
    await _read(world, 1)
    second = await world.capability(clri, title="Tannery effluent, second offer")
    await world.capability_event(registry.CapabilityUpdated, first, capacity=5)

    async def both() -> bool:
        held = _held(world).capability(str(first.id))
        return held is not None and held.capacity == 5 and _held(world).capability(str(second.id)) is not None

    await eventually(both)
    fresh = await _started(world)
    assert fresh.index.ids() == _held(world).ids()
    for capability_id in fresh.index.ids():
        assert fresh.index.offer(capability_id) == _held(world).offer(capability_id)


async def test_a_reading_is_of_one_event_and_one_edition(world: World) -> None:
    clri = await world.institution("CLRI", "IND")
    offered = await world.capability(clri)
    await _read(world, 1)
    # a text that changes without an event shows which of the two a start has read
    await _said(world, "update capability set title = 'Yarn', summary = 'Yarn', technologies = '{}'")
    assert "~spinning" not in _terms(await _started(world), offered.id)
    await _said(world, "update reading set edition = 'another'")
    assert "~spinning" in _terms(await _started(world), offered.id)
    await _said(world, "update reading set edition = :known", known=edition())
    assert "~spinning" not in _terms(await _started(world), offered.id)
    await _said(world, "update capability set sequence = sequence || '1'")
    assert "~spinning" in _terms(await _started(world), offered.id)


async def test_places_taken_and_offers_withdrawn_are_as_the_rows_say(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "REST", 0)  # a pass may find one of the two, the next comes at once
    clri = await world.institution("CLRI", "IND")
    offered, gone = await world.capability(clri), await world.capability(clri)
    await _read(world, 2)
    await _said(
        world,
        "insert into engagement (match_id, need_id, capability_id, project_id, state)"
        " values (:new, :new, :offered, :new, 'active')",
        new=new_id(),
        offered=offered.id,
    )
    await world.capability_event(registry.CapabilityWithdrawn, gone, status="withdrawn")

    async def withdrawn() -> bool:
        return _held(world).capability(str(gone.id)) is None

    await eventually(withdrawn)
    fresh = await _started(world)
    assert fresh.index.ids() == [str(offered.id)]
    held = fresh.index.capability(str(offered.id))
    assert held is not None
    assert held.engaged == 1


def _terms(ranker: Ranker, capability_id: UUID) -> set[str]:
    offer = ranker.index.offer(str(capability_id))
    assert offer is not None
    return set(offer.content.document.frequencies)


async def test_readings_that_cannot_be_kept_hold_up_nothing(world: World) -> None:
    clri, lidi = await world.institution("CLRI", "IND"), await world.institution("LIDI", "ETH")
    # a sequence moves on also where everything else is rolled back, so it tells that somebody tried
    await _said(world, "create sequence tried")
    await _said(
        world,
        "create function refuse() returns trigger language plpgsql as"
        " $$ begin perform nextval('tried'); raise 'refused' using errcode = 'XX000'; end $$",
    )
    await _said(world, "create trigger refuse before insert on reading for each row execute function refuse()")
    offered = await world.capability(clri)

    async def tried() -> bool:
        return bool(await _said(world, "select is_called from tried"))

    await eventually(tried)
    await world.proposed(lidi, await world.need(lidi))
    assert await _said(world, "select count(*) from reading") == 0
    assert (await _started(world)).index.ids() == [str(offered.id)]
