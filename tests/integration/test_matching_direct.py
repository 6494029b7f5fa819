"""Two sides brought together by name: with a reason, within the hard rules, and past an earlier refusal."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import pytest_asyncio

from services.matching.commands import direct as commands
from shared.events import registry
from tests.support.matching import CLOCK, World
from tests.support.stack import running_service
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio
WHY = {"justification_code": "declined_by_mistake"}
FAR = {
    "title": "Cassava starch for a bakery",
    "problem": "Cassava roots rot before they are milled; bakers want starch.",
    "isic": ["1062"],
    "resource_kinds": ["technical"],
    "sdg_targets": [],
    "technologies": [],
    "languages": ["pt"],
}
"""A need to which no ranking proposes the tanners."""


@pytest_asyncio.fixture(loop_scope="session")
async def world(parts: Parts) -> AsyncIterator[World]:
    async with running_service(parts, "matching") as service:
        yield World(service)


async def direct(world: World, headers: dict[str, str], need: Any, capability: Any, **members: Any) -> httpx.Response:
    body = {"need_id": str(need.id), "capability_id": str(capability.id), **WHY, **members}
    return await world.service.client.post("/matches", json=body, headers=headers)


async def test_a_decline_by_mistake_is_undone_and_stays_undone(world: World) -> None:
    lidi, clri = await world.institution("LIDI", "ETH"), await world.institution("CLRI", "IND")
    capability, need = await world.capability(clri), await world.need(lidi)
    (match,) = await world.proposed(lidi, need)
    declined = await world.post(lidi, match, "decline", {"reason_code": "not_relevant"})
    assert declined.json()["status"] == "declined"
    answer = await direct(world, world.owner(lidi), need, capability)
    assert answer.status_code == 201, answer.text
    again = answer.json()
    assert again["id"] != match["id"]
    assert (again["origin"], again["rank"], again["status"]) == ("direct", 1, "interested")
    assert again["answers"] == {"beneficiary": "interested", "provider": None}
    assert again["justification"] == {"code": "declined_by_mistake", "text": None}
    assert again["score"] == match["score"]
    shown = await world.service.client.get(answer.headers["location"], headers=world.owner(clri))
    assert (shown.status_code, shown.json()["actions"]) == (200, ["express-interest", "decline"])
    # the need changes, all its matches are reviewed: this one stands although the pair was declined a moment ago
    await world.need_event(registry.NeedUpdated, need, title="Cut chrome discharge of four tanneries")

    async def looked_again() -> bool:
        return bool((await world.matches(lidi, need))["need"]["version_seen"] == 2)

    await eventually(looked_again)
    assert (await world.get(lidi, again))["status"] == "interested"
    assert (await world.formalised(lidi, clri, again))["status"] == "formalised"


async def test_it_is_told_as_the_work_of_whoever_named_the_sides(world: World) -> None:
    lidi, clri = await world.institution("LIDI", "ETH"), await world.institution("CLRI", "IND")
    capability, need = await world.capability(clri), await world.need(lidi, **FAR)
    await world.settled()
    assert (await world.matches(lidi, need))["items"] == [], "no ranking proposes the two"
    answer = await direct(
        world, world.owner(clri), need, capability, justification_code="other", text="We met in Arusha."
    )
    assert answer.status_code == 201, answer.text
    told = await world.told("MatchProposed", "MatchInterestExpressed", match_id=answer.json()["id"])
    assert [event["match"]["status"] for event in told] == ["proposed", "interested"]
    assert {event["by"]["institution_id"] for event in told} == {str(clri.id)}
    assert told[0]["match"]["justification"] == {"code": "other"}, "what people write stays out of events"
    recomputed = await world.service.client.get(
        f"/matches/{answer.json()['id']}/explanation", params={"recompute": "true"}, headers=world.owner(lidi)
    )
    assert recomputed.json()["recomputed"] == {"score": answer.json()["score"], "equal": True}


async def test_an_operator_speaks_for_neither_side(world: World) -> None:
    lidi, clri = await world.institution("LIDI", "ETH"), await world.institution("CLRI", "IND")
    capability, need = await world.capability(clri), await world.need(lidi, **FAR)
    await world.settled()
    answer = await direct(world, world.service.token("operator"), need, capability)
    assert answer.status_code == 201, answer.text
    assert answer.json()["status"] == "proposed"
    assert answer.json()["answers"] == {"beneficiary": None, "provider": None}
    assert answer.json()["actions"] == []


async def test_what_cannot_be_is_refused_with_its_reason(world: World) -> None:
    lidi, clri = await world.institution("LIDI", "ETH"), await world.institution("CLRI", "IND")
    stranger, northern = await world.institution("Stranger", "BRA"), await world.institution("Institut", "DEU")
    capability, need = await world.capability(clri), await world.need(lidi)
    north = await world.capability(northern, resource_kinds=["equipment"])
    await world.settled()
    (match,) = await world.proposed(lidi, need)
    owner = world.owner(lidi)

    async def refused(
        status: int, code: str, headers: dict[str, str], need: Any, capability: Any, **members: Any
    ) -> Any:
        answer = await direct(world, headers, need, capability, **members)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        return answer.json()

    twice = await refused(409, "invalid_transition", owner, need, capability)
    assert match["id"] in twice["detail"]
    await refused(403, "wrong_institution", world.owner(stranger), need, capability)
    await refused(403, "forbidden", world.owner(lidi, "reader"), need, capability)
    excluded = await refused(409, "not_eligible", owner, need, north)
    assert {error["code"] for error in excluded["errors"]} == {"provider_not_in_south", "no_common_resource_kind"}
    silent = await refused(422, "validation_failed", owner, need, capability, justification_code="other")
    assert silent["errors"][0]["pointer"] == "/text"
    await refused(422, "validation_failed", owner, need, capability, justification_code="because")
    for name in ("need_id", "capability_id"):
        lost = await refused(422, "validation_failed", owner, need, capability, **{name: str(uuid4())})
        assert lost["errors"][0]["pointer"] == f"/{name}"
    other = await world.need(lidi, deadline=CLOCK.today() + timedelta(days=20))
    await world.proposed(lidi, other)
    await world.need_event(registry.NeedWithdrawn, other, status="withdrawn")

    async def gone() -> bool:
        answer = await direct(world, owner, other, capability)
        return answer.json()["code"] == "need_not_open"

    await eventually(gone)


async def test_a_need_that_has_its_partner_or_whose_owner_is_suspended_takes_nobody(world: World) -> None:
    lidi, clri = await world.institution("LIDI", "ETH"), await world.institution("CLRI", "IND")
    cicb = await world.institution("CICB", "BRA")
    first, second = await world.capability(clri, capacity=5), await world.capability(cicb)
    need, two = await world.need(lidi), await world.need(lidi, partners_wanted=2)
    for sought in (need, two):
        match = next(m for m in await world.proposed(lidi, sought, 2) if m["capability_id"] == str(first.id))
        await world.formalised(lidi, clri, match)
    full = await direct(world, world.owner(cicb), need, second)
    assert (full.status_code, full.json()["code"]) == (409, "need_already_engaged")
    same = await direct(world, world.owner(lidi), two, first)
    assert (same.status_code, same.json()["code"], same.json()["current_status"]) == (
        409,
        "invalid_transition",
        "formalised",
    )
    lidi.status = "suspended"
    await world.tell(lidi, registry.InstitutionSuspended)

    async def refused() -> bool:
        answer = await direct(world, world.owner(cicb), two, second)
        return answer.json().get("code") == "institution_suspended"

    await eventually(refused)


async def test_a_provider_picks_needs_and_does_not_write_to_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "MOST_NAMED", 1)
    lidi, clri = await world.institution("LIDI", "ETH"), await world.institution("CLRI", "IND")
    capability = await world.capability(clri)
    one, other = await world.need(lidi, **FAR), await world.need(lidi, **FAR)
    await world.settled()
    named = await direct(world, world.owner(clri), one, capability)
    assert named.status_code == 201, named.text
    many = await direct(world, world.owner(clri), other, capability)
    assert (many.status_code, many.json()["errors"][0]["code"]) == (409, "too_many_named")
    assert (await direct(world, world.owner(lidi), other, capability)).status_code == 201, "the need may name it"
    own = await world.service.client.get("/stats/responses", headers=world.owner(clri))
    (line,) = own.json()["items"]
    assert (line["proposed"], line["answered"]) == (1, 0), "what it named itself was no proposal to it"
