"""Server-sent events: from now on, resumed without loss, and gone at shutdown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import pytest_asyncio

from shared.events import registry
from tests.support.notifications import stream, told_of
from tests.support.samples import (
    LIDI,
    OPERATOR,
    institution,
    sample,
)  # fmt: skip
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


async def tell(s: RunningService, one: Any) -> str:
    event = sample(registry.InstitutionUpdated, OPERATOR, institution=institution(id=one))
    return str((await s.foreign.send(event)).id)


async def test_the_stream_brings_what_comes_from_now_on(s):
    one = uuid4()
    who = s.token("owner", institution_id=one)
    earlier = await tell(s, one)
    await told_of(s, who, earlier)
    async with stream(s, "/inbox/stream", who) as events:
        sent = await tell(s, one)
        message = await events.next()
        assert message["event"] == "inbox"
        item = json.loads(message["data"])
        assert item["event_id"] == sent
        assert item == await told_of(s, who, sent)


async def test_a_stream_is_counted_but_is_no_slow_request(parts):
    labels = {"method": "GET", "route": "/inbox/stream", "status": "200"}
    # with no stream of another test, which is counted when its end is noticed
    async with running_service(parts, "notifications") as own:
        metrics = own.running.metrics.registry
        timed = metrics.get_sample_value("bandung_http_request_seconds_count", {"route": "/inbox/stream"})
        async with stream(own, "/inbox/stream", own.token("owner", institution_id=uuid4())):
            pass
        await eventually(lambda: metrics.get_sample_value("bandung_http_requests_total", labels) == 1)
        assert metrics.get_sample_value("bandung_http_request_seconds_count", {"route": "/inbox/stream"}) == timed


async def test_last_event_id_resumes_without_loss(s):
    one = uuid4()
    who = s.token("owner", institution_id=one)
    async with stream(s, "/inbox/stream", who) as events:
        await tell(s, one)
        first = await events.next()
    missed = [await tell(s, one) for _ in range(3)]
    async with stream(s, "/inbox/stream", who, Last_Event_ID=first["id"]) as events:
        assert [(await events.item())["event_id"] for _ in missed] == missed


async def test_a_made_up_last_event_id_is_refused(s):
    who = s.token("owner", institution_id=LIDI)
    for value, code in (("nonsense", 400), (str(uuid4()), 404)):
        answer = await s.client.get("/inbox/stream", headers=who | {"Last-Event-ID": value})
        assert answer.status_code == code


async def test_streams_hold_no_connection_and_end_when_the_client_leaves(s):
    who = s.token("owner", institution_id=LIDI)
    bell = s.running.state["parts"].signals.stamped
    assert await eventually(lambda: len(bell) == 0)  # the streams of the tests before have ended
    async with stream(s, "/inbox/stream", who), stream(s, "/events", who):
        assert await eventually(lambda: len(bell) == 2)
        assert await eventually(lambda: s.running.database.requests.pool.checkedout() == 0)
    assert await eventually(lambda: len(bell) == 0)


async def test_streams_end_first_at_shutdown(parts):
    async with running_service(parts, "notifications") as own:
        who = own.token("owner", institution_id=LIDI)
        async with stream(own, "/inbox/stream", who) as events:
            own.running.stopping.set()
            with pytest.raises(EOFError):
                await events.next(3.0)
