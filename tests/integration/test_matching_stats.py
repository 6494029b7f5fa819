"""Figures over matches: how institutions answer, and who gets and gives."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.support.matching import CLOCK, World
from tests.support.stack import running_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture(loop_scope="session")
async def world(parts: Parts) -> AsyncIterator[World]:
    async with running_service(parts, "matching") as service:
        yield World(service)


async def get(world: World, path: str, headers: dict[str, str], **query: Any) -> Any:
    return await world.service.client.get(path, params=query, headers=headers)


async def test_answers_are_counted_by_institution_and_side(world: World) -> None:
    lidi, clri = await world.institution("LIDI", "ETH"), await world.institution("CLRI", "IND")
    await world.capability(clri, capacity=5)
    for _ in range(2):
        (match,) = await world.proposed(lidi, await world.need(lidi))
    assert (await world.post(clri, match, "express-interest")).status_code == 200
    mine = (await get(world, "/stats/responses", world.owner(clri))).json()
    (line,) = mine["items"]
    assert (line["institution"]["id"], line["side"]) == (str(clri.id), "provider")
    assert (line["proposed"], line["answered"], line["expired_unanswered"]) == (2, 1, 0)
    assert line["in_time_share"] == 1.0
    assert 0 <= line["median_hours"] < 1
    whole = (await get(world, "/stats/responses", world.service.token("operator"))).json()
    assert {(i["institution"]["name"], i["side"]) for i in whole["items"]} == {
        ("CLRI", "provider"),
        ("LIDI", "beneficiary"),
    }
    silent = next(i for i in whole["items"] if i["side"] == "beneficiary")
    assert (silent["answered"], silent["in_time_share"], silent["median_hours"]) == (0, None, None)


async def test_figures_of_others_are_for_staff(world: World) -> None:
    lidi, clri = await world.institution("LIDI", "ETH"), await world.institution("CLRI", "IND")
    refused = await get(world, "/stats/responses", world.owner(clri), institution_id=str(lidi.id))
    assert (refused.status_code, refused.json()["code"]) == (403, "wrong_institution")
    assert (await get(world, "/stats/equity", world.owner(clri))).status_code == 403
    today = CLOCK.today().isoformat()
    empty = await get(world, "/stats/equity", world.service.token("operator"), since=today, until=today)
    assert (empty.status_code, empty.json()["errors"][0]["pointer"]) == (422, "?since")


async def test_equity_is_by_group_of_the_needs_country_and_within_its_days(world: World) -> None:
    yesterday = (CLOCK.today() - timedelta(days=1)).isoformat()
    ethiopia, kenya = await world.institution("LIDI", "ETH"), await world.institution("KIRDI", "KEN")
    clri, cicb = await world.institution("CLRI", "IND"), await world.institution("CICB", "BRA")
    await world.capability(clri, capacity=5)
    await world.capability(cicb, capacity=5)
    (first, _) = await world.proposed(ethiopia, await world.need(ethiopia), 2)
    await world.proposed(kenya, await world.need(kenya), 2)
    provider = clri if first["provider"]["institution_id"] == str(clri.id) else cicb
    await world.formalised(ethiopia, provider, first)
    staff = world.service.token("verifier")
    shown = (await get(world, "/stats/equity", staff)).json()
    groups = {group.pop("group"): group for group in shown["groups"]}
    # the other match of the Ethiopian need was taken back when it had its partner
    assert groups["all"] == {
        "countries": 2, "needs": 2, "served": 2, "proposed": 3, "formalised": 1,
        "proposed_share": 1.0, "formalised_share": 1.0,
    }  # fmt: skip
    assert groups["ldc"] == groups["lldc"] == {
        "countries": 1, "needs": 1, "served": 1, "proposed": 1, "formalised": 1,
        "proposed_share": 0.333333, "formalised_share": 1.0,
    }  # fmt: skip
    assert groups["sids"]["countries"] == 0
    assert shown["spread"] == {"providers": 2, "countries": 2, "largest_share": 0.666667, "tenth_share": 0.666667}
    before = (await get(world, "/stats/equity", staff, until=yesterday)).json()["groups"][0]
    assert (before["proposed"], before["needs"], before["served"]) == (0, 2, 0)
