"""Places are given away once: under locks, in the order of the rules, whoever comes at the same time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from shared.events import registry
from tests.support.matching import World
from tests.support.stack import running_service
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.matching import Party
    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio
Json = dict[str, Any]


@pytest_asyncio.fixture(loop_scope="session")
async def world(parts: Parts) -> AsyncIterator[World]:
    async with running_service(parts, "matching") as service:
        yield World(service)


async def confirmed_by_provider(
    world: World, provider: Party, capability: registry.CapabilityState
) -> tuple[Party, Json]:
    """A new beneficiary whose match waits for its own confirmation only."""
    party = await world.institution("Beneficiary", "ETH")
    need = await world.need(party)
    found = await world.proposed(party, need)
    match = next(m for m in found if m["capability_id"] == str(capability.id))
    await world.accepted(party, provider, match)
    assert (await world.post(provider, match, "formalise")).status_code == 200
    return party, match


async def test_of_many_that_confirm_for_the_last_place_exactly_one_gets_it(world: World) -> None:
    provider = await world.institution("CLRI", "IND")
    capability = await world.capability(provider, capacity=1)
    waiting = [await confirmed_by_provider(world, provider, capability) for _ in range(4)]
    answers = await asyncio.gather(*(world.post(party, match, "formalise") for party, match in waiting))
    assert sorted(a.status_code for a in answers) == [200, 409, 409, 409]
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"capacity_exhausted"}
    loser = next(party for (party, _), a in zip(waiting, answers, strict=True) if a.status_code == 409)
    match = next(m for p, m in waiting if p is loser)
    assert (await world.get(loser, match))["status"] == "accepted", "a full provider's open matches stay"


async def test_two_partners_of_one_need_confirm_at_once_and_one_is_chosen(world: World) -> None:
    party = await world.institution("LIDI", "ETH")
    providers = [await world.institution(f"Provider {n}", "IND") for n in range(3)]
    for provider in providers:
        await world.capability(provider)
    need = await world.need(party)
    found = await world.proposed(party, need, 3)
    by_id = {str(p.id): p for p in providers}
    for match in found[:2]:
        provider = by_id[match["provider"]["institution_id"]]
        await world.accepted(party, provider, match)
        assert (await world.post(provider, match, "formalise")).status_code == 200
    answers = await asyncio.gather(*(world.post(party, match, "formalise") for match in found[:2]))
    assert sorted(a.status_code for a in answers) == [200, 409]
    shown = (await world.matches(party, need))["items"]
    assert sorted(m["status"] for m in shown) == ["formalised", "withdrawn", "withdrawn"]
    assert {m["reason"]["code"] for m in shown if m["reason"]} == {"need_engaged"}


async def test_a_need_that_wants_two_partners_goes_on_after_the_first(world: World) -> None:
    party = await world.institution("LIDI", "ETH")
    providers = {str(p.id): p for p in [await world.institution(f"Provider {n}", "IND") for n in range(2)]}
    for provider in providers.values():
        await world.capability(provider)
    need = await world.need(party, partners_wanted=2)
    first, second = await world.proposed(party, need, 2)
    await world.formalised(party, providers[first["provider"]["institution_id"]], first)
    assert (await world.get(party, second))["status"] == "proposed"
    await world.formalised(party, providers[second["provider"]["institution_id"]], second)
    assert {m["status"] for m in (await world.matches(party, need))["items"]} == {"formalised"}


async def test_the_next_best_moves_up_when_a_need_for_two_has_its_first_partner(world: World) -> None:
    party = await world.institution("LIDI", "ETH")
    providers = {str(p.id): p for p in [await world.institution(f"Provider {n}", "IND") for n in range(11)]}
    for provider in providers.values():
        await world.capability(provider, capacity=1)
    await world.settled()
    need = await world.need(party, partners_wanted=2)
    first, *others = await world.proposed(party, need, 10)
    await world.formalised(party, providers[first["provider"]["institution_id"]], first)
    now_open = await world.proposed(party, need, 10)
    assert {m["id"] for m in others} < {m["id"] for m in now_open}


@pytest.mark.parametrize("side", ["beneficiary", "provider"])
async def test_the_checks_hold_at_both_confirmations_in_their_order(world: World, side: str) -> None:
    party = await world.institution("LIDI", "ETH", status="registered")
    provider = await world.institution("CLRI", "IND")
    await world.capability(provider)
    need = await world.need(party)
    (match,) = await world.proposed(party, need)
    await world.accepted(party, provider, match)
    first, second = (party, provider) if side == "beneficiary" else (provider, party)
    refused = await world.post(first, match, "formalise")
    assert (refused.status_code, refused.json()["code"]) == (409, "institution_not_verified")
    assert (await world.get(party, match))["confirmations"] == []
    party.status = "verified"
    await world.tell(party)

    async def confirms() -> bool:
        return (await world.post(first, match, "formalise")).status_code == 200

    await eventually(confirms)
    assert (await world.post(second, match, "formalise")).json()["status"] == "formalised"


async def test_a_formalised_match_survives_what_comes_too_late(world: World) -> None:
    provider = await world.institution("CLRI", "IND")
    capability = await world.capability(provider)
    party = await world.institution("LIDI", "ETH")
    need = await world.need(party)
    (match,) = await world.proposed(party, need)
    await world.formalised(party, provider, match)
    await world.need_event(registry.NeedWithdrawn, need, status="withdrawn")
    await world.capability_event(registry.CapabilityWithdrawn, capability, status="withdrawn")

    async def seen() -> bool:
        return bool((await world.matches(party, need))["need"]["version_seen"] == 2)

    await eventually(seen)
    assert (await world.get(party, match))["status"] == "formalised"
    late = await world.post(party, match, "decline", {"reason_code": "timing"})
    assert (late.status_code, late.json()["current_status"]) == (409, "formalised")
