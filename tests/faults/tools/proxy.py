"""A TCP proxy on loopback that makes a network as bad as wished: latency, stalls, half-open connections, resets.

`KafkaProxy` reads the frames of the Kafka protocol too: it puts its own address in the place of the broker's, so that
clients come back to it, and can swallow the answers to produce requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

HOST = "127.0.0.1"
CHUNK = 65_536
PRODUCE, METADATA, FIND_COORDINATOR = 0, 3, 10


@dataclass
class TcpProxy:
    """Forwards to a port of this machine. `did` counts what it did to its connections, so that no fault is vacuous."""

    upstream: int
    latency_seconds: float = 0.0
    did: Counter[str] = field(default_factory=Counter)
    _open: set[_Link] = field(default_factory=set)
    _flowing: asyncio.Event = field(default_factory=asyncio.Event)
    _deaf: bool = False

    async def __aenter__(self) -> Self:
        self._flowing.set()
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.reset()
        for link in list(self._open):
            link.cancel()

    @property
    def address(self) -> str:
        """Where clients connect."""
        return f"{HOST}:{self.port}"

    def stall(self) -> None:
        """Nothing moves any more; what was sent meanwhile arrives after `heal`."""
        self._flowing.clear()

    def go_deaf(self) -> None:
        """Half open: connections stand, new ones are taken, and every byte is lost. After `heal` old ones stay dead."""
        self._deaf = True
        for link in self._open:
            link.deaf = True

    def reset(self) -> None:
        """Ends every connection with a reset."""
        for link in list(self._open):
            link.reset()
            self.did["reset"] += 1

    def heal(self) -> None:
        """A good network again."""
        self.latency_seconds, self._deaf = 0.0, False
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self, writer, deaf=self._deaf)
        self._open.add(link)
        try:
            await link.run(reader)
        finally:
            self._open.discard(link)

    async def pass_on(self, chunk: bytes, to: asyncio.StreamWriter, link: _Link) -> None:
        """One chunk on its way, as the network is now."""
        if self.latency_seconds:
            # a long line delays, but many chunks may be on it
            self.did["delayed"] += 1
            loop = asyncio.get_running_loop()
            loop.call_at(loop.time() + self.latency_seconds, _write, to, chunk)
            return
        if not self._flowing.is_set():
            self.did["stalled"] += 1
            await self._flowing.wait()
        if link.deaf:
            self.did["lost"] += 1
            return
        to.write(chunk)
        await to.drain()

    async def requests(self, link: _Link, reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        """From the client to the server."""
        while chunk := await reader.read(CHUNK):
            await self.pass_on(chunk, to, link)

    async def answers(self, link: _Link, reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        """From the server to the client."""
        while chunk := await reader.read(CHUNK):
            await self.pass_on(chunk, to, link)


def _write(to: asyncio.StreamWriter, chunk: bytes) -> None:
    if not to.transport.is_closing():
        to.write(chunk)


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy: TcpProxy, client: asyncio.StreamWriter, *, deaf: bool) -> None:
        self.proxy, self.client, self.deaf = proxy, client, deaf
        self.asked: dict[int, int] = {}
        self._task = asyncio.current_task()
        self._server: asyncio.StreamWriter | None = None

    async def run(self, reader: asyncio.StreamReader) -> None:
        try:
            back, self._server = await asyncio.open_connection(HOST, self.proxy.upstream)
        except OSError:
            self.client.transport.abort()
            return
        pumps = [
            asyncio.create_task(self.proxy.requests(self, reader, self._server)),
            asyncio.create_task(self.proxy.answers(self, back, self.client)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            if self.deaf:  # the other side may close, nobody is told
                await asyncio.wait(pumps)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._close()

    def reset(self) -> None:
        sock = self.client.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.transport.abort()
        if self._server is not None:
            self._server.transport.abort()

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _close(self) -> None:
        self.client.transport.abort()
        if self._server is not None:
            self._server.transport.abort()


@dataclass
class KafkaProxy(TcpProxy):
    """In front of a broker that names itself 127.0.0.1."""

    swallow: int = 0
    """How many of the next answers to produce requests are lost (with their connection still open)."""

    async def requests(self, link: _Link, reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        while True:
            frame = await _frame(reader)
            if frame is None:
                return
            key, _, correlation = struct.unpack_from(">hhi", frame, 4)
            link.asked[correlation] = key
            await self.pass_on(frame, to, link)

    async def answers(self, link: _Link, reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        real, own = (HOST.encode() + struct.pack(">i", port) for port in (self.upstream, self.port))
        while True:
            frame = await _frame(reader)
            if frame is None:
                return
            (correlation,) = struct.unpack_from(">i", frame, 4)
            key = link.asked.pop(correlation, None)
            if key == PRODUCE and self.swallow > 0:
                self.swallow -= 1
                self.did["swallowed"] += 1
                continue
            if key in (METADATA, FIND_COORDINATOR):
                frame = frame.replace(real, own)
            await self.pass_on(frame, to, link)


async def _frame(reader: asyncio.StreamReader) -> bytes | None:
    try:
        size = await reader.readexactly(4)
        return size + await reader.readexactly(int.from_bytes(size))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
