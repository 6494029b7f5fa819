"""Answering a match: who may, in which state, with which words, and what the other side then sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.support.matching import World
from tests.support.stack import running_service
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.matching import Party
    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture(loop_scope="session")
async def world(parts: Parts) -> AsyncIterator[World]:
    async with running_service(parts, "matching") as service:
        yield World(service)


async def pair(world: World) -> tuple[Party, Party, dict[str, Any]]:
    lidi = await world.institution("LIDI", "ETH")
    clri = await world.institution("CLRI", "IND")
    await world.capability(clri)
    need = await world.need(lidi)
    (match,) = await world.proposed(lidi, need)
    return lidi, clri, match


async def test_the_beneficiary_accepts_only_after_the_providers_interest(world: World) -> None:
    lidi, clri, match = await pair(world)
    refused = await world.post(lidi, match, "accept")
    assert (refused.status_code, refused.json()["code"]) == (409, "provider_not_interested")
    assert (await world.post(clri, match, "accept")).json()["code"] == "forbidden"
    assert (await world.post(clri, match, "express-interest")).status_code == 200
    twice = await world.post(clri, match, "express-interest")
    assert (twice.status_code, twice.json()["code"]) == (409, "invalid_transition")
    assert twice.json()["current_status"] == "interested"
    both = (await world.post(lidi, match, "express-interest")).json()
    assert (both["status"], both["version"]) == ("interested", 3)
    accepted = (await world.post(lidi, match, "accept")).json()
    assert accepted["status"] == "accepted"
    assert accepted["expires_at"] > match["expires_at"], "accepting gives thirty days"


async def test_who_may_not_is_told_so_and_strangers_see_nothing(world: World) -> None:
    lidi, clri, match = await pair(world)
    stranger = await world.institution("Stranger", "BRA")
    client = world.service.client
    assert (await world.post(clri, match, "express-interest", role="reader")).status_code == 403
    assert (await world.post(stranger, match, "express-interest")).status_code == 404
    assert (await client.get(f"/matches/{match['id']}", headers=world.owner(stranger))).status_code == 404
    for role in ("operator", "verifier"):
        headers = world.service.token(role) | {"If-Match": "*"}
        seen = await client.get(f"/matches/{match['id']}", headers=headers)
        assert seen.status_code == 200
        assert seen.json()["actions"] == []
        tried = await client.post(f"/matches/{match['id']}/express-interest", json={}, headers=headers)
        assert (tried.status_code, tried.json()["code"]) == (403, "forbidden")
    assert (await client.get(f"/matches/{match['id']}")).status_code == 401
    assert (await client.get("/matches/not-a-uuid", headers=world.owner(lidi))).status_code == 404
    assert await world.matches(stranger, world.need_state(lidi)) | {"need": None} == {
        "items": [],
        "next": None,
        "need": None,
    }


async def test_a_change_names_the_version_it_was_decided_on(world: World) -> None:
    _, clri, match = await pair(world)
    assert (await world.post(clri, match, "express-interest", if_match=None)).status_code == 428
    stale = await world.post(clri, match, "express-interest", if_match='"7"')
    assert (stale.status_code, stale.headers["etag"]) == (412, '"1"')
    assert (await world.post(clri, match, "express-interest", if_match='W/"1"')).status_code == 400
    fresh = await world.post(clri, match, "express-interest", if_match='"1"')
    assert (fresh.status_code, fresh.headers["etag"]) == (200, '"2"')


async def test_a_refusal_has_a_reason_that_the_other_side_reads(world: World) -> None:
    lidi, clri, match = await pair(world)
    for body in ({}, {"reason_code": "because"}, {"reason_code": "other"}, {"reason_code": "other", "text": ""}):
        refused = await world.post(clri, match, "decline", body)
        assert refused.status_code == 422, body
        assert refused.json()["errors"][0]["pointer"] in ("/reason_code", "/text")
    declined = await world.post(clri, match, "decline", {"reason_code": "timing", "text": "Booked until June."})
    assert declined.json()["status"] == "declined"
    seen = await world.get(lidi, match)
    assert seen["reason"] == {"code": "timing", "text": "Booked until June."}
    assert seen["answers"] == {"beneficiary": None, "provider": "declined"}
    assert seen["actions"] == []
    again = await world.post(lidi, match, "decline", {"reason_code": "timing"})
    assert (again.status_code, again.json()["allowed"]) == (409, [])


async def test_a_declined_place_goes_to_the_next_best_and_the_pair_rests(world: World) -> None:
    lidi = await world.institution("LIDI", "ETH")
    providers = [await world.institution(f"Provider {n}", "IND") for n in range(11)]
    for party in providers:
        await world.capability(party)
    await world.settled()
    need = await world.need(lidi)
    first = await world.proposed(lidi, need, 10)
    assert [m["rank"] for m in first] == list(range(1, 11))
    declined = first[4]
    answer = await world.post(lidi, declined, "decline", {"reason_code": "not_relevant"})
    assert answer.status_code == 200

    def places(items: list[dict[str, Any]]) -> set[str]:
        return {m["capability_id"] for m in items if m["status"] == "proposed"}

    async def filled() -> bool:
        items = (await world.matches(lidi, need))["items"]
        return len(places(items)) == 10 and items[-1]["status"] == "declined"

    await eventually(filled)
    new = places((await world.matches(lidi, need))["items"]) - places(first)
    assert len(new) == 1
    assert declined["capability_id"] not in new


async def test_only_an_owner_that_may_sign_formalises(world: World) -> None:
    lidi, clri, match = await pair(world)
    await world.accepted(lidi, clri, match)
    assert (await world.post(clri, match, "formalise", role="editor")).status_code == 403
    assert (await world.post(clri, match, "formalise", can_sign=False)).status_code == 403
    assert (await world.post(clri, match, "formalise")).status_code == 200
    twice = await world.post(clri, match, "formalise")
    assert (twice.status_code, twice.json()["code"]) == (409, "invalid_transition")
    shown = await world.get(clri, match)
    assert shown["actions"] == ["decline"]


async def test_an_answer_sent_twice_with_one_key_counts_once(world: World) -> None:
    _, clri, match = await pair(world)
    headers = world.owner(clri, sub="key:one") | {"If-Match": '"1"', "Idempotency-Key": "once"}
    path = f"/matches/{match['id']}/express-interest"
    first = await world.service.client.post(path, json={}, headers=headers)
    again = await world.service.client.post(path, json={}, headers=headers)
    assert first.status_code == again.status_code == 200
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"


async def test_bad_input_is_refused_never_a_fault_of_ours(world: World) -> None:
    _, clri, match = await pair(world)
    client, headers = world.service.client, world.owner(clri) | {"If-Match": "*"}
    path = f"/matches/{match['id']}/express-interest"
    for body in ({"message": "x" * 2001}, {"message": "\x00"}, {"unknown": 1}, {"message": 5}, []):
        assert (await client.post(path, json=body, headers=headers)).status_code == 422, body
    as_json = headers | {"Content-Type": "application/json"}
    assert (await client.post(path, content=b"{", headers=as_json)).status_code == 400
    for query in ("status=gone", "limit=0", "cursor=abc", "need_id=1", "colour=red", "updated_since=yesterday"):
        answer = await client.get(f"/matches?{query}", headers=headers)
        assert answer.status_code == (400 if query.startswith("cursor") else 422), query
