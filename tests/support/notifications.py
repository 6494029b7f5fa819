"""The inbox and its streams, as their readers see them."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.support.stack import RunningService
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx


async def inbox(s: RunningService, who: dict[str, str], **query: Any) -> dict[str, Any]:
    answer = await s.client.get("/inbox", headers=who, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def told_of(s: RunningService, who: dict[str, str], event_id: Any) -> dict[str, Any]:
    """The entry about this event, once it is there."""

    async def find() -> dict[str, Any] | None:
        page = await inbox(s, who, limit=200)
        return next((item for item in page["items"] if item["event_id"] == str(event_id)), None)

    return await eventually(find)


class Stream:
    """A reader of server-sent events."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def next(self, seconds: float = 60.0) -> dict[str, str]:
        """The next message (comments are passed over)."""
        found: dict[str, str] = {}
        async with asyncio.timeout(seconds):
            async for line in self._lines:
                if not line and found:
                    return found
                if line and not line.startswith(":"):
                    name, _, value = line.partition(": ")
                    found[name] = value
        raise EOFError

    async def item(self) -> dict[str, Any]:
        """The next message's data."""
        parsed: dict[str, Any] = json.loads((await self.next())["data"])
        return parsed

    async def opened(self) -> None:
        """Returns once the server has begun to answer."""
        async for line in self._lines:
            if line.startswith(": open"):
                return


@asynccontextmanager
async def stream(s: RunningService, path: str, who: dict[str, str], **headers: str) -> AsyncIterator[Stream]:
    wanted = {"Accept": "text/event-stream"} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with s.client.stream("GET", path, headers=who | wanted) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        opened = Stream(response)
        await opened.opened()
        yield opened
