"""Webhooks and their deliveries, as their owners handle them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import text

from tests.support.samples import LIDI
from tests.support.stack import RunningService
from tests.support.waiting import eventually


def owner(s: RunningService, one: UUID = LIDI) -> dict[str, str]:
    return s.token("owner", institution_id=one)


async def make(s: RunningService, url: str, who: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
    """A webhook, as the answer to its creation shows it."""
    wanted = {"url": url, "event_types": ["NeedPosted"]} | body
    answer = await s.client.post("/webhooks", headers=who or owner(s), json=wanted)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def post(s: RunningService, path: str, who: dict[str, str], *, match: str | None = "*", expect: int = 200) -> Any:
    headers = who | ({"If-Match": match} if match else {})
    answer = await s.client.post(path, headers=headers)
    assert answer.status_code == expect, answer.text
    return answer.json()


async def switch_off(s: RunningService, hook: dict[str, Any], who: dict[str, str] | None = None) -> None:
    """So that a later test's events go elsewhere."""
    await post(s, f"/webhooks/{hook['id']}/disable", who or owner(s))


async def deliveries(
    s: RunningService, hook: dict[str, Any], who: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    answer = await s.client.get(f"/webhooks/{hook['id']}/deliveries", headers=who or owner(s))
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def delivery(
    s: RunningService, hook: dict[str, Any], state: str, who: dict[str, str] | None = None
) -> dict[str, Any]:
    """The newest delivery, once it is in this state."""

    async def find() -> dict[str, Any] | None:
        found = await deliveries(s, hook, who)
        return found[0] if found and found[0]["status"] == state else None

    return await eventually(find)


async def sql(s: RunningService, statement: str, **values: Any) -> None:
    async with s.running.database.background_session() as session:
        await session.execute(text(statement), values)
        await session.commit()
