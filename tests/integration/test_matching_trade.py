"""Trade figures that registry imports decide on the score of needs that seek trade, from then on and never before."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import text

from services.matching.engine.policy import POLICY_1
from services.matching.ranking import Ranker
from shared import operations
from shared.events import registry
from shared.events.registry import TradeProfileChanged
from shared.messaging.envelope import SYSTEM_BY
from shared.reference.countries import countries
from tests.support.matching import CLOCK, World
from tests.support.stack import Issuer, running_service
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from shared.messaging.envelope import CloudEvent
    from tests.support.matching import Party
    from tests.support.parts import Parts
    from tests.support.stack import RunningService

pytestmark = pytest.mark.asyncio
Json = dict[str, Any]
TRADE = {"resource_kinds": ["trade"], "hs": ["4107"]}
LANGUAGE_AND_TRADE = dict.fromkeys(POLICY_1.weights, 0.0) | {"language": 0.4, "trade": 0.6}


@dataclass
class Both:
    """Registry and matching of one installation."""

    registry: RunningService
    matching: World

    async def figures(self, *rows: str) -> list[str]:
        """Imports flows; the countries that changed."""
        content = "\n".join(["reporter,partner,hs,year,value", *rows]).encode()
        headers = self.registry.token("operator") | {"Content-Type": "text/csv"}
        answer = await self.registry.client.post("/trade-flows", content=content, headers=headers)
        assert answer.status_code == 200, answer.text
        changed: list[str] = answer.json()["countries_changed"]
        return changed


@pytest_asyncio.fixture(loop_scope="session")
async def both(parts: Parts) -> AsyncIterator[Both]:
    prefix, issuer = f"trade{uuid4().hex[:8]}.", Issuer()
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(running_service(parts, "registry", prefix=prefix, issuer=issuer))
        other = await stack.enter_async_context(running_service(parts, "matching", prefix=prefix, issuer=issuer))
        yield Both(one, World(other))


@pytest_asyncio.fixture(loop_scope="session")
async def world(parts: Parts) -> AsyncIterator[World]:
    async with running_service(parts, "matching") as service:
        yield World(service)


def state(country: str, **members: Any) -> registry.TradeProfileState:
    """A country's trade, as registry tells it."""
    values: Json = {
        "country": country, "version": 1, "name": country, "exports_year": None, "exports": {}, "imports_year": None,
        "imports": {}, "updated_at": CLOCK.now(),
    }  # fmt: skip
    return registry.TradeProfileState.model_validate(values | members)


async def tell(world: World, country: str, *, sequence: int | None = None, **members: Any) -> CloudEvent:
    event = TradeProfileChanged(trade_profile=state(country, **members), by=SYSTEM_BY)
    return await world.service.foreign.send(event, sequence=sequence)


async def table(service: RunningService) -> list[tuple[Any, ...]]:
    """Matching's profiles, without the sequence."""
    async with service.running.database.background_session() as session:
        rows = await session.execute(text("select country, exports, imports from trade_profile order by country"))
        return [tuple(row) for row in rows]


async def reads(service: RunningService, wanted: list[tuple[Any, ...]]) -> None:
    """Until these are matching's profiles, not only their countries: these may be known from before."""

    async def all_are() -> bool:
        return await table(service) == wanted

    await eventually(all_are)


async def holds(world: World, *countries: str) -> None:
    """Until exactly these profiles are stored, nothing waits, and the index ranks by them."""

    async def settled() -> bool:
        ranker: Ranker = world.service.running.state["ranker"]
        async with world.service.running.transactions.background() as tx:
            waiting = await tx.session.scalar(text("select count(*) from work"))
            agrees = await ranker.agrees(tx)
        return [row[0] for row in await table(world.service)] == sorted(countries) and waiting == 0 and agrees

    await eventually(settled)


async def explained(world: World, party: Party, match: Json) -> Json:
    answer = await world.service.client.get(
        f"/matches/{match['id']}/explanation", params={"recompute": "true"}, headers=world.owner(party)
    )
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    return body


def by_criterion(explanation: Json) -> Json:
    return {criterion["criterion"]: criterion for criterion in explanation["criteria"]}


async def unmatched(world: World, party: Party, need: registry.NeedState) -> bool:
    """Whether the need has no match, once it was looked at."""

    async def seen() -> Json | None:
        body = await world.matches(party, need)
        return body if body["need"]["version_seen"] is not None else None

    body = await eventually(seen)
    return body is not None and body["items"] == []


