"""HTTP servers that live in a loop with others: no signals and no ticks of their own, and an end that is an end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HTTP_SECONDS = 3.0
ASKING_SECONDS = 0.1


class HttpServer(uvicorn.Server):
    """uvicorn without its own signal handlers (the process has one) and without its ticks, ten a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._asked = asyncio.Event()

    def ask_to_stop(self) -> None:
        """Finish the requests that run, then end."""
        self.should_exit = True
        self._asked.set()

    async def main_loop(self) -> None:
        """Until asked to stop: what a tick is for, the Date header, is written by `_dated`."""
        await self._asked.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends every connection, also one that was being accepted meanwhile.

        uvicorn tells only those that it has at that moment; another one would be served until the process ends, and
        beyond the end of all it needs.
        """
        asking = asyncio.create_task(self._keep_asking())
        try:
            await super().shutdown(sockets)
        finally:
            asking.cancel()
            for connection in list(self.server_state.connections):
                connection.transport.abort()

    async def _keep_asking(self) -> None:
        while True:
            await asyncio.sleep(ASKING_SECONDS)
            for connection in list(self.server_state.connections):
                connection.shutdown()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are handled by `stop_event`, or by whoever runs several services."""
        yield


def http_server(app: Any, host: str, port: int) -> HttpServer:  # noqa: ANN401 (any ASGI application)
    """A server for one application; the process keeps its signals to itself."""
    return HttpServer(
        uvicorn.Config(
            _dated(app),
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=int(HTTP_SECONDS),
            timeout_keep_alive=30,
            server_header=False,
            date_header=False,
            h11_max_incomplete_event_size=32_768,
        )
    )


def _dated(app: ASGIApp) -> ASGIApp:
    """Adds the Date of each answer."""

    async def dated(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", []).append((b"date", formatdate(usegmt=True).encode()))
            await send(message)

        await app(scope, receive, sending)

    return dated


class CannotListen(Exception):  # noqa: N818 (said to a person as it is)
    """The port cannot be had."""


async def listening(server: HttpServer, name: str) -> asyncio.Task[None]:
    """Starts the server and waits until it serves. Raises `CannotListen` with one clear line."""
    host, port = server.config.host, server.config.port
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CannotListen(f"{name} cannot listen on {host}:{port}: {error.strerror or error}") from error
    task: asyncio.Task[None] = asyncio.create_task(server.serve(sockets=[listener]), name=f"{name}-http")
    try:
        while not server.started and not task.done():  # noqa: ASYNC110 (uvicorn has a flag, no event)
            await asyncio.sleep(0.005)
    except asyncio.CancelledError:
        task.cancel()  # nobody knows of it yet
        raise
    return task
