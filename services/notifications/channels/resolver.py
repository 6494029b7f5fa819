"""Names to addresses, in threads of its own.

The resolver of the system can hang for half a minute per name and cannot be called off. In the default executor a few
such names would stop everything else that waits there; in threads that are joined they would hold up the end of the
process. So each look-up is a daemon thread, a name has one at a time, and there is a bound for all together.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from typing import Any

THREADS = 32

Found = list[tuple[Any, ...]]


class Resolver:
    """Asks the system's resolver; belongs to one event loop."""

    def __init__(self, threads: int = THREADS) -> None:
        self._free = asyncio.Semaphore(threads)
        self._asked: dict[str, asyncio.Future[Found | Exception]] = {}

    async def ask(self, host: str) -> Found:
        """What `getaddrinfo` finds, however long it takes: the caller sets the bound. Raises what it raises."""
        answer = await asyncio.shield(await self._under_way(host))
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _under_way(self, host: str) -> asyncio.Future[Found | Exception]:
        """The one look-up of this name; whoever gives up while waiting for a thread leaves nothing behind."""
        if host not in self._asked:
            await self._free.acquire()
            if host in self._asked:
                self._free.release()
            else:
                self._begin(host)
        return self._asked[host]

    def _begin(self, host: str) -> None:
        loop = asyncio.get_running_loop()

        def look_up() -> None:
            found = _look_up(host)
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(self._end, host, found)

        try:
            threading.Thread(target=look_up, name="resolver", daemon=True).start()
        except RuntimeError as error:
            self._free.release()
            raise OSError(str(error)) from error
        self._asked[host] = loop.create_future()

    def _end(self, host: str, found: Found | Exception) -> None:
        self._free.release()
        self._asked.pop(host).set_result(found)


def _look_up(host: str) -> Found | Exception:
    try:
        return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except Exception as error:  # noqa: BLE001 (raised again where it was asked)
        return error
