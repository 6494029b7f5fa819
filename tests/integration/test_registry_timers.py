"""What time brings: deadlines, renewals, the end of verifications and of confirmed status; and the snapshot."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import pytest
import pytest_asyncio

from services.registry.snapshot import snapshot
from shared import operations
from shared.events import topics
from tests.support.kafka import types
from tests.support.parts import Parts
from tests.support.registry import Member, World, today
from tests.support.stack import RunningService, running_service
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio
DAY = 86_400


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def present(parts: Parts) -> AsyncIterator[World]:
    async with running_service(parts, "registry") as service:
        yield World(service)


@dataclass
class Eras:
    """One installation that is stopped and started again with its business time shifted."""

    parts: Parts
    database_url: str
    prefix: str

    def after(self, days: float) -> AbstractAsyncContextManager[RunningService]:
        """The installation so many days later."""
        return running_service(
            self.parts,
            "registry",
            database_url=self.database_url,
            prefix=self.prefix,
            time_offset_seconds=days * DAY,
        )

    def at_noon(self, day: str) -> AbstractAsyncContextManager[RunningService]:
        """The installation in the middle of this UTC day, also if midnight passes meanwhile."""
        noon = datetime.combine(date.fromisoformat(day), time(12), UTC)
        return self.after((noon - datetime.now(UTC)) / timedelta(days=1))


@pytest_asyncio.fixture(loop_scope="session")
async def eras(parts: Parts) -> Eras:
    return Eras(parts, await parts.new_database("registry"), f"t{secrets.token_hex(4)}.")


async def becomes(world: World, path: str, status: str) -> None:
    async def there() -> bool:
        return bool((await world.read(path))["status"] == status)

    await eventually(there)


async def test_each_due_row_fires_once_and_what_is_not_due_stays(eras: Eras) -> None:
    earlier, eve, day = today(20), today(21), today(22)
    async with eras.after(0) as service:
        now = World(service)
        member = await now.verified()
        due = await member.need(deadline=earlier)
        on_the_day, draft = await member.need(deadline=day), await member.need(deadline=earlier, post=False)
        stale, fresh = await member.capability(renew_by=eve), await member.capability(renew_by=day)
    async with eras.at_noon(day) as shifted:
        then = World(shifted)
        await becomes(then, f"/needs/{due['id']}", "expired")
        await becomes(then, f"/capabilities/{stale['id']}", "expired")
        assert (await then.read(f"/needs/{on_the_day['id']}"))["status"] == "open"
        assert (await then.read(f"/needs/{draft['id']}"))["status"] == "draft"
        assert (await then.read(f"/capabilities/{fresh['id']}"))["status"] == "published"
        await then.told(topics.NEEDS, due["id"], "NeedPosted", "NeedExpired")
        last_day = await then.patch(f"/needs/{on_the_day['id']}", Member(then, member.data).token(), {"title": "Now"})
        assert last_day.json()["title"] == "Now"
        owner = Member(then, member.data).token()
        expired = await then.read(f"/capabilities/{stale['id']}", owner)
        assert expired["actions"] == ["renew"]
        renewed = await then.done(f"/capabilities/{stale['id']}/renew", owner, {"renew_by": today(400)})
        assert (renewed["status"], renewed["version"]) == ("published", 3)
        kinds = ("CapabilityPublished", "CapabilityExpired", "CapabilityPublished")
        events = await then.told(topics.CAPABILITIES, stale["id"], *kinds)
        assert events[1]["by"] == {"institution_id": None, "via": "system"}


async def test_a_verification_ends_when_its_day_begins(eras: Eras) -> None:
    async with eras.after(0) as service:
        now = World(service)
        member, suspended = await now.verified(), await now.verified()
        await now.done(f"{suspended.path}/suspend", now.operator, {"reason_code": "red_flag"})
    async with eras.after(365 * 5 + 2) as shifted:
        then = World(shifted)
        await becomes(then, member.path, "registered")
        assert (await then.read(member.path))["verified_until"] is None
        kinds = ("InstitutionRegistered", "InstitutionVerified", "InstitutionVerificationExpired")
        await then.told(topics.INSTITUTIONS, member.id, *kinds)
        assert (await then.read(suspended.path))["status"] == "suspended"
        back = await then.done(f"{suspended.path}/reinstate", then.operator)
        assert (back["status"], back["verified_until"]) == ("registered", None)


async def test_the_seeded_centres_are_there_once_and_told_of(parts: Parts) -> None:
    async with running_service(parts, "registry") as service:
        present = World(service)
        found = await present.read("/centres", kind="south_south_industrial_cooperation")
        status = {centre["host_country"]: (centre["status"], centre["since"]) for centre in found["items"]}
        assert status["IND"] == ("operating", "2007-01")
        assert [status[c][0] for c in ("CHN", "EGY", "BRA", "ZAF")] == [
            "to_be_established",
            "under_negotiation",
            "envisioned",
            "envisioned",
        ]
        india = next(centre for centre in found["items"] if centre["host_country"] == "IND")
        assert "February" in india["note"]
        assert india["source"]
        everything = await present.read("/centres", limit="200")
        await present.service.running.prepare()
        assert await present.read("/centres", limit="200") == everything

        async def told() -> bool:
            kinds = types(await present.service.records(topics.CENTRES))
            return len(kinds) == len(everything["items"]) and set(kinds) == {"CentreStatusChanged"}

        await eventually(told)


async def test_a_centre_takes_a_dated_step(present: World) -> None:
    found = await present.read("/centres", host_country="CHN", kind="south_south_industrial_cooperation")
    [centre] = found["items"]
    path = f"/centres/{centre['id']}/change-status"
    step = {"status": "operating", "since": "2008-05", "source": "An operator's letter"}
    for who, code in ((present.verifier, 403), (present.service.token("owner"), 403)):
        assert (await present.post(path, who, step, if_match="*")).status_code == code
    assert (await present.post(path, present.operator, step)).status_code == 428
    wrong = await present.post(path, present.operator, {**step, "status": "closed"}, if_match="*")
    assert (wrong.status_code, wrong.json()["code"], wrong.json()["allowed"]) == (
        409,
        "invalid_transition",
        ["operating"],
    )
    early = await present.post(path, present.operator, {**step, "since": "2001"}, if_match="*")
    assert early.json()["errors"][0]["pointer"] == "/since"
    moved = await present.done(path, present.operator, step, if_match='"1"')
    assert (moved["status"], moved["since"], moved["version"]) == ("operating", "2008-05", 2)
    assert [entry["status"] for entry in moved["history"]] == ["to_be_established", "operating"]
    assert moved["actions"] == ["change-status"]
    events = await present.told(topics.CENTRES, centre["id"], "CentreStatusChanged", "CentreStatusChanged")
    assert events[1]["centre"]["history"][1]["since"] == "2008-05"


@pytest.mark.parametrize(("day", "number"), [("2024-12-12", 45), ("2024-12-13", 44)])
async def test_the_list_of_the_day_counts(present: World, day: str, number: int) -> None:
    found = await present.read("/countries", group="ldc", as_of=day)
    assert len(found["items"]) == number
    assert ("STP" in [country["code"] for country in found["items"]]) is (number == 45)


async def test_countries_are_paged_and_bad_questions_named(present: World) -> None:
    first = await present.read("/countries", limit="200")
    second = await present.read("/countries", limit="200", cursor=first["next"])
    codes = [country["code"] for country in (*first["items"], *second["items"])]
    assert (codes, second["next"]) == (sorted(set(codes)), None)
    assert {"ETH", "DEU"} <= set(codes)
    for query in ({"as_of": "2026-13-01"}, {"group": "rich"}, {"bloc": "NONE"}, {"colour": "x"}):
        answer = await present.get("/countries", present.operator, **query)
        assert answer.json()["errors"][0]["pointer"] == f"?{next(iter(query))}"
    assert (await present.get("/countries/XXX", present.operator)).status_code == 404
    assert (await present.get("/countries", present.operator, cursor="x")).json()["code"] == "invalid_cursor"


async def test_a_scheduled_change_changes_nothing_until_confirmed_and_is_told_on_its_day(eras: Eras) -> None:
    async with eras.after(0) as service:
        now = World(service)
        before = await now.read("/countries/BGD", as_of="2026-11-25")
        assert before["groups"] == ["ldc"]
        [scheduled] = before["scheduled"]
        wanted = {"group": "ldc", "leaves_on": "2026-11-24", "source": "A/RES/76/8", "confirmed": False}
        assert {name: scheduled[name] for name in wanted} == wanted
        path, word = "/countries/BGD/confirm-status", {"group": "ldc", "leaves_on": today(9), "source": "A/RES/81/1"}
        assert (await now.post(path, now.verifier, word, if_match="*")).status_code == 403
        assert (await now.post(path, now.operator, word)).status_code == 428
        missing = await now.post(path, now.operator, {"group": "ldc", "source": "x"}, if_match="*")
        assert missing.json()["errors"][0]["pointer"] == "/leaves_on"
        wrong = await now.post(path, now.operator, {**word, "group": "sids"}, if_match="*")
        assert (wrong.status_code, wrong.json()["code"]) == (409, "invalid_transition")
        confirmed = await now.done(path, now.operator, word, if_match='"1"')
        assert (confirmed["version"], confirmed["groups"], confirmed["scheduled"][0]["confirmed"]) == (2, ["ldc"], True)
        assert (await now.read("/countries/BGD", as_of=today(8)))["groups"] == ["ldc"]
        assert (await now.read("/countries/BGD", as_of=today(9)))["groups"] == []
        off = await now.done("/countries/NPL/confirm-status", now.operator, {**word, "leaves_on": None})
        assert (off["groups"], off["scheduled"]) == (["ldc", "lldc"], [])
    async with eras.after(9) as shifted:
        then = World(shifted)
        events = await then.told(topics.COUNTRIES, "BGD", "CountryStatusChanged", "CountryStatusChanged")
        assert [event["country"]["groups"] for event in events] == [["ldc"], []]
        assert (await then.read("/countries/BGD"))["version"] == 3


async def test_a_snapshot_tells_the_present_state_of_all_that_is_public(parts: Parts) -> None:
    async with running_service(parts, "registry") as service:
        world = World(service)
        member = await world.institution(contact={"name": "N", "email": "n@secret.example", "phone": None})
        need, capability = await member.need(), await member.capability()
        draft = await member.need(post=False)
        await world.done(f"/needs/{need['id']}/withdraw", member.token(), {"reason_code": "duplicate"})
        await operations.snapshot(service.running)

        async def told() -> bool:
            needs = [r for r in await service.records(topics.NEEDS) if r.partitionkey == need["id"]]
            assert types(needs) == ["NeedPosted", "NeedWithdrawn", "NeedWithdrawn"]
            assert needs[-1].sequence > needs[-2].sequence
            assert json.loads(needs[-1].data)["need"] == json.loads(needs[-2].data)["need"]
            offers = [r for r in await service.records(topics.CAPABILITIES) if r.partitionkey == capability["id"]]
            assert types(offers) == ["CapabilityPublished", "CapabilityPublished"]
            people = [r for r in await service.records(topics.INSTITUTIONS) if r.partitionkey == str(member.id)]
            assert types(people) == ["InstitutionRegistered", "InstitutionUpdated"]
            assert not any(b"secret.example" in r.data for r in people)
            return draft["id"] not in {r.partitionkey for r in await service.records(topics.NEEDS)}

        await eventually(told)
        async with service.running.transactions.background() as tx:
            kinds = {event.short_name() async for event in snapshot(tx)}
        assert kinds == {"InstitutionUpdated", "CentreStatusChanged", "CapabilityPublished", "NeedWithdrawn"}


async def test_a_draft_whose_deadline_went_by_is_not_posted(eras: Eras) -> None:
    async with eras.after(0) as service:
        member = await World(service).institution()
        draft = await member.need(post=False, deadline=today(1))
    async with eras.after(3) as shifted:
        then = World(shifted)
        owner = Member(then, member.data).token()
        answer = await then.post(f"/needs/{draft['id']}/post", owner, if_match="*")
        assert answer.json()["errors"][0]["pointer"] == "/deadline"
        await then.patch(f"/needs/{draft['id']}", owner, {"deadline": today(9)})
        assert (await then.done(f"/needs/{draft['id']}/post", owner))["status"] == "open"
