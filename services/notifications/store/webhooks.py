"""Webhooks of an institution; operators see all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from services.notifications.domain.webhooks import ENABLED
from services.notifications.tables import WebhookRow
from shared.data.keyset import page
from shared.web.problems import not_found

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.messaging.transaction import Tx
    from shared.web.auth import Caller
    from shared.web.paging import PageQuery


def _visible(caller: Caller) -> Select[Any]:
    rows = select(WebhookRow)
    return rows if caller.is_operator else rows.where(WebhookRow.institution_id == caller.institution_id)  # type: ignore[arg-type]


async def get_visible(tx: Tx, caller: Caller, webhook_id: UUID) -> WebhookRow:
    """404 when it is absent or another institution's."""
    return await _one(tx, _visible(caller).where(WebhookRow.id == webhook_id))  # type: ignore[arg-type]


async def lock_visible(tx: Tx, caller: Caller, webhook_id: UUID) -> WebhookRow:
    """The same, locked and as it is now."""
    rows = _visible(caller).where(WebhookRow.id == webhook_id)  # type: ignore[arg-type]
    return await _one(tx, rows.with_for_update().execution_options(populate_existing=True))


async def _one(tx: Tx, rows: Select[Any]) -> WebhookRow:
    row: WebhookRow | None = await tx.session.scalar(rows)
    if row is None:
        raise not_found("webhook")
    return row


async def lock(tx: Tx, webhook_id: UUID) -> WebhookRow:
    """For the service's own work."""
    return await _one(tx, select(WebhookRow).where(WebhookRow.id == webhook_id).with_for_update())  # type: ignore[arg-type]


async def list_page(
    tx: Tx, caller: Caller, query: PageQuery, *, status: str | None
) -> tuple[list[WebhookRow], str | None]:
    """Newest first."""
    rows = _visible(caller)
    if status is not None:
        rows = rows.where(WebhookRow.status == status)  # type: ignore[arg-type]
    return await page(tx.session, rows, [WebhookRow.id], query, descending=True)  # type: ignore[list-item]


async def enabled(session: AsyncSession) -> list[WebhookRow]:
    """All that want events."""
    return list(await session.scalars(select(WebhookRow).where(WebhookRow.status == ENABLED)))  # type: ignore[arg-type]


async def failing_since(tx: Tx, before: datetime, limit: int) -> list[WebhookRow]:
    """Enabled ones whose deliveries have ended without success for too long, locked."""
    rows = select(WebhookRow).where(WebhookRow.status == ENABLED, WebhookRow.exhausted_since <= before)  # type: ignore[arg-type, operator]
    return list(await tx.session.scalars(rows.limit(limit).with_for_update(skip_locked=True)))