async def activate(world: World, weights: Json) -> None:
    """Another policy in force."""
    operator = world.service.token("operator") | {"If-Match": "*"}
    made = await world.service.client.post("/policies", json={"weights": weights}, headers=operator)
    path = f"/policies/{made.json()['policy_version']}/activate"
    assert (await world.service.client.post(path, headers=operator)).status_code == 200


async def test_imported_figures_count_from_then_on_and_older_explanations_stay_as_they_were(both: Both) -> None:
    world = both.matching
    lidi, clri = await world.institution("LIDI", "ETH"), await world.institution("CLRI", "IND")
    offered = await world.capability(clri, **TRADE, capacity=5)
    first = await world.need(lidi, **TRADE)
    (older,) = await world.proposed(lidi, first)
    before = await explained(world, lidi, older)
    assert "trade" not in by_criterion(before), "without figures its weight is spread over the rest"
    assert sum(criterion["weight"] for criterion in before["criteria"]) == pytest.approx(1.0)

    # India sells 3/4 leather and 1/4 coffee, all that Ethiopia buys is leather: 1 - (1/4 + 1/4) / 2
    assert await both.figures("IND,ETH,4107,2024,750", "IND,KEN,09,2024,250") == ["ETH", "IND", "KEN"]
    await holds(world, "ETH", "IND", "KEN")
    second = await world.need(lidi, **TRADE)
    (newer,) = await world.proposed(lidi, second)
    assert newer["capability_id"] == older["capability_id"] == str(offered.id)
    after = await explained(world, lidi, newer)
    counted = by_criterion(after)["trade"]
    assert (counted["value"], counted["words"]) == (0.75, "Trade complementarity 0.75")
    others = [c for c in after["criteria"] if c["criterion"] != "trade"]
    assert after["score"] == pytest.approx(sum(c["contribution"] for c in others) + counted["weight"] * 0.75, abs=1e-6)
    assert newer["score"] != older["score"]
    assert after["recomputed"] == {"score": newer["score"], "equal": True}

    # other figures later: India sells Ethiopia no leather any more
    assert await both.figures("IND,ETH,84,2025,100") == ["ETH", "IND"]
    machines = {"84": "100.00"}
    await reads(world.service, [("ETH", {}, machines), ("IND", machines, {}), ("KEN", {}, {"09": "250.00"})])
    await holds(world, "ETH", "IND", "KEN")
    for match, told in ((older, before), (newer, after)):
        again = await explained(world, lidi, match)
        assert again["recomputed"] == {"score": match["score"], "equal": True}
        assert again["criteria"] == told["criteria"]
    (latest,) = await world.proposed(lidi, await world.need(lidi, **TRADE))
    assert by_criterion(await explained(world, lidi, latest))["trade"]["value"] == 1.0


async def test_open_needs_that_seek_trade_are_ranked_again_and_told_why(world: World) -> None:
    """By language 40 % and trade 60 %: without a common language only figures can make this a match."""
    lidi = await world.institution("LIDI", "ETH", languages=("fr",))
    clri = await world.institution("CLRI", "IND", languages=("en",))
    offered = await world.capability(clri, **TRADE, languages=["en"])
    await activate(world, LANGUAGE_AND_TRADE)
    need = await world.need(lidi, **TRADE, languages=["fr"])
    other = await world.need(lidi, languages=["fr"])
    for each in (need, other):
        assert await unmatched(world, lidi, each)
    causes = [await tell(world, "IND", exports_year=2024, exports={"41": "10.00"})]
    causes += [await tell(world, "ETH", imports_year=2024, imports={"41": "5.00", "84": "5.00"})]
    (match,) = await world.proposed(lidi, need)
    assert (match["capability_id"], match["score"]) == (str(offered.id), 0.3)

    async def told() -> str | None:
        records = [r for r in await world.service.records("matching.matches") if r.partitionkey == match["id"]]
        return records[0].causationid if records else None

    assert await eventually(told) in {str(cause.id) for cause in causes}
    assert await unmatched(world, lidi, other), "a need that seeks no trade is not concerned"


