"""A real HTTP endpoint for webhooks that keeps what it got and answers as it is told, or misbehaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

Writer = asyncio.StreamWriter
Answer = Callable[[Writer], Awaitable[None]]


@dataclass
class Got:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """The CloudEvent."""
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed

    @property
    def name(self) -> str:
        """`NeedPosted`."""
        return str(self.event["type"]).removeprefix("org.bandung.").rpartition(".v")[0]


def status(code: int, *, body: bytes = b"", **headers: str) -> Answer:
    """An ordinary answer."""
    lines = [f"HTTP/1.1 {code} X", f"content-length: {len(body)}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]

    async def write(writer: Writer) -> None:
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()

    return write


async def endless(writer: Writer) -> None:
    """200 with a body that never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
        await writer.drain()


async def silent(writer: Writer) -> None:
    """No answer until the caller gives up."""
    del writer
    await asyncio.Event().wait()


@dataclass
class Receiver:
    """`async with Receiver() as r:` listens on `r.url`; `r.answers` are used up first, then `r.answer`."""

    answer: Answer = field(default_factory=lambda: status(200))
    answers: list[Answer] = field(default_factory=list)
    got: list[Got] = field(default_factory=list)
    busiest: int = 0
    url: str = ""
    _now: int = 0

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/hook"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        self._now += 1
        self.busiest = max(self.busiest, self._now)
        try:
            self.got.append(await self._read(reader))
            await (self.answers.pop(0) if self.answers else self.answer)(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._now -= 1
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Got:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.split(": ", 1) for line in head[1:] if ": " in line)
        headers = {name.lower(): value for name, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Got(head[0].split()[1], headers, body)

    def names(self) -> list[str]:
        """The types of what came, in order."""
        return [one.name for one in self.got]
