"""Webhooks of an institution; operators see all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from services.notifications.domain.webhooks import ENABLED
from services.notifications.tables import WebhookRow
from shared.data.keyset import page
from shared.web.problems import not_found

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.messaging.transaction import Tx
    from shared.web.auth import Caller
    from shared.web.paging import PageQuery

# the table class as SQL columns: SQLModel declares the types of the values
_webhook: Any = WebhookRow


def _visible(caller: Caller) -> Select[Any]:
    rows = select(_webhook)
    return rows if caller.is_operator else rows.where(_webhook.institution_id == caller.institution_id)


async def get_visible(tx: Tx, caller: Caller, webhook_id: UUID) -> WebhookRow:
    """404 when it is absent or another institution's."""
    return await _one(tx, _visible(caller).where(_webhook.id == webhook_id))


async def lock_visible(tx: Tx, caller: Caller, webhook_id: UUID) -> WebhookRow:
    """The same, locked and as it is now."""
    rows = _visible(caller).where(_webhook.id == webhook_id)
    return await _one(tx, rows.with_for_update().execution_options(populate_existing=True))


async def _one(tx: Tx, rows: Select[Any]) -> WebhookRow:
    row: WebhookRow | None = await tx.session.scalar(rows)
    if row is None:
        raise not_found("webhook")
    return row


async def lock(tx: Tx, webhook_id: UUID) -> WebhookRow:
    """For the service's own work."""
    return await _one(tx, select(_webhook).where(_webhook.id == webhook_id).with_for_update())


async def list_page(
    tx: Tx, caller: Caller, query: PageQuery, *, status: str | None
) -> tuple[list[WebhookRow], str | None]:
    """Newest first."""
    rows = _visible(caller)
    if status is not None:
        rows = rows.where(_webhook.status == status)
    return await page(tx.session, rows, [_webhook.id], query, descending=True)


async def enabled(session: AsyncSession) -> list[WebhookRow]:
    """All that want events."""
    return list(await session.scalars(select(_webhook).where(_webhook.status == ENABLED)))


async def by_id(session: AsyncSession, ids: Iterable[UUID]) -> dict[UUID, WebhookRow]:
    """For the service's own work."""
    rows = select(_webhook).where(_webhook.id.in_(list(ids)))
    return {row.id: row for row in await session.scalars(rows)}


async def failing_since(tx: Tx, before: datetime, limit: int) -> list[WebhookRow]:
    """Enabled ones whose deliveries have ended without success for too long, locked."""
    rows = select(_webhook).where(_webhook.status == ENABLED, _webhook.exhausted_since <= before)
    return list(await tx.session.scalars(rows.limit(limit).with_for_update(skip_locked=True)))