async def test_an_offer_s_country_concerns_needs_of_all_countries(world: World) -> None:
    lidi = await world.institution("LIDI", "ETH", languages=("fr",))
    clri = await world.institution("CLRI", "IND", languages=("en",))
    await world.capability(clri, **TRADE, languages=["en"])
    await activate(world, LANGUAGE_AND_TRADE)
    await tell(world, "ETH", imports_year=2024, imports={"41": "5.00"})
    await holds(world, "ETH")
    need = await world.need(lidi, **TRADE, languages=["fr"])
    assert await unmatched(world, lidi, need)
    cause = await tell(world, "IND", exports_year=2024, exports={"41": "1.00"})
    (match,) = await world.proposed(lidi, need)
    assert match["score"] == 0.6
    explanation = await explained(world, lidi, match)
    assert explanation["recomputed"] == {"score": 0.6, "equal": True}
    assert cause.partitionkey == "IND"


async def test_news_in_any_order_and_twice_leaves_the_same_table(world: World) -> None:
    newest = {"exports_year": 2025, "exports": {"09": "3.00"}, "version": 3}
    last = await tell(world, "ETH", sequence=3, **newest)
    await tell(world, "ETH", sequence=1, exports_year=2023, exports={"41": "1.00"}, version=1)
    await tell(world, "ETH", sequence=2, exports_year=2024, exports={"41": "2.00"}, version=2)
    await world.service.foreign.send_record("registry.trade", last)
    await tell(world, "KEN", imports_year=2024, imports={"84": "1.00"})
    await holds(world, "ETH", "KEN")
    assert await table(world.service) == [("ETH", {"09": "3.00"}, {}), ("KEN", {}, {"84": "1.00"})]


async def test_a_start_ranks_by_the_figures_that_are_stored(world: World) -> None:
    await tell(world, "IND", exports_year=2024, exports={"41": "30.00", "09": "10.00"})
    await tell(world, "ETH", imports_year=2024, imports={"41": "1.00"})
    await holds(world, "ETH", "IND")
    fresh, transactions = Ranker(), world.service.running.transactions
    await fresh.load(transactions)
    async with transactions.background() as tx:
        assert await fresh.agrees(tx)
    assert fresh.world.complementarity("IND", "ETH", CLOCK.today()) == 0.75


async def test_a_process_that_follows_takes_over_the_figures_too(world: World) -> None:
    follower, transactions = Ranker(), world.service.running.transactions
    await follower.load(transactions)
    await tell(world, "ETH", imports_year=2024, imports={"41": "1.00"})
    await holds(world, "ETH")
    async with transactions.background() as tx:
        assert not await follower.agrees(tx)
        await follower.sync(tx)
        assert await follower.agrees(tx)
    assert follower.world.trades("ETH", CLOCK.today())


async def test_figures_of_a_whole_world_rank_a_need_a_few_times_not_once_per_country(world: World) -> None:
    lidi, clri = await world.institution("LIDI", "ETH"), await world.institution("CLRI", "IND")
    await world.capability(clri, **TRADE)
    need = await world.need(lidi, **TRADE)
    await world.proposed(lidi, need)
    ranked = world.service.running.metrics.registry.get_sample_value
    before = ranked("bandung_engine_need_seconds_count") or 0.0
    codes = sorted(countries())[:100]
    for country in codes:
        await tell(world, country, exports_year=2024, exports={"41": "1.00"})
    await holds(world, *codes)
    after = ranked("bandung_engine_need_seconds_count") or 0.0
    assert after - before < len(codes) / 2, "requests of one need are one ranking"


async def test_a_snapshot_and_a_compacted_topic_rebuild_the_table(both: Both, parts: Parts) -> None:
    await both.figures("IND,ETH,41,2023,750", "ETH,IND,09,2023,40")
    await both.figures("IND,ETH,41,2024,80")
    wanted = [("ETH", {"09": "40.00"}, {"41": "80.00"}), ("IND", {"41": "80.00"}, {"09": "40.00"})]
    await reads(both.matching.service, wanted)
    await holds(both.matching, "ETH", "IND")

    # as after the loss of matching's database, when compaction has left the last record of each key alone
    records = await both.registry.records("registry.trade")
    last = {record.partitionkey: record for record in records}
    assert len(last) < len(records)
    async with running_service(parts, "matching") as fresh:
        for record in last.values():
            await fresh.foreign.send_record("registry.trade", record)
        await holds(World(fresh), "ETH", "IND")
        assert await table(fresh) == wanted

    async with both.matching.service.running.database.background.begin() as connection:
        await connection.execute(text("delete from trade_profile"))
    await operations.snapshot(both.registry.running)
    await reads(both.matching.service, wanted)
    await holds(both.matching, "ETH", "IND")
