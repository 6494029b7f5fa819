"""Contract, section 5: what institutions lack."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.world import Member, World, becomes, moment, need_body, today, words
from tests.support.system import System, refused, succeeded
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lidi(world: World) -> Member:
    return await world.member(languages=["fr"])


async def test_a_need_is_posted_at_once(lidi: Member) -> None:
    body = need_body(
        country=lidi.country,
        hs=["4107"],
        sdg_targets=["9.4", "1.4"],
        technologies=["effluent treatment"],
        budget={"amount": "450000.00", "currency": "USD"},
        funding_gap={"amount": "300000.00", "currency": "USD"},
        domestic_welcome=True,
        partners_wanted=2,
    )
    answer = await lidi.post("/needs", body)
    made = succeeded(answer, 201)
    assert {name: made[name] for name in body if name != "post"} == {n: v for n, v in body.items() if n != "post"}
    assert "post" not in made
    assert (made["version"], made["status"], made["actions"]) == (1, "open", ["withdraw"])
    assert (
        made["institution"].items()
        >= {"id": lidi.id, "name": lidi.institution["name"], "country": lidi.country}.items()
    )
    assert answer.headers["etag"] == '"1"'
    moment(made["posted_at"])
    assert await lidi.read(f"/needs/{made['id']}") == made


async def test_defaults(lidi: Member) -> None:
    body = need_body()
    del body["languages"]
    made = await lidi.make("/needs", body)
    assert (made["country"], made["partners_wanted"], made["domestic_welcome"]) == (lidi.country, 1, False)
    assert made["languages"] == ["fr"]


@pytest.mark.parametrize("days", [-1, 0, 2 * 366 + 1])
async def test_the_deadline_is_after_today_and_within_two_years(lidi: Member, days: int) -> None:
    refused(await lidi.post("/needs", need_body(deadline=today(days))), 422, "validation_failed", "/deadline")


@pytest.mark.parametrize("days", [1, 2 * 365 - 1])
async def test_deadlines_that_are_just_right(lidi: Member, days: int) -> None:
    deadline = today(days)
    assert (await lidi.need(deadline=deadline))["deadline"] == deadline


async def test_a_draft_is_private_until_posted(lidi: Member, world: World, system: System) -> None:
    draft = await lidi.need(post=False)
    path, stranger = f"/needs/{draft['id']}", await world.registered()
    assert (draft["status"], draft["posted_at"]) == ("draft", None)
    assert "post" in draft["actions"]
    refused(await stranger.get(path), 404, "not_found")
    refused(await stranger.patch(path, {"urgency": "low"}), 404, "not_found")
    assert draft["id"] not in [need["id"] for need in await stranger.items("/needs", limit=200)]
    assert (await system.operator.read(path))["id"] == draft["id"]
    posted = await lidi.do(f"{path}/post", if_match='"1"')
    assert (posted["status"], posted["version"]) == ("open", 2)
    assert (await stranger.read(path))["status"] == "open"
    refused(await stranger.patch(path, {"urgency": "low"}), 403, "forbidden")
    refused(await lidi.act(f"{path}/post"), 409, "invalid_transition")


async def test_a_need_is_withdrawn_with_a_reason(lidi: Member, world: World) -> None:
    path = f"/needs/{(await lidi.need())['id']}"
    refused(await lidi.act(f"{path}/withdraw", {}), 422, "validation_failed", "/reason_code")
    refused(await lidi.act(f"{path}/withdraw", {"reason_code": "mood"}), 422, "validation_failed", "/reason_code")
    refused(
        await lidi.act(f"{path}/withdraw", {"reason_code": "other", "text": " "}), 422, "validation_failed", "/text"
    )
    withdrawn = await lidi.do(f"{path}/withdraw", {"reason_code": "no_longer_needed", "text": ""})
    assert (withdrawn["status"], withdrawn["actions"]) == ("withdrawn", [])
    assert (await (await world.registered()).read(path))["status"] == "withdrawn"
    refused(await lidi.patch(path, {"urgency": "low"}), 409, "invalid_transition")


@pytest.mark.parametrize("code", ["no_longer_needed", "met_elsewhere", "budget_insufficient", "duplicate"])
async def test_every_reason_for_withdrawing(lidi: Member, code: str) -> None:
    path = f"/needs/{(await lidi.need())['id']}"
    assert (await lidi.do(f"{path}/withdraw", {"reason_code": code}))["status"] == "withdrawn"


@pytest.mark.parametrize(
    ("pointer", "wrong"),
    [
        ("/isic", {"isic": []}),
        ("/title", {"title": None}),
        ("/deadline", {"deadline": today(-1)}),
        ("/status", {"status": "open"}),
        ("/id", {"id": "01a20cda-0b06-7006-8006-000000000006"}),
    ],
)
async def test_faulty_patches(lidi: Member, pointer: str, wrong: dict[str, Any]) -> None:
    path = f"/needs/{(await lidi.need())['id']}"
    refused(await lidi.patch(path, wrong), 422, "validation_failed", pointer)


async def test_an_unverified_beneficiary_posts_and_gets_proposals(world: World) -> None:
    lidi, clri = await world.registered(country="ETH"), await world.member(country="IND")
    pair = await world.pair(lidi, clri)
    assert pair.match["status"] == "proposed"
    await pair.accepted()
    refused(await clri.act(f"{pair.path}/formalise"), 409, "institution_not_verified")


async def test_an_engaged_need_is_neither_withdrawn_nor_patched(world: World) -> None:
    pair = await (await world.proposed()).formalised()
    path = f"/needs/{pair.need['id']}"
    engaged = await becomes(pair.beneficiary, path, "engaged")
    assert engaged["actions"] == []
    problem = refused(
        await pair.beneficiary.act(f"{path}/withdraw", {"reason_code": "duplicate"}), 409, "invalid_transition"
    )
    assert problem["current_status"] == "engaged"
    refused(await pair.beneficiary.patch(path, {"urgency": "low"}), 409, "invalid_transition")


async def test_every_event_of_a_need_is_told_in_order(lidi: Member, system: System) -> None:
    draft = await lidi.need(post=False)
    path = f"/needs/{draft['id']}"
    await lidi.change(path, title=words(3))
    await lidi.do(f"{path}/post")
    await lidi.change(path, urgency="critical")
    await lidi.do(f"{path}/withdraw", {"reason_code": "other", "text": "Mrs Secret left"})

    async def told() -> bool:
        found = await system.records("registry.needs", thread=draft["id"])
        assert [record.type for record in found] == ["NeedPosted", "NeedUpdated", "NeedWithdrawn"]
        assert [record.data["need"]["version"] for record in found] == [3, 4, 5]
        assert all(b"Mrs Secret" not in record.value for record in found)
        return True

    await eventually(told)
