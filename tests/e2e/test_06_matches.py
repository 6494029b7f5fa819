"""Contract, section 6: who is proposed to whom, and why."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from tests.e2e.world import ISIC, NORTH, RANDOM, World, capability_body, days_of, moment, need_body, today
from tests.support.system import System, refused, succeeded
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio


def only_for(country: str) -> dict[str, Any]:
    return {"all_south": False, "countries": [country], "blocs": []}


async def test_a_proposal_names_both_sides(world: World) -> None:
    pair = await world.proposed()
    match, lidi, clri = pair.match, pair.beneficiary, pair.provider
    assert (match["version"], match["status"], match["origin"]) == (1, "proposed", "ranking")
    assert (match["need_id"], match["need_version"]) == (pair.need["id"], 1)
    assert (match["capability_id"], match["capability_version"]) == (pair.capability["id"], 1)
    sides = [(lidi, match["beneficiary"]), (clri, match["provider"])]
    for member, shown in sides:
        assert shown == {"institution_id": member.id, "name": member.institution["name"], "country": member.country}
    assert match["facilitators"] == match["confirmations"] == []
    assert match["answers"] == {"beneficiary": None, "provider": None}
    assert match["project_id"] is match["reason"] is None
    assert match["correlation_id"] == pair.need["id"]
    assert 0 < match["score"] <= 1
    assert match["rank"] >= 1
    assert set(match["actions"]) == {"express-interest", "decline"}


async def test_one_match_has_etag_and_thread(world: World) -> None:
    pair = await world.proposed()
    answer = await pair.provider.get(pair.path)
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["x-correlation-id"] == pair.need["id"]
    assert succeeded(answer, 200)["id"] == pair.match["id"]


@pytest.mark.parametrize(("deadline_days", "days"), [(60, 21), (5, 5)])
async def test_a_proposal_ends_after_21_days_or_with_the_deadline_day(
    world: World, deadline_days: int, days: int
) -> None:
    pair = await world.proposed(deadline=today(deadline_days))
    match, ends = pair.match, moment(pair.match["expires_at"])
    if days == 21:
        assert ends - moment(match["proposed_at"]) == timedelta(days=21)
    else:
        midnight = datetime.combine(days_of(pair.need["deadline"]), time(), UTC) + timedelta(days=1)
        assert timedelta() <= midnight - ends <= timedelta(seconds=1)


async def test_no_partner_is_told_from_not_yet_looked(world: World) -> None:
    lidi = await world.member()
    need = await lidi.need(country="VUT", resource_kinds=["trade"], isic=["9602"], languages=["is"])
    assert await world.seen(lidi, need["id"]) == []
    unknown = await lidi.read("/matches", need_id="01a20cda-0b06-7006-8006-000000000006")
    assert (unknown["need"]["version_seen"], unknown["items"]) == (None, [])
    assert "need" not in await lidi.read("/matches")


async def test_others_see_only_matches_in_which_they_are_a_party(world: World, system: System) -> None:
    pair, stranger = await world.proposed(), await world.registered()
    assert await stranger.items("/matches", need_id=pair.need["id"]) == []
    refused(await stranger.get(pair.path), 404, "not_found")
    refused(await stranger.get(f"{pair.path}/explanation"), 404, "not_found")
    for caller in (pair.provider, system.operator):
        found = await caller.items("/matches", need_id=pair.need["id"])
        assert pair.match["id"] in [item["id"] for item in found]
    assert (await system.verifier.read(pair.path))["actions"] == []


async def test_matches_are_found_by_capability_and_status(world: World) -> None:
    pair = await world.proposed()

    async def found(**query: Any) -> bool:
        items = await pair.provider.items("/matches", capability_id=pair.capability["id"], **query)
        assert {item["capability_id"] for item in items} <= {pair.capability["id"]}
        return pair.match["id"] in [item["id"] for item in items]

    assert await found()
    assert await found(status=["proposed", "interested"])
    assert not await found(status="declined")
    refused(await pair.provider.get("/matches", status="odd"), 422, "validation_failed", "?status")


async def test_the_explanation_adds_up_and_is_repeatable(world: World) -> None:
    pair = await world.proposed()
    told = await pair.provider.read(f"{pair.path}/explanation")
    assert told["match_id"] == pair.match["id"]
    assert told["score"] == pair.match["score"]
    assert sum(entry["contribution"] for entry in told["criteria"]) == pytest.approx(told["score"], abs=1e-6)
    assert sum(entry["weight"] for entry in told["criteria"]) == pytest.approx(1, abs=1e-6)
    for entry in told["criteria"]:
        assert entry["contribution"] == pytest.approx(entry["value"] * entry["weight"], abs=1e-6)
        assert entry["words"]
    assert told["recomputed"] is None
    again = await pair.provider.read(f"{pair.path}/explanation", recompute="true")
    assert again["recomputed"] == {"score": told["score"], "equal": True}


async def test_an_explanation_stays_equal_when_both_have_changed(world: World) -> None:
    pair = await world.proposed()
    await pair.provider.change(f"/capabilities/{pair.capability['id']}", summary="Quite different words.")
    await pair.beneficiary.change(f"/needs/{pair.need['id']}", problem="Other words altogether.")
    await world.seen(pair.beneficiary, pair.need["id"], 2)
    told = await pair.provider.read(f"{pair.path}/explanation", recompute="true")
    assert told["recomputed"] == {"score": pair.match["score"], "equal": True}


# who is never proposed


async def is_never_proposed(world: World, lidi: Any, capability: dict[str, Any], **need: Any) -> None:
    """A need of the same field gets a fence capability proposed, so matching has looked, and not this one."""
    fence = await world.member(country=RANDOM.choice([c for c in ("KEN", "GHA", "PER") if c != lidi.country]))
    sure = await fence.capability(isic=capability["isic"], serves=only_for(lidi.country))
    wanted = await lidi.need(isic=capability["isic"], **need)
    await world.match(lidi, wanted["id"], sure["id"])

    async def none_is_open() -> bool:
        found = await lidi.items("/matches", need_id=wanted["id"], status=["proposed", "interested"])
        return capability["id"] not in [item["capability_id"] for item in found]

    await eventually(none_is_open)


@pytest.mark.parametrize("why", ["unverified", "suspended", "withdrawn", "not served", "north", "domestic"])
async def test_never_proposed(world: World, system: System, why: str) -> None:
    lidi, isic = await world.member(country="ETH"), [RANDOM.choice(ISIC)]
    country = {"north": NORTH[0], "domestic": "ETH"}.get(why, "IND")
    clri = await (world.registered if why == "unverified" else world.member)(country=country)
    serves = only_for("MNG" if why == "not served" else "ETH")
    offered = await clri.capability(isic=isic, serves=serves)
    if why == "suspended":
        await system.operator.do(f"{clri.path}/suspend", {"reason_code": "red_flag"})
    if why == "withdrawn":
        await clri.do(f"/capabilities/{offered['id']}/withdraw", {"reason_code": "no_longer_offered"})
    await is_never_proposed(world, lidi, offered)


async def test_a_domestic_provider_is_proposed_when_welcome(world: World) -> None:
    lidi, clri = await world.member(country="ETH"), await world.member(country="ETH")
    pair = await world.pair(lidi, clri, domestic_welcome=True)
    assert pair.match["provider"]["institution_id"] == clri.id


async def test_a_full_provider_is_not_proposed(world: World) -> None:
    pair = await (await world.proposed(capability={"capacity": 1})).formalised()
    await eventually_engaged(pair, 1)
    await is_never_proposed(world, pair.beneficiary, pair.capability)


async def eventually_engaged(pair: Any, count: int) -> None:
    async def engaged() -> bool:
        shown = await pair.provider.read(f"/capabilities/{pair.capability['id']}")
        assert shown["version"] == 1, "engaged is a projection"
        return bool(shown["engaged"] == count)

    await eventually(engaged)


async def test_verifying_a_provider_later_triggers_matching(world: World) -> None:
    lidi, clri = await world.member(country="ETH"), await world.registered(country="IND")
    isic = [RANDOM.choice(ISIC)]
    offered = await clri.capability(isic=isic, serves=only_for("ETH"))
    wanted = await lidi.need(isic=isic)
    await world.seen(lidi, wanted["id"])
    assert offered["id"] not in [m["capability_id"] for m in await lidi.items("/matches", need_id=wanted["id"])]
    await world.verify(clri.id)
    await world.match(lidi, wanted["id"], offered["id"])


async def test_a_capability_published_after_the_need_is_proposed_too(world: World) -> None:
    lidi, clri = await world.member(country="ETH"), await world.member(country="IND")
    isic = [RANDOM.choice(ISIC)]
    wanted = await lidi.need(isic=isic)
    await world.seen(lidi, wanted["id"])
    offered = await clri.capability(isic=isic, serves=only_for("ETH"))
    match = await world.match(lidi, wanted["id"], offered["id"])
    assert match["status"] == "proposed"


async def test_the_best_comes_first_and_ten_at_most(world: World) -> None:
    lidi, clri = await world.member(country="MWI"), await world.member(country="IND")
    isic = [RANDOM.choice(ISIC)]
    bodies = [capability_body(isic=isic, serves=only_for("MWI"), capacity=1) for _ in range(12)]
    made = await asyncio.gather(*(clri.make("/capabilities", body) for body in bodies))
    await world.offered(lidi, isic, *(each["id"] for each in made))
    wanted = await lidi.need(isic=isic, deadline=today(90))

    async def ten() -> list[dict[str, Any]]:
        found = await lidi.items("/matches", need_id=wanted["id"])
        assert len(found) == 10, len(found)
        return found

    found = await eventually(ten)
    assert [item["score"] for item in found] == sorted((item["score"] for item in found), reverse=True)
    assert [item["rank"] for item in found] == sorted(item["rank"] for item in found)


async def test_a_changed_need_is_matched_again(world: World) -> None:
    pair = await world.proposed()
    other = next(code for code in ISIC if code[:1] != pair.capability["isic"][0][:1])
    kept = {"isic": [*pair.need["isic"], other]}
    await pair.beneficiary.change(f"/needs/{pair.need['id']}", **kept)
    found = await world.seen(pair.beneficiary, pair.need["id"], 2)
    match = next(item for item in found if item["id"] == pair.match["id"])
    assert (match["status"], match["need_version"], match["version"]) == ("proposed", 1, 1)
    await pair.provider.change(f"/capabilities/{pair.capability['id']}", serves=only_for("MNG"))
    gone = await pair.becomes("withdrawn")
    assert gone["reason"]["code"] == "no_longer_eligible"


async def test_suggestions_rank_a_draft_and_store_nothing(world: World) -> None:
    pair = await world.proposed()
    body = need_body(isic=pair.capability["isic"])
    del body["post"]
    reader = await pair.beneficiary.colleague("reader")
    for caller in (pair.beneficiary, reader):
        answer = await caller.post("/suggestions?limit=50", body)
        found = succeeded(answer, 200)["items"]
        mine = next(item for item in found if item["capability_id"] == pair.capability["id"])
        assert mine["institution"]["id"] == pair.provider.id
        assert 0 < mine["score"] <= 1
        assert mine["criteria"]
    mine = [m["id"] for m in await pair.beneficiary.items("/matches", capability_id=pair.capability["id"])]
    assert mine == [pair.match["id"]]
    refused(await pair.beneficiary.post("/suggestions?limit=51", body), 422, "validation_failed", "?limit")
    refused(await pair.beneficiary.post("/suggestions", body | {"post": True}), 422, "validation_failed", "/post")
    covered = body | {"funding_gap": {"amount": "0.00", "currency": "USD"}}  # as `POST /needs` takes it
    assert len(succeeded(await pair.beneficiary.post("/suggestions?limit=1", covered), 200)["items"]) == 1
