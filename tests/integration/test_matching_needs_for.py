"""Which needs a capability could serve: the other direction of a suggestion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from shared.events import registry
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


async def suggested(world: World, headers: dict[str, str], capability: Any, **query: Any) -> Any:
    return await world.service.client.get(f"/capabilities/{capability.id}/needs", params=query, headers=headers)


async def test_needs_come_in_the_order_of_score_times_priority(world: World) -> None:
    clri = await world.institution("CLRI", "IND")
    ethiopia, kenya = await world.institution("LIDI", "ETH"), await world.institution("KIRDI", "KEN")
    capability = await world.capability(clri, capacity=5)
    ldc, urgent = await world.need(ethiopia, urgency="low"), await world.need(kenya, urgency="low")
    pressing = await world.need(ethiopia, urgency="critical")
    far = await world.need(kenya, isic=["0111"], resource_kinds=["equipment"])
    for home, need in ((ethiopia, ldc), (kenya, urgent), (ethiopia, pressing)):
        await world.proposed(home, need)
    answer = await suggested(world, world.owner(clri), capability)
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    assert [item["need_id"] for item in items] == [str(need.id) for need in (pressing, ldc, urgent)]
    assert str(far.id) not in {item["need_id"] for item in items}
    worth = [item["score"] * item["priority"] for item in items]
    assert worth == sorted(worth, reverse=True)
    scores = {item["need_id"]: item["score"] for item in items}
    assert scores[str(ldc.id)] == scores[str(pressing.id)], "priority orders, it never changes a score"
    for item in items:
        assert abs(sum(c["contribution"] for c in item["criteria"]) - item["score"]) < 1e-6
    assert len((await suggested(world, world.owner(clri), capability, limit=1)).json()["items"]) == 1


async def test_what_was_declined_is_left_out_and_strangers_ask_in_vain(world: World) -> None:
    clri, lidi = await world.institution("CLRI", "IND"), await world.institution("LIDI", "ETH")
    capability, need = await world.capability(clri), await world.need(lidi)
    (match,) = await world.proposed(lidi, need)
    assert [i["need_id"] for i in (await suggested(world, world.owner(clri), capability)).json()["items"]] == [
        str(need.id)
    ]
    operator = await suggested(world, world.service.token("operator"), capability)
    assert len(operator.json()["items"]) == 1
    assert (await suggested(world, world.owner(lidi), capability)).status_code == 404
    await world.post(clri, match, "decline", {"reason_code": "timing"})
    assert (await suggested(world, world.owner(clri), capability)).json()["items"] == []


async def test_needs_that_take_nobody_are_not_offered(world: World) -> None:
    clri = await world.institution("CLRI", "IND")
    lidi, ended = await world.institution("LIDI", "ETH"), await world.institution("Ended", "ETH")
    capability, need = await world.capability(clri, capacity=5), await world.need(lidi)
    other = await world.need(ended)
    for home, sought in ((lidi, need), (ended, other)):
        await world.proposed(home, sought)
    assert len((await suggested(world, world.owner(clri), capability)).json()["items"]) == 2
    ended.status = "suspended"
    await world.tell(ended, registry.InstitutionSuspended)

    async def one_left() -> bool:
        items = (await suggested(world, world.owner(clri), capability)).json()["items"]
        return [item["need_id"] for item in items] == [str(need.id)]

    await eventually(one_left)
