"""Trade flows: imported whole or not at all, and told of per country, once."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from sqlalchemy import text

from shared import operations
from shared.events.topics import TRADE
from tests.support.kafka import types
from tests.support.registry import World
from tests.support.stack import running_service
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio
HEADER = "reporter,partner,hs,year,value"
CHANGED = "TradeProfileChanged"


@pytest_asyncio.fixture(loop_scope="session")
async def world(parts: Parts) -> AsyncIterator[World]:
    async with running_service(parts, "registry") as service:
        yield World(service)


async def send(
    world: World, *rows: str, kind: str = "text/csv", role: str = "operator", **headers: str
) -> httpx.Response:
    content = "\n".join([HEADER, *rows]).encode()
    given = world.service.token(role, sub=f"key:{role}") | {"Content-Type": kind} | headers
    return await world.service.client.post("/trade-flows", content=content, headers=given)


async def taken(world: World, *rows: str) -> dict[str, Any]:
    answer = await send(world, *rows)
    assert answer.status_code == 200, answer.text
    summary: dict[str, Any] = answer.json()
    return summary


async def stored(world: World, **query: Any) -> list[tuple[Any, ...]]:
    page = await world.read("/trade-flows", **query)
    return [(f["reporter"], f["partner"], f["hs"], f["year"], f["value"]) for f in page["items"]]


async def count(world: World, statement: str) -> int:
    async with world.service.running.database.background.begin() as connection:
        return int((await connection.execute(text(statement))).scalar_one())


async def test_an_import_is_stored_by_chapter_and_changes_profiles(world: World) -> None:
    summary = await taken(
        world,
        "IND,ETH,4107,2024,100.10",
        "IND,ETH,410120,2024,0.005",
        "IND,KEN,41,2024,50",
        "IND,ETH,84,2023,9",
        "KEN,ETH,09,2024,7",
    )
    assert summary == {
        "rows": 5, "reporters": ["IND", "KEN"], "years": [2023, 2024], "countries_changed": ["ETH", "IND", "KEN"],
    }  # fmt: skip
    assert await stored(world) == [
        ("KEN", "ETH", "09", 2024, "7.00"),
        ("IND", "KEN", "41", 2024, "50.00"),
        ("IND", "ETH", "41", 2024, "100.105"),
        ("IND", "ETH", "84", 2023, "9.00"),
    ]
    india = await world.get("/trade-flows/profiles/IND", world.verifier)
    assert india.headers["etag"] == '"1"'
    shown = india.json()
    assert {name: shown[name] for name in ("country", "name", "exports_year", "imports_year", "imports")} == {
        "country": "IND", "name": "India", "exports_year": 2024, "imports_year": None, "imports": {},
    }  # fmt: skip
    # by hand: 100.10 + 0.005 to Ethiopia, 50 to Kenya; machines of the year before do not count
    assert shown["exports"] == {"41": "150.105"}
    ethiopia = await world.read("/trade-flows/profiles/ETH")
    assert (ethiopia["exports_year"], ethiopia["exports"]) == (None, {})
    assert (ethiopia["imports_year"], ethiopia["imports"]) == (2024, {"09": "7.00", "41": "100.105"})
    [event] = await world.told(TRADE, "ETH", CHANGED)
    assert event["trade_profile"] == ethiopia
    assert event["by"] == {"institution_id": None, "via": "api"}
    [record] = [r for r in await world.service.records(TRADE) if r.partitionkey == "ETH"]
    assert (record.subject, record.correlationid) == ("trade_profiles/ETH", "ETH")
    assert await count(world, "select count(*) from audit where action = 'TradeFlowsImported'") == 1
    assert await count(world, "select count(*) from audit where action = 'TradeProfileChanged'") == 3


async def test_the_same_file_again_changes_and_tells_nothing(world: World) -> None:
    rows = ("IND,ETH,41,2024,100", "ETH,IND,09,2024,40")
    assert (await taken(world, *rows))["countries_changed"] == ["ETH", "IND"]
    before = await world.read("/trade-flows/profiles/ETH")
    assert (await taken(world, *rows))["countries_changed"] == []
    assert (await taken(world, *reversed(rows)))["countries_changed"] == []
    assert await world.read("/trade-flows/profiles/ETH") == before
    assert len(await stored(world)) == 2
    # what is told later is told in its place: nothing came between
    assert (await taken(world, "KEN,UGA,09,2024,1"))["countries_changed"] == ["KEN", "UGA"]
    for country in ("KEN", "UGA"):
        await world.told(TRADE, country, CHANGED)
    assert types(await world.service.records(TRADE)) == [CHANGED] * 4


async def test_an_import_replaces_all_of_its_reporters_and_years_and_nothing_else(world: World) -> None:
    await taken(world, "IND,ETH,41,2024,100", "IND,KEN,41,2024,50", "IND,ETH,41,2023,1", "KEN,ETH,09,2024,7")
    summary = await taken(world, "IND,UGA,84,2024,3")
    assert summary["countries_changed"] == ["ETH", "IND", "KEN", "UGA"]
    assert await stored(world, reporter="IND") == [
        ("IND", "UGA", "84", 2024, "3.00"),
        ("IND", "ETH", "41", 2023, "1.00"),
    ]
    kenya = await world.read("/trade-flows/profiles/KEN")
    assert (kenya["imports_year"], kenya["imports"], kenya["exports"]) == (None, {}, {"09": "7.00"})
    assert (await world.read("/trade-flows/profiles/ETH"))["imports"] == {"09": "7.00"}
    older = await taken(world, "IND,ETH,41,2022,8")
    assert older["countries_changed"] == [], "a year that is not the latest is stored and told to nobody"
    assert len(await stored(world, reporter="IND", year=2022)) == 1


async def test_a_file_with_a_bad_cell_stores_nothing(world: World) -> None:
    answer = await send(world, "IND,ETH,41,2024,100", "IND,ETH,4x,2024,-5", "IND,ETH,09,2024,1")
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "validation_failed"
    assert [(e["pointer"], e["code"]) for e in problem["errors"]] == [
        ("/3/hs", "hs_unknown"),
        ("/3/value", "value_invalid"),
    ]
    assert "nothing was stored" in problem["detail"]
    assert await stored(world) == []
    assert (await world.get("/trade-flows/profiles/IND", world.operator)).status_code == 404
    assert (
        await count(world, "select count(*) from audit") == await count(world, "select count(*) from trade_flow") == 0
    )


async def test_only_operators_import_and_everybody_reads(world: World) -> None:
    row = "IND,ETH,41,2024,100"
    for role in ("verifier", "owner", "editor", "reader"):
        answer = await send(world, row, role=role)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), role
    assert (await world.service.client.post("/trade-flows", content=b"x")).status_code == 401
    await taken(world, row)
    for role in ("operator", "verifier", "owner", "editor", "reader"):
        who = world.service.token(role)
        assert len((await world.read("/trade-flows", who))["items"]) == 1
        assert (await world.read("/trade-flows/profiles/IND", who))["exports"] == {"41": "100.00"}
    assert (await world.service.client.get("/trade-flows")).status_code == 401


async def test_other_bodies_are_refused_before_they_are_read(world: World) -> None:
    for kind in ("application/json", "text/plain", ""):
        answer = await send(world, "IND,ETH,41,2024,1", kind=kind)
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type"), kind
        assert "text/csv" in answer.json()["detail"]
    large = await send(world, "IND,ETH,41,2024," + "1" * (10 * 1024 * 1024))
    assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
    empty = await world.service.client.post(
        "/trade-flows", content=b"", headers=world.operator | {"Content-Type": "text/csv"}
    )
    assert (empty.status_code, empty.json()["code"]) == (422, "validation_failed")
    assert (await send(world, "IND,ETH,41,2024,1", kind="Text/CSV; charset=utf-8")).status_code == 200


async def test_a_file_larger_than_a_json_body_may_be_is_taken(world: World) -> None:
    codes = ("KEN", "UGA", "TZA", "RWA", "NPL", "BGD", "LKA")
    rows = [f"IND,{to},{hs:02}{sub:02},{year},1" for to in codes for year in range(1990, 2020)
            for hs in range(1, 21) for sub in range(1, 9)]  # fmt: skip
    summary = await taken(world, *rows)
    assert len("\n".join(rows)) > 256 * 1024
    assert (summary["rows"], len(summary["years"])) == (len(rows), 30)
    assert (await world.read("/trade-flows/profiles/KEN"))["imports"]["01"] == "8.00"
    assert await count(world, "select count(*) from trade_flow") == len(rows) // 8


async def test_a_key_repeats_the_first_answer_and_holds_for_its_own_file_only(world: World) -> None:
    first = await send(world, "IND,ETH,41,2024,1", **{"Idempotency-Key": "figures-2024"})
    again = await send(world, "IND,ETH,41,2024,1", **{"Idempotency-Key": "figures-2024"})
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    other = await send(world, "IND,ETH,41,2024,2", **{"Idempotency-Key": "figures-2024"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert await stored(world) == [("IND", "ETH", "41", 2024, "1.00")]


async def test_of_two_files_at_once_one_is_left_whole(world: World) -> None:
    files = [[f"IND,{to},{hs:02},2024,{value}" for to in ("ETH", "KEN") for hs in range(1, 40)] for value in (1, 2)]
    answers = await asyncio.gather(*(send(world, *file) for file in files))
    assert [answer.status_code for answer in answers] == [200, 200]
    left = {value for *_, value in await stored(world, limit=200)}
    assert left in ({"1.00"}, {"2.00"})
    totals = (await world.read("/trade-flows/profiles/IND"))["exports"].values()
    assert set(totals) == {f"{2 * float(value):.2f}" for value in left}
    assert len(await world.told(TRADE, "ETH", CHANGED, CHANGED)) == 2


async def test_flows_are_listed_by_page_and_filter(world: World) -> None:
    await taken(
        world, *[f"IND,ETH,{hs:02},{year},1" for hs in range(1, 6) for year in (2023, 2024)], "KEN,ETH,09,2024,7"
    )
    seen, cursor = [], None
    while True:
        page = await world.read("/trade-flows", limit=4, **({"cursor": cursor} if cursor else {}))
        seen += [(f["year"], f["reporter"], f["hs"]) for f in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 11
    assert seen == sorted(seen, reverse=True)
    assert len(await stored(world, reporter="IND", year=2023)) == 5
    assert await stored(world, hs="09") == [("KEN", "ETH", "09", 2024, "7.00")]
    assert len(await stored(world, partner="ETH", hs="01")) == 2
    assert await stored(world, partner="IND") == []
    for query in ({"reporter": "XXX"}, {"year": "1900"}, {"hs": "0901"}, {"colour": "red"}):
        answer = await world.get("/trade-flows", world.operator, **query)
        assert answer.json()["errors"][0]["pointer"] == f"?{next(iter(query))}"
    for path in ("/trade-flows/profiles/NPL", "/trade-flows/profiles/eth", "/trade-flows/profiles/%00"):
        assert (await world.get(path, world.operator)).status_code == 404, path


async def test_a_snapshot_tells_every_profile_again(world: World) -> None:
    await taken(world, "IND,ETH,41,2024,1")
    await operations.snapshot(world.service.running)

    async def told() -> bool:
        records = [r for r in await world.service.records(TRADE) if r.partitionkey == "ETH"]
        assert types(records) == [CHANGED, CHANGED]
        assert json.loads(records[0].data)["trade_profile"] == json.loads(records[1].data)["trade_profile"]
        return records[1].sequence.startswith("0002-")

    await eventually(told)
