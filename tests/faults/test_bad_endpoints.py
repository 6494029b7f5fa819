"""Endpoints of webhooks that answer a byte at a time, without an end, or ask to be left alone for years."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psutil
import pytest
import pytest_asyncio

from services.notifications.channels import webhook as channel
from services.notifications.domain.retries import LONGEST_RETRY_AFTER
from shared.events.registry import NeedPosted
from tests.support.receiver import Receiver, Writer, status
from tests.support.samples import SYSTEM, sample
from tests.support.stack import RunningService, running_service
from tests.support.webhooks import delivery, make, switch_off

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio(loop_scope="session")
BETWEEN_BYTES_SECONDS = 0.05
TEN_GB = 10 * 1024**3


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def s(parts: Parts) -> AsyncIterator[RunningService]:
    async with running_service(parts, "notifications") as service:
        yield service


@pytest_asyncio.fixture(loop_scope="session")
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as made:
        yield made


async def drip(writer: Writer, data: bytes) -> None:
    """One byte after the other, each well within any timeout of a single read."""
    for number in range(len(data)):
        writer.write(data[number : number + 1])
        await writer.drain()
        await asyncio.sleep(BETWEEN_BYTES_SECONDS)


async def dripping_head(writer: Writer) -> None:
    await drip(writer, b"HTTP/1.1 200 OK\r\nx-slow: " + b"x" * 10_000)


async def dripping_body(writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n")
    await drip(writer, b"y" * 10_000)


async def ten_gigabytes(writer: Writer) -> None:
    writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {TEN_GB}\r\n\r\n".encode())
    for _ in range(TEN_GB // 1024**2):
        writer.write(b"z" * 1024**2)
        await writer.drain()


async def test_an_answer_that_drips_is_given_up_as_a_whole(
    s: RunningService, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "TOTAL_SECONDS", 1.0)
    receiver.answer = dripping_head
    hook = await make(s, receiver.url)
    await s.foreign.send(sample(NeedPosted, SYSTEM))
    failed = await delivery(s, hook, "failed")
    assert failed["http_status"] is None
    assert failed["response_excerpt"].startswith("no answer within")
    assert failed["duration_ms"] < 3_000
    await switch_off(s, hook)


async def test_a_body_that_drips_is_cut_and_its_status_counts(s: RunningService, receiver: Receiver) -> None:
    receiver.answer = dripping_body
    hook = await make(s, receiver.url)
    await s.foreign.send(sample(NeedPosted, SYSTEM))
    done = await delivery(s, hook, "succeeded")
    assert set(done["response_excerpt"]) == {"y"}
    assert len(done["response_excerpt"]) < 1024
    assert done["duration_ms"] < 5_000
    await switch_off(s, hook)


async def test_ten_gigabytes_are_not_read(s: RunningService, receiver: Receiver) -> None:
    receiver.answer = ten_gigabytes
    hook = await make(s, receiver.url)
    memory = psutil.Process().memory_info().rss
    begun = time.monotonic()
    await s.foreign.send(sample(NeedPosted, SYSTEM))
    done = await delivery(s, hook, "succeeded")
    assert done["response_excerpt"] == "z" * 1024
    assert time.monotonic() - begun < 20
    assert psutil.Process().memory_info().rss - memory < 50 * 1024**2
    await switch_off(s, hook)


@pytest.mark.parametrize("asked", ["99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_an_absurd_wait_is_cut(s: RunningService, receiver: Receiver, asked: str) -> None:
    wait = await waits(s, receiver, asked)
    assert LONGEST_RETRY_AFTER - timedelta(minutes=1) < wait <= LONGEST_RETRY_AFTER


@pytest.mark.parametrize("asked", ["-5", "soon", "1e3", "Thu, 01 Jan 1970 00:00:00 GMT"])
async def test_a_wait_that_cannot_be_is_the_planned_one(s: RunningService, receiver: Receiver, asked: str) -> None:
    assert await waits(s, receiver, asked) < timedelta(seconds=7)


async def waits(s: RunningService, receiver: Receiver, asked: str) -> timedelta:
    """How long the next attempt is put off when the endpoint asks for this."""
    receiver.answer = status(429, retry_after=asked)
    hook = await make(s, receiver.url)
    await s.foreign.send(sample(NeedPosted, SYSTEM))
    failed = await delivery(s, hook, "failed")
    wait = datetime.fromisoformat(failed["next_attempt_at"]) - datetime.now(UTC)
    await switch_off(s, hook)
    return wait
