"""`deploy/examples/partner/follow_feed.py`: resumed, killed, and back after too long a pause."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from tests.e2e.world import Member, World, today
from tests.support.gateway import Gateway, answer
from tests.support.partner import Program, environment
from tests.support.system import System, free_ports
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio

ADDRESSES = ("REGISTRY", "NOTIFICATIONS")


class Follower(Program):
    """The example on a machine of its own."""

    def __init__(self, member: Member, folder: Path, *arguments: str) -> None:
        env = environment(member.system, member) | {"PAUSE_SECONDS": "0.05"}
        super().__init__("follow_feed.py", folder, env, arguments)

    def copy(self, subject: str) -> dict[str, Any] | None:
        """What the partner knows of something."""
        if not (self.folder / "feed.sqlite").exists():
            return None
        with closing(sqlite3.connect(self.folder / "feed.sqlite")) as connection:
            if not connection.execute("select 1 from sqlite_master where name = 'copy'").fetchone():
                return None  # it has only just begun
            row = connection.execute("select document from copy where subject = ?", (subject,)).fetchone()
        return json.loads(row[0]) if row else None

    async def nightly(self) -> None:
        """One run to the end of the feed."""
        self.arguments = ("--once",)
        assert await self.run() == 0, self.errors

    async def knows(self, subject: str, **members: Any) -> None:
        """Waits until the copy says so."""

        def told() -> bool:
            found = self.copy(subject) or {}
            assert members.items() <= found.items(), f"{subject}: {found}\n{self.errors[-2000:]}"
            return bool(found)

        await eventually(told)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A system of its own: its feed grows old here."""
    system = System(Path(tmp_path_factory.mktemp("feed")) / "home")
    await system.start()
    try:
        yield World(system)
    finally:
        await system.end()


async def test_it_follows_a_match_from_both_ends_of_a_restart(own: World, tmp_path: Path) -> None:
    pair = await own.proposed()
    follower = Follower(pair.provider, tmp_path / "partner")
    subject = f"matches/{pair.match['id']}"
    async with follower:
        await follower.saying("subject", subject)
        await follower.end(kill=True)
    await pair.accepted()
    async with follower:
        await follower.knows(subject, status="accepted")
        told = await follower.saying("subject", subject, 3)
    assert [line["handled"] for line in told] == ["MatchProposed", "MatchInterestExpressed", "MatchAccepted"]


async def test_killed_in_the_middle_of_the_feed_it_handles_each_event_once(own: World, tmp_path: Path) -> None:
    member = await own.member()
    follower = Follower(member, tmp_path / "partner")
    needs = []
    for _ in range(5):
        needs.append(await member.need())
        async with follower:
            await follower.knows(f"needs/{needs[-1]['id']}")
            await follower.end(kill=True)
    await follower.nightly()
    assert all(follower.copy(f"needs/{need['id']}") for need in needs)
    ids = [line["id"] for line in follower.said if "handled" in line]
    assert len(ids) == len(set(ids)) > 0


async def test_strangers_matches_are_not_in_it(own: World, tmp_path: Path) -> None:
    pair, stranger = await own.proposed(), await own.member()
    follower = Follower(stranger, tmp_path / "partner")
    await follower.nightly()
    assert follower.copy(f"needs/{pair.need['id']}") is not None
    assert follower.copy(f"matches/{pair.match['id']}") is None


async def test_after_too_long_a_pause_it_reads_the_resources_again(own: World, tmp_path: Path) -> None:
    member = await own.member()
    follower = Follower(member, tmp_path / "partner")
    before = await member.need()
    await follower.nightly()
    assert (follower.copy(f"needs/{before['id']}") or {})["status"] == "open"
    await member.do(f"/needs/{before['id']}/withdraw", {"reason_code": "no_longer_needed"})
    missed = await member.need()
    await _heard(member, missed["id"])
    await _grow_old(own.system)
    await follower.nightly()
    assert len([line for line in follower.said if "resynced" in line]) == 2  # the first start, and the expired cursor
    assert (follower.copy(f"needs/{before['id']}") or {})["status"] == "withdrawn"
    assert follower.copy(f"needs/{missed['id']}") is not None
    assert f"needs/{missed['id']}" not in [line.get("subject") for line in follower.said]  # not from the feed
    fresh = await member.need()
    await _heard(member, fresh["id"])
    await follower.nightly()
    assert f"needs/{fresh['id']}" in [line.get("subject") for line in follower.said]


