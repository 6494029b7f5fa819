"""Rounds: worked out over all open needs, compared with first come, approved by an operator, turned into matches."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from shared.events.registry import CapabilityWithdrawn
from shared.events.states import Serves
from tests.support.matching import World
from tests.support.stack import running_service
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio
Json = dict[str, Any]


@pytest_asyncio.fixture(loop_scope="session")
async def world(parts: Parts) -> AsyncIterator[World]:
    async with running_service(parts, "matching") as service:
        yield World(service)


async def call(world: World, method: str, path: str, body: Json | None = None, **headers: str) -> httpx.Response:
    operator = world.service.token("operator")
    return await world.service.client.request(method, path, json=body, headers=operator | headers)


async def in_status(world: World, made: Json, status: str) -> Json:
    async def there() -> Json | None:
        shown: Json = (await call(world, "GET", f"/rounds/{made['id']}")).json()
        return shown if shown["status"] == status else None

    found: Json = await eventually(there)  # type: ignore[assignment]
    return found


async def market(world: World) -> tuple[Any, Any, Any, Any]:
    """Two needs of which the first is best served by the only provider of the second; one proposal each."""
    only = (await call(world, "POST", "/policies", {"k": 1})).json()
    assert (await call(world, "POST", f"/policies/{only['id']}/activate", **{"If-Match": "*"})).status_code == 200
    ranker = world.service.running.state["ranker"]
    await eventually(lambda: ranker.policy.k == 1)
    early, late = await world.institution("Early", "ETH"), await world.institution("Late", "KEN")
    wide, narrow = await world.institution("Wide", "IND"), await world.institution("Narrow", "BRA")
    both = await world.capability(wide, capacity=1)
    one = await world.capability(
        narrow, capacity=1, serves=Serves(all_south=False, countries=["ETH"], blocs=[]), title="Leather", summary="s"
    )
    await world.settled()
    first, second = await world.need(early), await world.need(late)
    await world.proposed(early, first)
    await world.proposed(late, second)
    return (early, first), (late, second), both, one


async def test_a_round_serves_more_needs_than_first_come_and_its_approval_makes_the_matches(world: World) -> None:
    (early, first), (late, second), both, one = await market(world)
    made = await call(world, "POST", "/rounds", {"note": "spring"})
    assert made.status_code == 201, made.text
    proposed = await in_status(world, made.json(), "proposed")
    figures = proposed["figures"]
    assert (figures["needs"], figures["pairs"], figures["first_come"]["pairs"]) == (2, 2, 1)
    assert figures["gaining_needs"] == [str(second.id)]
    assert figures["losing_needs"] == []
    assert figures["total"] == pytest.approx(figures["bound"], rel=1e-3)
    assert figures["equity"]["needs_served"] == 2
    pairs = (await call(world, "GET", f"/rounds/{proposed['id']}/pairs")).json()["items"]
    given = {pair["need_id"]: pair["capability_id"] for pair in pairs}
    assert given == {str(first.id): str(one.id), str(second.id): str(both.id)}
    assert len((await world.matches(early, first))["items"]) == 1, "nothing is proposed before the approval"

    stale = await call(world, "POST", f"/rounds/{proposed['id']}/approve", **{"If-Match": '"1"'})
    assert stale.status_code == 412
    approved = await call(world, "POST", f"/rounds/{proposed['id']}/approve", **{"If-Match": made_etag(proposed)})
    assert approved.json()["status"] == "approved"
    done = await in_status(world, proposed, "completed")
    assert done["figures"]["outcomes"] == {"matched": 1, "kept": 1, "not_eligible": 0}
    (new,) = [m for m in await world.proposed(early, first, 2) if m["capability_id"] == str(one.id)]
    assert (new["origin"], new["rank"]) == ("round", 2)
    explained = await world.service.client.get(
        f"/matches/{new['id']}/explanation", params={"recompute": "true"}, headers=world.owner(early)
    )
    assert explained.json()["recomputed"] == {"score": new["score"], "equal": True}
    assert [m["origin"] for m in await world.proposed(late, second)] == ["ranking"]

    async def told() -> list[Json]:
        records = await world.service.records("matching.policies")
        return [json.loads(record.data)["round"] for record in records if "RoundCompleted" in record.type]

    [event] = await eventually(told)
    assert (event["id"], event["outcomes"]) == (done["id"], done["figures"]["outcomes"])


def made_etag(shown: Json) -> str:
    return f'"{shown["version"]}"'


async def test_what_changed_since_the_round_is_not_matched(world: World) -> None:
    (early, first), _, _, one = await market(world)
    made = (await call(world, "POST", "/rounds", {})).json()
    await in_status(world, made, "proposed")
    await world.capability_event(CapabilityWithdrawn, one, status="withdrawn")
    ranker = world.service.running.state["ranker"]
    await eventually(lambda: ranker.index.capability(str(one.id)) is None)
    await call(world, "POST", f"/rounds/{made['id']}/approve", **{"If-Match": "*"})
    done = await in_status(world, made, "completed")
    assert done["figures"]["outcomes"] == {"matched": 0, "kept": 1, "not_eligible": 1}
    assert len(await world.proposed(early, first)) == 1


async def test_a_provider_keeps_a_share_of_all_its_places_for_ldcs(world: World) -> None:
    reserve = (await call(world, "POST", "/policies", {"ldc_reserve": 0.5})).json()
    kenyan, clri = await world.institution("Kenyan", "KEN"), await world.institution("CLRI", "IND")
    for _ in range(4):
        await world.capability(clri, capacity=1)
    wanted = [await world.need(kenyan) for _ in range(3)]
    for need in wanted:
        await world.proposed(kenyan, need, 4)

    async def given() -> int:
        made = (await call(world, "POST", "/rounds", {})).json()
        pairs: int = (await in_status(world, made, "proposed"))["figures"]["pairs"]
        return pairs

    assert await given() == 3
    assert (await call(world, "POST", f"/policies/{reserve['id']}/activate", **{"If-Match": "*"})).status_code == 200
    ranker = world.service.running.state["ranker"]
    await eventually(lambda: ranker.policy.ldc_reserve == 0.5)
    assert await given() == 2, "half of four places"
    await world.formalised(kenyan, clri, (await world.proposed(kenyan, wanted[0], 4))[0])
    assert await given() == 1, "one of the two is taken by a need of the same country"
    lidi = await world.institution("LIDI", "ETH")
    await world.proposed(lidi, await world.need(lidi), 3)
    assert await given() == 2, "an LDC may take what is reserved"


async def test_only_an_operator_opens_and_decides_and_a_discarded_round_stays_so(world: World) -> None:
    lidi = await world.institution("LIDI", "ETH")
    client = world.service.client
    assert (await client.post("/rounds", json={}, headers=world.owner(lidi))).status_code == 403
    assert (await client.get("/rounds", headers=world.owner(lidi))).status_code == 403
    made = (await call(world, "POST", "/rounds", {})).json()
    empty = await in_status(world, made, "proposed")
    assert empty["figures"]["pairs"] == 0
    gone = await call(world, "POST", f"/rounds/{made['id']}/discard", **{"If-Match": "*"})
    assert (gone.json()["status"], gone.json()["actions"]) == ("discarded", [])
    late = await call(world, "POST", f"/rounds/{made['id']}/approve", **{"If-Match": "*"})
    assert (late.status_code, late.json()["code"]) == (409, "invalid_transition")
