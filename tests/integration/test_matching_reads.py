"""What is shown to whom: lists, explanations, suggestions, facilitating partners, and the snapshot."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from services.matching.engine.policy import POLICY_1
from services.matching.snapshot import snapshot
from shared.events.matching import MatchEvent, MatchFormalised, MatchProposed
from shared.events.states import Serves, Sum
from shared.reference.types import MoneyOrZero
from tests.support.matching import CLOCK, World
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


async def test_a_provider_sees_its_own_matches_only(world: World) -> None:
    lidi = await world.institution("LIDI", "ETH")
    providers = [await world.institution(f"Provider {n}", "IND") for n in range(3)]
    for party in providers:
        await world.capability(party)
    need = await world.need(lidi)
    found = await world.proposed(lidi, need, 3)
    own = await world.matches(providers[0], need)
    assert own["need"]["version_seen"] == 1
    assert [m["provider"]["institution_id"] for m in own["items"]] == [str(providers[0].id)]
    staff = await world.service.client.get("/matches", headers=world.service.token("operator"))
    assert {m["id"] for m in staff.json()["items"]} == {m["id"] for m in found}
    assert "need" not in staff.json()


async def test_pages_show_open_matches_first_by_rank_and_each_once(world: World) -> None:
    lidi = await world.institution("LIDI", "ETH")
    for n in range(5):
        await world.capability(await world.institution(f"Provider {n}", "IND"))
    need = await world.need(lidi)
    found = await world.proposed(lidi, need, 5)
    await world.post(lidi, found[0], "decline", {"reason_code": "timing"})
    seen: list[Json] = []
    cursor: str | None = None
    while True:
        body = await world.matches(lidi, need, limit=2, **({"cursor": cursor} if cursor else {}))
        seen += body["items"]
        cursor = body["next"]
        if cursor is None:
            break
    assert [m["id"] for m in seen] == [m["id"] for m in [*found[1:], found[0]]]
    two = await world.service.client.get(
        "/matches", params=[("status", "declined"), ("status", "proposed"), ("limit", "1")], headers=world.owner(lidi)
    )
    assert two.headers["link"].startswith("</matches?")
    assert 'rel="next"' in two.headers["link"]
    since = seen[-1]["updated_at"]
    declined = await world.service.client.get(
        "/matches", params={"updated_since": (await world.get(lidi, found[0]))["updated_at"]}, headers=world.owner(lidi)
    )
    assert [m["id"] for m in declined.json()["items"]] == [found[0]["id"]], since


async def test_a_score_is_explained_and_stays_equal_for_ever(world: World) -> None:
    lidi = await world.institution("LIDI", "ETH")
    await world.capability(await world.institution("CLRI", "IND"))
    need = await world.need(lidi)
    (match,) = await world.proposed(lidi, need)
    path = f"/matches/{match['id']}/explanation"
    before = (await world.service.client.get(path, headers=world.owner(lidi))).json()
    assert before["recomputed"] is None
    assert before["policy_version"] == 1
    assert before["text_statistics_version"] == 1
    assert abs(sum(c["contribution"] for c in before["criteria"]) - match["score"]) < 1e-6
    assert abs(sum(c["weight"] for c in before["criteria"]) - 1) < 1e-9
    assert set(before["criteria"][0]) == {"criterion", "value", "weight", "contribution", "codes", "words"}
    for n in range(60):  # enough for a new snapshot of the term statistics
        await world.capability(await world.institution(f"Other {n}", "KEN"), title=f"Dairy {n}", isic=["1050"])
    ranker = world.service.running.state["ranker"]
    await eventually(lambda: ranker.index.scorer.frame.statistics.version > 1)
    after = (await world.service.client.get(path, params={"recompute": "true"}, headers=world.owner(lidi))).json()
    assert after["recomputed"] == {"score": match["score"], "equal": True}
    assert {**after, "recomputed": None} == before


async def test_whoever_expected_a_partner_is_told_why_it_is_missing(world: World) -> None:
    lidi = await world.institution("LIDI", "ETH")
    clri = await world.institution("CLRI", "IND")
    good = await world.capability(clri)
    far = await world.capability(clri, serves=Serves(all_south=False, countries=["BRA"], blocs=[]))
    newcomer = await world.institution("Newcomer", "KEN", status="registered")
    early = await world.capability(newcomer)
    await world.settled()
    body = {
        "title": "Leather", "problem": "Effluent of tanneries", "resource_kinds": ["training"], "isic": ["1511"],
        "urgency": "low", "deadline": (CLOCK.today() + timedelta(days=365)).isoformat(),
    }  # fmt: skip
    ask = world.service.client.post
    answer = await ask("/suggestions?include=excluded", json=body, headers=world.owner(lidi))
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert [item["capability_id"] for item in found["items"]] == [str(good.id)]
    reasons = {item["capability_id"]: item["excluded_by"] for item in found["excluded"]}
    assert reasons == {str(far.id): ["country_not_served"], str(early.id): ["provider_not_verified"]}
    assert found["excluded"][0]["institution"]["name"] in ("CLRI", "Newcomer")
    plain = (await ask("/suggestions", json=body, headers=world.owner(lidi))).json()
    assert plain["excluded"] is None
    unknown = await ask("/suggestions?include=everything", json=body, headers=world.owner(lidi))
    assert unknown.status_code == 422


async def test_a_posted_need_is_asked_about_by_its_id(world: World) -> None:
    lidi, clri, other = [await world.institution(*of) for of in (("LIDI", "ETH"), ("CLRI", "IND"), ("UDOM", "TZA"))]
    good, declined = await world.capability(clri), await world.capability(clri)
    need = await world.need(lidi)
    (match,) = [m for m in await world.proposed(lidi, need, 2) if m["capability_id"] == str(declined.id)]
    reason = {"reason_code": "timing"}
    path = f"/matches/{match['id']}/decline"
    etag = {"If-Match": f'"{match["version"]}"'}
    no = await world.service.client.post(path, json=reason, headers=world.owner(lidi) | etag)
    assert no.status_code == 200, no.text

    async def ask(body: Json, headers: dict[str, str]) -> httpx.Response:
        return await world.service.client.post("/suggestions?include=excluded", json=body, headers=headers)

    body = {"need_id": str(need.id)}
    for headers in (world.owner(lidi, "reader"), world.service.token("operator")):
        found = (await ask(body, headers)).json()
        assert [item["capability_id"] for item in found["items"]] == [str(good.id)]
        missing = {item["capability_id"]: item["excluded_by"] for item in found["excluded"]}
        assert missing == {str(declined.id): ["declined_recently"]}
    assert (await ask(body, world.owner(other))).status_code == 404
    assert (await ask({"need_id": str(other.id)}, world.owner(lidi))).status_code == 404
    for wrong, pointer in ((body | {"title": "Leather"}, "/title"), ({"need_id": "no id"}, "/need_id"), ({}, "/title")):
        answer = await ask(wrong, world.owner(lidi))
        assert answer.status_code == 422, answer.text
        assert pointer in [error["pointer"] for error in answer.json()["errors"]]


async def test_a_draft_is_previewed_without_storing_anything(world: World) -> None:
    lidi = await world.institution("LIDI", "ETH")
    clri = await world.institution("CLRI", "IND")
    capability = await world.capability(clri)
    body = {
        "title": "Leather", "problem": "Effluent of tanneries", "resource_kinds": ["training"], "isic": ["1511"],
        "urgency": "low", "deadline": (CLOCK.today() + timedelta(days=365)).isoformat(),
    }  # fmt: skip
    client = world.service.client

    async def found() -> list[Json]:
        answer = await client.post("/suggestions?limit=3", json=body, headers=world.owner(lidi, "reader"))
        assert answer.status_code == 200, answer.text
        items: list[Json] = answer.json()["items"]
        return items

    (item,) = await eventually(found)
    assert item["capability_id"] == str(capability.id)
    assert item["institution"] == {"id": str(clri.id), "name": "CLRI", "country": "IND"}
    assert abs(sum(c["contribution"] for c in item["criteria"]) - item["score"]) < 1e-6
    assert (await client.get("/matches", headers=world.owner(lidi))).json()["items"] == []
    for wrong in ({"deadline": "2020-01-01"}, {"isic": []}, {"post": True}, {"urgency": "now"}, {"country": "XXX"}):
        answer = await client.post("/suggestions", json=body | wrong, headers=world.owner(lidi))
        assert answer.status_code == 422, wrong
    assert (await client.post("/suggestions?limit=51", json=body, headers=world.owner(lidi))).status_code == 422
    other = body | {"institution_id": str(clri.id)}
    assert (await client.post("/suggestions", json=other, headers=world.owner(lidi))).status_code == 403
    domestic = await client.post("/suggestions", json=body | {"country": "IND"}, headers=world.owner(lidi))
    assert domestic.json()["items"] == []


async def test_a_bank_joins_an_accepted_pair_and_becomes_a_partner_of_the_project(world: World) -> None:
    lidi, clri = await world.institution("LIDI", "ETH"), await world.institution("CLRI", "IND")
    bank = await world.institution("Development Bank", None, type="financial_institution")
    shy = await world.institution("Agency", "DEU", type="agency")
    new = await world.institution("Unverified", "DEU", status="registered", type="agency")
    late = await world.institution("Late", "DNK", type="agency")
    await world.capability(clri)
    gap = Sum(amount=MoneyOrZero(amount="300000.00", currency="USD").amount, currency="USD")  # type: ignore[arg-type]
    await world.settled()
    need = await world.need(lidi, funding_gap=gap)
    (match,) = await world.proposed(lidi, need)
    client, path = world.service.client, f"/matches/{match['id']}/facilitators"

    async def invite(party: Any, whom: Any) -> tuple[int, Json]:
        body = {"institution_id": str(whom.id), "message": "Join us."}
        answer = await client.post(path, json=body, headers=world.owner(party) | {"If-Match": "*"})
        return answer.status_code, answer.json()

    assert (await invite(lidi, bank))[1]["code"] == "invalid_transition", "only from accepted on"
    await world.accepted(lidi, clri, match)
    suggested = (await client.get(f"{path}/suggestions", headers=world.owner(clri))).json()["items"]
    assert str(bank.id) in [s["institution_id"] for s in suggested]
    assert next(s for s in suggested if s["institution_id"] == str(bank.id))["covers"] == ["financial"]
    assert (await client.get(f"/matches/{match['id']}", headers=world.owner(bank))).status_code == 404

    status, shown = await invite(lidi, bank)
    assert status == 201
    assert shown["facilitators"] == [
        {"institution_id": str(bank.id), "name": "Development Bank", "country": None, "status": "invited"}
    ]
    assert (await invite(lidi, bank))[0] == 409
    assert (await invite(lidi, clri))[0] == 422
    assert (await invite(lidi, new))[1]["code"] == "institution_not_verified"
    for whom in (shy, late):
        assert (await invite(clri, whom))[0] == 201
    seen = (await client.get(f"/matches/{match['id']}", headers=world.owner(bank))).json()
    assert seen["actions"] == ["join", "decline"]

    assert (await world.post(lidi, match, f"facilitators/{bank.id}/join")).status_code == 403
    joined = await world.post(bank, match, f"facilitators/{bank.id}/join")
    assert joined.status_code == 200
    assert joined.json()["facilitators"][0]["status"] == "joined"
    refused = await world.post(shy, match, f"facilitators/{shy.id}/decline", {"reason_code": "timing"})
    assert refused.status_code == 200
    assert (await client.get(f"/matches/{match['id']}", headers=world.owner(shy))).status_code == 404, (
        "no party any more"
    )
    assert (await world.post(bank, match, "decline", {"reason_code": "timing"})).status_code == 403

    assert (await world.post(clri, match, "formalise")).status_code == 200
    formalised = (await world.post(lidi, match, "formalise")).json()
    assert [f["status"] for f in formalised["facilitators"]] == ["joined", "declined", "lapsed"]
    assert (await world.post(late, match, f"facilitators/{late.id}/join")).status_code == 409
    async with world.service.running.transactions.background() as tx:
        [_, event] = [event async for event in snapshot(tx)]
    assert isinstance(event, MatchFormalised)
    assert [p.role for p in event.project.partners] == ["beneficiary", "pivotal", "facilitating"]
    assert event.project.funding_gap is not None


async def test_the_snapshot_tells_every_match_as_it_is(world: World) -> None:
    lidi = await world.institution("LIDI", "ETH")
    for n in range(3):
        await world.capability(await world.institution(f"Provider {n}", "IND"))
    need = await world.need(lidi)
    found = await world.proposed(lidi, need, 3)
    await world.post(lidi, found[0], "decline", {"reason_code": "timing", "text": "Not said to the world"})
    async with world.service.running.transactions.background() as tx:
        events = [event async for event in snapshot(tx)]
    told = ["MatchDeclined", "MatchProposed", "MatchProposed", "PolicyActivated"]
    assert sorted(e.short_name() for e in events) == told
    assert all("Not said" not in e.model_dump_json() for e in events)
    assert isinstance(next(e for e in events if e.subject().endswith(found[1]["id"])), MatchProposed)


async def test_the_snapshot_tells_of_a_confirmation_only_while_it_waits_for_the_other(world: World) -> None:
    lidi = await world.institution("LIDI", "ETH")
    clri = await world.institution("CLRI", "IND")
    await world.capability(clri)
    (match,) = await world.proposed(lidi, await world.need(lidi))

    async def told() -> list[tuple[str, list[str]]]:
        async with world.service.running.transactions.background() as tx:
            events = [event async for event in snapshot(tx)]
        return [(e.short_name(), e.match.confirmations) for e in events if isinstance(e, MatchEvent)]

    await world.post(clri, match, "express-interest")
    assert await told() == [("MatchInterestExpressed", [])]
    await world.post(lidi, match, "accept")
    assert await told() == [("MatchAccepted", [])]
    await world.post(clri, match, "formalise")
    assert await told() == [("MatchConfirmed", ["provider"])]
    await world.post(lidi, match, "decline", {"reason_code": "timing"})
    assert await told() == [("MatchDeclined", ["provider"])]


async def test_answers_about_a_match_name_its_thread(world: World) -> None:
    lidi = await world.institution("LIDI", "ETH")
    await world.capability(await world.institution("CLRI", "IND"))
    need = await world.need(lidi)
    (match,) = await world.proposed(lidi, need)
    for path in ("", "/explanation", "/facilitators/suggestions"):
        answer = await world.service.client.get(f"/matches/{match['id']}{path}", headers=world.owner(lidi))
        assert answer.status_code == 200, answer.text
        assert answer.headers["X-Correlation-Id"] == str(need.id), path


async def test_the_index_agrees_with_the_rows_and_heals_when_it_does_not(world: World) -> None:
    lidi = await world.institution("LIDI", "ETH")
    capability = await world.capability(await world.institution("CLRI", "IND"))
    await world.proposed(lidi, await world.need(lidi))
    await world.settled()
    ranker = world.service.running.state["ranker"]
    async with world.service.running.transactions.background() as tx:
        assert await ranker.agrees(tx)
        ranker.index.remove_capability(str(capability.id))
        assert not await ranker.agrees(tx)
        await ranker.sync(tx)
        assert await ranker.agrees(tx)
        assert ranker.index.capability(str(capability.id)) is not None


async def test_a_wave_of_offers_ranks_each_need_once_and_keeps_the_best_ten(world: World) -> None:
    lidi = await world.institution("LIDI", "ETH")
    needs = [await world.need(lidi) for _ in range(5)]
    parties = [await world.institution(f"Provider {n}", "IND") for n in range(30)]
    await asyncio.gather(*(world.capability(party) for party in parties))
    last = await world.capability(parties[0], title="Cut chrome discharge of tanneries, train technicians")

    async def best() -> bool:
        pages = [await world.matches(lidi, need, capability_id=str(last.id)) for need in needs]
        return all(p["items"] and p["items"][0]["rank"] <= POLICY_1.k for p in pages)

    await eventually(best)
    await world.settled()
    async with world.service.running.transactions.background() as tx:
        assert await world.service.running.state["ranker"].agrees(tx)
