"""How a server of the kernel ends: with every connection, and with the answer to what had begun."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING, Annotated

import pytest
from fastapi import Depends

from shared.api import Router
from shared.web.auth import PUBLIC
from shared.web.server import HTTP_SECONDS, http_server, listening
from tests.support.stack import free_port

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

pytestmark = pytest.mark.asyncio


def in_a_thread() -> int:
    return 1


async def answering(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


@pytest.mark.parametrize("ticks", [0, 2, 3, 4])  # after one asyncio itself forgets the connection, and closes it late
async def test_a_connection_that_comes_while_the_server_ends_does_not_outlive_it(ticks: int) -> None:
    # the loop accepts a connection in some ticks, and uvicorn tells the ones it has of the end in one of these
    server = http_server(answering, "127.0.0.1", free_port())
    task = await listening(server, "probe")
    with socket.create_connection(("127.0.0.1", server.config.port)):
        for _ in range(ticks):
            await asyncio.sleep(0)
        begun = time.monotonic()
        server.ask_to_stop()
        await asyncio.wait_for(task, 2 * HTTP_SECONDS)
        assert time.monotonic() - begun < HTTP_SECONDS / 2
        assert not server.server_state.connections


async def test_a_request_that_has_begun_is_answered_and_its_connection_ends() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await go_on.wait()
        await answering(scope, receive, send)

    server = http_server(slow, "127.0.0.1", free_port())
    task = await listening(server, "probe")
    reader, writer = await asyncio.open_connection("127.0.0.1", server.config.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: probe\r\n\r\n")
    await begun.wait()
    server.ask_to_stop()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    answer = await asyncio.wait_for(reader.read(), HTTP_SECONDS)
    assert answer.startswith(b"HTTP/1.1 204")
    await asyncio.wait_for(task, HTTP_SECONDS)
    writer.close()


async def test_a_dependency_that_would_run_in_a_thread_is_refused() -> None:
    async def list_probes(number: Annotated[int, Depends(in_a_thread)]) -> int:
        return number

    with pytest.raises(TypeError, match=r"/probes depends on .*in_a_thread.*async def"):
        Router("probes").get("/probes", PUBLIC)(list_probes)
