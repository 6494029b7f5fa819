"""Bad times of a network, as long as a `with` block lasts."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from tests.faults.tools.proxy import TcpProxy


@contextlib.contextmanager
def healed_at_the_end(proxies: Iterable[TcpProxy]) -> Iterator[None]:
    """A good network again, also when the test fails."""
    for proxy in proxies:
        proxy.did.clear()
    try:
        yield
    finally:
        for proxy in proxies:
            proxy.heal()


@contextlib.asynccontextmanager
async def resets(proxies: Iterable[TcpProxy], every_seconds: float) -> AsyncIterator[None]:
    """Every connection is reset again and again."""

    async def again() -> None:
        while True:
            await asyncio.sleep(every_seconds)
            for proxy in proxies:
                proxy.reset()

    task = asyncio.create_task(again())
    try:
        yield
    finally:
        task.cancel()


def done(proxies: Iterable[TcpProxy], what: str) -> str:
    """`12 x stalled`, or nothing when it never happened."""
    times = sum(proxy.did[what] for proxy in proxies)
    return f"{times} x {what}" if times else ""
