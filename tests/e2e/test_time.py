"""What comes with time alone: the same home started again some days, or five years, later (contract, 0 and 18)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.e2e.world import Member, Pair, World, becomes, today
from tests.support.system import System, refused
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio

DAY = 24 * 3600
FIVE_YEARS = 5 * 366 * DAY


@dataclass
class Later:
    """What stood before, on a system where 15, then 22 days have passed."""

    world: World
    proposed: Pair
    accepted: Pair
    interested: Pair
    declined: Pair
    short_need: dict[str, Any]
    renewable: dict[str, Any]
    cancelled: Pair

    @property
    def system(self) -> System:
        return self.world.system


async def offset(system: System, days: int) -> None:
    await system.restart(BANDUNG_TIME_OFFSET_SECONDS=str(days * DAY))


async def reminded(system: System, match_id: str) -> list[dict[str, Any]]:
    found = await system.records("matching.matches")
    return [r.data for r in found if r.key == match_id and r.type == "MatchReminderDue"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def later(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Later]:
    system = System(tmp_path_factory.mktemp("time") / "home")
    await system.start()
    try:
        yield await fifteen_and_22_days_later(system)
    finally:
        await system.end()


async def fifteen_and_22_days_later(system: System) -> Later:
    world = World(system)
    lidi = await world.member()
    made = Later(
        world,
        proposed=await world.proposed(),
        accepted=await (await world.proposed(deadline=today(90))).accepted(),
        interested=await (await world.proposed()).interested(),
        declined=await world.proposed(deadline=today(90)),
        short_need=await lidi.need(deadline=today(20)),
        renewable=await lidi.capability(renew_by=today(20)),
        cancelled=await (await world.proposed(deadline=today(18))).opened(),
    )
    await made.declined.provider.do(f"{made.declined.path}/decline", {"reason_code": "timing"})
    await becomes(made.cancelled.beneficiary, f"/needs/{made.cancelled.need['id']}", "engaged")
    await offset(system, 15)
    await eventually(lambda: reminded(system, made.proposed.match["id"]))
    await offset(system, 22)
    return made


async def test_a_reminder_comes_once_seven_days_before_the_end(later: Later) -> None:
    await later.proposed.becomes("expired")
    assert len(await reminded(later.system, later.proposed.match["id"])) == 1
    for member in later.proposed.members:
        await member.told("MatchReminderDue", later.proposed.match["id"])


async def test_only_the_side_that_has_not_answered_is_reminded(later: Later) -> None:
    pair = later.interested
    assert len(await eventually(lambda: reminded(later.system, pair.match["id"]))) == 1
    await pair.beneficiary.told("MatchReminderDue", pair.match["id"])
    told = [e["event_type"] for e in await pair.provider.inbox() if e["subject"]["id"] == pair.match["id"]]
    assert "MatchReminderDue" not in told


async def test_matches_expire_after_21_days(later: Later) -> None:
    for pair in (later.proposed, later.interested):
        match = await pair.becomes("expired")
        assert match["actions"] == []
        refused(await pair.provider.act(f"{pair.path}/express-interest"), 409, "invalid_transition")
        await pair.provider.told("MatchExpired", pair.match["id"])


async def test_an_accepted_match_lives_30_days_and_becomes_a_project(later: Later) -> None:
    pair = later.accepted
    assert (await pair.now())["status"] == "accepted"
    await pair.formalised_by_both()
    project = await becomes(pair.beneficiary, pair.project, "pipeline")
    assert project["opened_at"][:10] in (today(22), today(23))


async def test_a_declined_pair_is_not_proposed_again_within_180_days(later: Later) -> None:
    found = await later.declined.provider.items("/matches", capability_id=later.declined.capability["id"])
    assert [match["status"] for match in found if match["need_id"] == later.declined.need["id"]] == ["declined"]


async def test_needs_expire_with_their_deadline(later: Later) -> None:
    path = f"/needs/{later.short_need['id']}"
    await becomes(later.system.operator, path, "expired")

    async def told() -> bool:
        found = await later.system.records("registry.needs", thread=later.short_need["id"])
        return [record.type for record in found] == ["NeedPosted", "NeedExpired"]

    await eventually(told)


async def test_capabilities_expire_and_are_renewed(later: Later) -> None:
    path = f"/capabilities/{later.renewable['id']}"
    expired = await becomes(later.system.operator, path, "expired")
    owner = await later.world.key(expired["institution"], "owner")
    assert "renew" in (await owner.read(path))["actions"]
    renewed = await owner.do(f"{path}/renew", {"renew_by": today(100)})
    assert renewed["status"] == "published"

    async def told() -> bool:
        found = [r for r in await later.system.records("registry.capabilities") if r.key == later.renewable["id"]]
        return [r.type for r in found] == ["CapabilityPublished", "CapabilityExpired", "CapabilityPublished"]

    await eventually(told)


async def test_a_need_reopened_past_its_deadline_expires(later: Later) -> None:
    pair = later.cancelled
    await pair.provider.do(f"{pair.project}/cancel", {"reason_code": "funding_lost"})
    await becomes(pair.beneficiary, f"/needs/{pair.need['id']}", "expired")


async def test_business_time_is_shifted_and_tokens_are_not(later: Later) -> None:
    member: Member = later.proposed.provider
    need = await member.need(deadline=today(60))
    assert need["posted_at"][:10] in (today(22), today(23))
    refused(
        await member.post("/needs", {**need_like(need), "deadline": today(22)}), 422, "validation_failed", "/deadline"
    )
    record = (await eventually(lambda: later.system.records("registry.needs", thread=need["id"])))[0]
    assert record.headers["ce_time"][:10] in (today(22), today(23))
    assert abs(record.timestamp_ms / 1000 - later.system.output.stat().st_mtime) < DAY


def need_like(need: dict[str, Any]) -> dict[str, Any]:
    names = ("title", "problem", "language", "resource_kinds", "isic", "urgency")
    return {name: need[name] for name in names}


async def test_verification_ends_after_five_years(tmp_path_factory: pytest.TempPathFactory) -> None:
    system = System(tmp_path_factory.mktemp("years") / "home")
    await system.start()
    try:
        owner = await World(system).member()
        assert (await owner.read(owner.path))["status"] == "verified"
        await system.restart(BANDUNG_TIME_OFFSET_SECONDS=str(FIVE_YEARS))
        ended = await becomes(owner, owner.path, "registered")
        assert ended["verified_until"] is None

        async def told() -> bool:
            found = [r.type for r in await system.records("registry.institutions") if r.key == owner.id]
            return found == ["InstitutionRegistered", "InstitutionVerified", "InstitutionVerificationExpired"]

        await eventually(told)
    finally:
        await system.end()