async def test_what_changed_in_a_project_centre_or_country_meanwhile_is_read_again_too(
    own: World, tmp_path: Path
) -> None:
    project = await own.direct()
    follower = Follower(project.beneficiary, tmp_path / "partner")
    milestone = await project.provider.make(f"{project.path}/milestones", {"title": "Plant", "due_on": today(9)})
    await follower.nightly()
    await project.agreed()
    pledge = await project.provider.make(f"{project.path}/contributions", project.pledge_body())
    waived = f"/milestones/{milestone['id']}/waive"
    await project.provider.do(waived, {"reason_code": "superseded"})
    last = await project.beneficiary.need()
    await _heard(project.beneficiary, last["id"])
    await eventually(lambda: _is_in_the_feed(project.beneficiary, "MilestoneWaived", project.id))
    await _grow_old(own.system)
    await follower.nightly()
    assert (follower.copy(f"milestones/{milestone['id']}") or {})["status"] == "waived"
    assert (follower.copy(f"contributions/{pledge['id']}") or {})["status"] == pledge["status"]
    [agreement] = await project.beneficiary.items(f"{project.path}/agreements")
    assert (follower.copy(f"agreements/{agreement['id']}") or {})["status"] == agreement["status"]
    [centre, *_] = await project.beneficiary.items("/centres")
    assert follower.copy(f"centres/{centre['id']}") is not None
    assert (follower.copy("countries/ETH") or {})["name"] == "Ethiopia"


async def test_it_waits_for_a_server_that_is_away_and_renews_a_token_that_was_ended(own: World, tmp_path: Path) -> None:
    member = await own.member()
    need = await member.need()
    follower = Follower(member, tmp_path / "partner")
    gateways = [Gateway(follower.env[name], port) for name, port in zip(ADDRESSES, free_ports(2), strict=True)]
    follower.env |= {name: gateway.url for name, gateway in zip(ADDRESSES, gateways, strict=True)}
    async with follower:
        await eventually(lambda: follower.errors.count("Connection refused") > 1)
        registry, notifications = gateways
        registry.answers += [answer("503 Service Unavailable", Retry_After="0"), answer("502 Bad Gateway", "<html>")]
        async with registry:
            await eventually(lambda: f"Waiting for {notifications.url}/events" in follower.errors)
            notifications.answers += [answer("401 Unauthorized"), answer("200 OK", "<html>")]
            before = registry.requests
            async with notifications:
                await follower.knows(f"needs/{need['id']}")
                await eventually(lambda: registry.requests > before)  # asked for another token
                assert _alive(follower)
        seen = len(follower.errors)
        await eventually(lambda: f"Waiting for {notifications.url}/events" in follower.errors[seen:])
        assert _alive(follower)


def _alive(follower: Follower) -> bool:
    return follower.process is not None and follower.process.poll() is None


async def _heard(member: Member, need_id: str) -> None:
    await eventually(lambda: _is_in_the_feed(member, "NeedPosted", need_id))


async def _is_in_the_feed(member: Member, name: str, key: str) -> bool:
    return key in [event["partitionkey"] for event in await member.items("/events", types=name, limit=200)]


async def _grow_old(system: System) -> None:
    """Everything in the feed was stamped 31 days ago: the retention is 30 days of real time."""
    documents = json.loads((system.home / "environment.json").read_text())
    url = documents["NOTIFICATIONS_DATABASE_URL"].replace("+asyncpg", "")
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("update event set stamped_at = stamped_at - interval '31 days'")
    finally:
        await connection.close()
