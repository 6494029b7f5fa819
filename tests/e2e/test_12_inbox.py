"""Contract, section 12: what an institution is told, once each."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.e2e.world import Pair, World, due_diligence, is_id, moment, today
from tests.support.system import Caller, System, refused
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def stream(caller: Caller, path: str, last: str | None = None) -> AsyncIterator[AsyncIterator[dict[str, str]]]:
    """The messages of a text/event-stream, without comments."""
    service = "notifications"
    headers = await caller.headers() | {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
    async with caller.system.client(service).stream("GET", path, headers=headers, timeout=20) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].partition(";")[0] == "text/event-stream"
        yield messages(answer)


async def messages(answer: httpx.Response) -> AsyncIterator[dict[str, str]]:
    """`{"id": ..., "event": ..., "data": ...}` for each message."""
    found: dict[str, str] = {}
    async for line in answer.aiter_lines():
        name, _, value = line.partition(":")
        if line == "" and "data" in found:
            yield found
            found = {}
        elif name:
            found[name] = found.get(name, "") + value.removeprefix(" ")


async def first(found: AsyncIterator[dict[str, str]], count: int, about: str = "") -> list[dict[str, str]]:
    """The first messages (that mention something)."""
    chosen: list[dict[str, str]] = []
    async with asyncio.timeout(60):
        while len(chosen) < count:
            message = await anext(found)
            chosen += [message] if about in message["data"] else []
    return chosen


async def test_both_sides_are_told_of_a_proposal(world: World) -> None:
    pair = await world.proposed()
    for member in pair.members:
        entry = await member.told("MatchProposed", pair.match["id"])
        assert is_id(entry["id"])
        assert is_id(entry["event_id"])
        assert entry["subject"] == {"type": "match", "id": pair.match["id"]}
        assert entry["correlation_id"] == pair.need["id"]
        assert (entry["language"], entry["action_required"], entry["read_at"]) == ("en", True, None)
        assert entry["due_at"] == pair.match["expires_at"]
        assert entry["title"]
        moment(entry["created_at"])
    other = await pair.beneficiary.told("MatchProposed", pair.match["id"])
    assert pair.provider.institution["name"] in other["text"]


async def test_the_own_act_is_not_told(world: World) -> None:
    pair = await (await world.proposed()).accepted()
    await pair.provider.told("MatchAccepted", pair.match["id"])
    await pair.beneficiary.told("MatchInterestExpressed", pair.match["id"])
    assert "MatchAccepted" not in await types_about(pair.beneficiary, pair.match["id"])
    assert "MatchInterestExpressed" not in await types_about(pair.provider, pair.match["id"])


async def types_about(member: Any, subject: str) -> list[str]:
    return [entry["event_type"] for entry in await member.inbox() if entry["subject"]["id"] == subject]


async def test_strangers_are_told_nothing(world: World) -> None:
    stranger = await world.member()
    pair = await (await world.proposed()).accepted()
    await pair.provider.told("MatchAccepted", pair.match["id"])
    assert pair.need["id"] not in [entry["correlation_id"] for entry in await stranger.inbox()]


async def test_newest_first_and_once_each(world: World) -> None:
    pair = await (await world.proposed()).opened()
    await pair.provider.told("ProjectOpened")
    found = await pair.provider.inbox()
    made = [moment(e["created_at"]) for e in found]
    assert made == sorted(made, reverse=True)
    assert len({e["event_id"] for e in found}) == len(found)


async def test_read_marks_are_personal(world: World) -> None:
    pair = await world.proposed()
    entry = await pair.provider.told("MatchProposed", pair.match["id"])
    colleague = await pair.provider.colleague("reader")
    for _ in range(2):
        answer = await pair.provider.post(f"/inbox/{entry['id']}/read")
        assert (answer.status_code, answer.content) == (204, b"")
    mine, theirs = [await caller.read("/inbox", limit=200) for caller in (pair.provider, colleague)]
    for page, read in ((mine, 1), (theirs, 0)):
        assert page["unread"] == len(page["items"]) - read  # each page by itself: more may arrive between the two
    assert next(e for e in mine["items"] if e["id"] == entry["id"])["read_at"] is not None
    assert next(e for e in theirs["items"] if e["id"] == entry["id"])["read_at"] is None
    assert entry["id"] not in [e["id"] for e in await pair.provider.inbox(unread="true")]
    assert entry["id"] in [e["id"] for e in await colleague.inbox(unread="true")]


async def test_entries_of_others_are_not_found(world: World) -> None:
    pair, stranger = await world.proposed(), await world.registered()
    entry = await pair.provider.told("MatchProposed", pair.match["id"])
    refused(await stranger.post(f"/inbox/{entry['id']}/read"), 404, "not_found")
    refused(await pair.beneficiary.post(f"/inbox/{entry['id']}/read"), 404, "not_found")


async def test_verifiers_are_told_of_submitted_verifications(world: World, system: System) -> None:
    owner = await world.registered()
    made = await system.operator.make(f"{owner.path}/verifications", due_diligence())

    async def told() -> bool:
        found = await system.verifier.items("/inbox", limit=200)
        about = [e for e in found if e["event_type"] == "VerificationSubmitted"]
        return made["id"] in [e["subject"]["id"] for e in about]

    await eventually(told)
    assert "VerificationSubmitted" not in [e["event_type"] for e in await owner.inbox()]


async def test_the_language_is_the_institutions_first_if_translated(world: World) -> None:
    lidi = await world.member(country="ETH", languages=["am", "en"])
    clri = await world.member(country="IND")
    pair = await world.pair(lidi, clri)
    assert (await lidi.told("MatchProposed", pair.match["id"]))["language"] in ("en", "am")


async def test_partners_are_told_what_the_other_did(world: World) -> None:
    project = await (await world.direct()).started()
    lidi, clri = project.members
    await clri.told("AgreementProposed")
    await lidi.told("ProjectStarted", project.id)
    pledge = await project.committed()
    await lidi.told("ContributionCommitted", pledge["id"])
    await clri.do(f"/contributions/{pledge['id']}/deliver", {"delivered_on": today()})
    assert (await lidi.told("ContributionDelivered", pledge["id"]))["correlation_id"] == project.id
    assert "ContributionDelivered" not in await types_about(clri, pledge["id"])


async def test_the_stream_tells_at_once_and_resumes_without_loss(world: World) -> None:
    lidi, clri = await world.two()
    async with stream(lidi, "/inbox/stream") as found:
        pair = await world.pair(lidi, clri)
        (message,) = await first(found, 1, pair.match["id"])
    assert message["event"] == "inbox"
    assert json.loads(message["data"])["correlation_id"] == pair.need["id"]
    await missed(pair)
    async with stream(lidi, "/inbox/stream", message["id"]) as found:
        later = await first(found, 2, pair.match["id"])
    kinds = [json.loads(each["data"])["event_type"] for each in later]
    assert kinds == ["MatchInterestExpressed", "MatchConfirmed"]


async def missed(pair: Pair) -> None:
    """Two things of the provider that the beneficiary is told of."""
    await pair.confirmed()
    await pair.beneficiary.told("MatchConfirmed", pair.match["id"])
