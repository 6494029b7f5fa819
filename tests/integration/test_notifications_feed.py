"""The feed: each event once, in one order for all, and nothing appears behind a cursor that was given out."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import text

from services.notifications.commands.deliveries import stamp
from shared.data.database import is_passing
from shared.events.matching import MatchProposed
from shared.events.registry import NeedPosted, NeedUpdated
from shared.web.paging import encode
from tests.support.notifications import stream
from tests.support.samples import GIZ, LIDI, SYSTEM, sample
from tests.support.stack import RunningService, running_service
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def s(parts: Parts) -> AsyncIterator[RunningService]:
    async with running_service(parts, "notifications") as service:
        yield service


async def page(s: RunningService, who: dict[str, str], **query: Any) -> dict[str, Any]:
    answer = await s.client.get("/events", headers=who, params=query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["next"]
    assert 'rel="next"' in answer.headers["link"]
    return answer.json()


async def end(s: RunningService) -> str:
    """A cursor at the present end."""
    cursor = (await page(s, s.token("operator"), limit=200))["next"]
    while True:
        found = await page(s, s.token("operator"), limit=200, cursor=cursor)
        if not found["items"]:
            return str(found["next"])
        cursor = found["next"]


async def events_behind(
    s: RunningService, who: dict[str, str], cursor: str, count: int, **query: Any
) -> list[dict[str, Any]]:
    """The next `count` events, page by page."""
    items: list[dict[str, Any]] = []

    async def enough() -> bool:
        nonlocal cursor
        found = await page(s, who, cursor=cursor, **query)
        items.extend(found["items"])
        cursor = found["next"]
        return len(items) >= count

    await eventually(enough)
    return items


async def test_events_are_cloudevents_in_structured_form(s):
    cursor = await end(s)
    sent = await s.foreign.send(sample(NeedPosted, SYSTEM), causation=uuid4())
    (got,) = await events_behind(s, s.token("reader", institution_id=GIZ), cursor, 1)
    assert got == sent.structured()
    assert got["datacontenttype"] == "application/json"
    assert "traceparent" not in got


async def test_the_first_page_begins_with_the_oldest(s):
    cursor = await end(s)
    await s.foreign.send(sample(NeedPosted, SYSTEM))
    await events_behind(s, s.token("operator"), cursor, 1)
    everything = await page(s, s.token("operator"), limit=200)
    oldest = await page(s, s.token("operator"), limit=1)
    assert oldest["items"] == everything["items"][:1]
    assert len(oldest["items"]) == 1


async def test_types_and_visibility(s):
    cursor = await end(s)
    await s.foreign.send(sample(NeedUpdated, SYSTEM))
    await s.foreign.send(sample(MatchProposed, SYSTEM))
    await s.foreign.send(sample(NeedPosted, SYSTEM))
    await events_behind(s, s.token("operator"), cursor, 3)
    kinds = {"types": "NeedPosted,MatchProposed", "cursor": cursor}

    async def names(who: dict[str, str], wanted: int) -> set[str]:
        async def find() -> set[str] | None:
            found = {item["type"] for item in (await page(s, who, **kinds))["items"]}
            return found if len(found) == wanted else None

        return await eventually(find)

    both = {"org.bandung.NeedPosted.v1", "org.bandung.MatchProposed.v1"}
    assert await names(s.token("owner", institution_id=LIDI), 2) == both
    assert await names(s.token("operator"), 2) == both
    assert await names(s.token("owner", institution_id=GIZ), 1) == {"org.bandung.NeedPosted.v1"}


async def test_every_reader_sees_each_event_once_in_the_same_order(s):
    cursor = await end(s)
    operator = s.token("operator")
    writers, each = 4, 10
    sent: list[str] = []

    async def write() -> None:
        for _ in range(each):
            sent.append(str((await s.foreign.send(sample(NeedPosted, SYSTEM))).id))  # noqa: PERF401 (one after the other)

    async def read(limit: int) -> list[str]:
        items = await events_behind(s, operator, cursor, writers * each, limit=limit)
        return [item["id"] for item in items]

    *_, first, second, third = await asyncio.gather(*(write() for _ in range(writers)), read(3), read(7), read(200))
    assert first == second == third
    assert len(first) == len(set(first)) == writers * each
    assert set(first) == set(sent)


async def test_a_transaction_that_commits_late_appears_at_the_end_not_behind_a_cursor(s):
    """Two writers whose transactions overlap: the earlier row commits after the later one was read."""
    cursor = await end(s)
    operator = s.token("operator")
    insert = text("""
        insert into event (source, event_id, type, name, subject, version, time, sequence, partitionkey, correlation,
            dataschema, data, visibility, parties, countries, institutions, isic, facts, received_at)
        values ('urn:bandung:test:x', :id, 'org.bandung.NeedPosted.v1', 'NeedPosted', 'needs/x', 1, now(),
            '0001-0000000001', 'x', 'x', 'http://x/schemas/NeedPosted/1', '{"x": 1}', 'public', '{}', '{}', '{}', '{}',
            '{}', now())
    """)
    early, late = uuid4(), uuid4()
    async with s.running.database.background_session() as slow, s.running.database.background_session() as quick:
        await slow.execute(insert, {"id": early})
        await quick.execute(insert, {"id": late})
        await quick.commit()
        first = await events_behind(s, operator, cursor, 1)
        assert [item["id"] for item in first] == [str(late)]
        after = (await page(s, operator, cursor=cursor))["next"]
        await slow.commit()
    second = await events_behind(s, operator, after, 1)
    assert [item["id"] for item in second] == [str(early)]


async def test_two_sequencers_at_once_leave_no_gap_and_no_double(s):
    sent = [(await s.foreign.send(sample(NeedPosted, SYSTEM))).id for _ in range(30)]

    async def rival() -> None:
        for _ in range(20):
            try:
                async with s.running.transactions.background() as tx:
                    await stamp(tx, 3)
            except Exception as error:
                if not is_passing(error):  # the loops of a service try again, too
                    raise

    await asyncio.gather(rival(), rival())

    async def gapless() -> bool:
        async with s.running.database.background_session() as session:
            rows = text(
                "select count(*), max(position), count(distinct position), count(*) filter (where position is null),"
                " count(*) filter (where event_id = any(:sent)) from event"
            )
            count, highest, different, unstamped, mine = (await session.execute(rows, {"sent": sent})).one()
        return mine == len(sent) and unstamped == 0 and count == highest == different

    assert await eventually(gapless)


async def test_cursors_that_were_not_given_out(s):
    who = s.token("operator")
    for forged in (
        "x",
        "forged",
        encode("/inbox", [1]),
        encode("/events", ["a"]),
        encode("/events", [1, 2]),
        encode("/events", [-1]),
    ):
        answer = await s.client.get("/events", headers=who, params={"cursor": forged})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor"), forged
    from_another_life = encode("/events", [10**9])
    answer = await s.client.get("/events", headers=who, params={"cursor": from_another_life})
    assert (answer.status_code, answer.json()["code"]) == (410, "cursor_expired")
    answer = await s.client.get("/events", headers=who | {"Accept": "text/event-stream", "Last-Event-ID": "forged"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


async def test_a_cursor_older_than_the_retention_has_expired(parts):
    async with running_service(parts, "notifications") as own:
        who = own.token("operator")
        start = (await page(own, who))["next"]
        for _ in range(3):
            await own.foreign.send(sample(NeedPosted, SYSTEM))
        items = await events_behind(own, who, start, 3)
        async with own.running.database.background_session() as session:
            await session.execute(text("update event set stamped_at = now() - interval '31 days' where position <= 2"))
            await session.commit()
        for headers in ({}, {"Accept": "text/event-stream"}):
            answer = await own.client.get("/events", headers=who | headers, params={"cursor": start})
            assert (answer.status_code, answer.json()["code"]) == (410, "cursor_expired")
        assert (await page(own, who, cursor=encode("/events", [2])))["items"] == items[2:]
        assert (await page(own, who))["items"] == items[2:]
        thread = await own.client.get(f"/threads/{items[0]['correlationid']}", headers=who)
        assert len(thread.json()["items"]) == 1


async def test_bad_queries_are_refused(s):
    who = s.token("operator")
    for query, pointer in (
        ("types=NoSuchEvent", "?types"),
        ("types=", "?types"),
        ("limit=201", "?limit"),
        ("a=1", "?a"),
    ):
        answer = await s.client.get(f"/events?{query}", headers=who)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert (await s.client.get("/events")).status_code == 401


async def test_the_stream_brings_events_and_resumes(s):
    who = s.token("owner", institution_id=GIZ)
    cursor = await end(s)
    async with stream(s, "/events?types=NeedPosted", who) as events:
        await s.foreign.send(sample(NeedUpdated, SYSTEM))
        await s.foreign.send(sample(MatchProposed, SYSTEM))
        sent = await s.foreign.send(sample(NeedPosted, SYSTEM))
        message = await events.next()
        assert json.loads(message["data"]) == sent.structured()
    await events_behind(s, s.token("operator"), cursor, 3)
    missed = [await s.foreign.send(sample(NeedPosted, SYSTEM)) for _ in range(3)]
    async with stream(s, "/events?types=NeedPosted", who, Last_Event_ID=message["id"]) as events:
        got = [(await events.item())["id"] for _ in missed]
        assert sorted(got) == sorted(str(one.id) for one in missed)
    items = await events_behind(s, who, message["id"], 3, types="NeedPosted")
    assert [item["id"] for item in items] == got
