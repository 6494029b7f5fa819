"""What may stand between a partner and a service: away, answering by itself, or keeping an answer back."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from types import TracebackType


class Gateway:
    """`async with Gateway(url, port)`: passes every connection on, one request each, as `urllib` makes them."""

    def __init__(self, target: str, port: int) -> None:
        self.target, self.port = urlsplit(target), port
        self.url = f"http://127.0.0.1:{port}"
        self.answers: deque[bytes] = deque()
        """Given instead of the service's own, first come first served."""
        self.hold_at: int | None = None
        """From this request on the service is asked, and its answer is not passed back."""
        self.requests = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self.server = await asyncio.start_server(self._begin, "127.0.0.1", self.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests += 1
        held = self.hold_at is not None and self.requests >= self.hold_at
        try:
            if self.answers:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(self.answers.popleft())
                await writer.drain()
            else:
                await self._pass_on(reader, writer, held=held)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # a program that was killed has hung up
        finally:
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, held: bool) -> None:
        answer, request = await asyncio.open_connection(self.target.hostname, self.target.port)
        asking = asyncio.create_task(_pump(reader, request))
        try:
            await (asking if held else _pump(answer, writer))
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            request.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()


def answer(status: str, body: str = "", **headers: str) -> bytes:
    """An answer as a gateway words it."""
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "Connection: close", "", body]).encode()
