"""Deliveries: what is due, who has claimed it, what came of it.

Lock order: webhook row before delivery rows. A claim is a lease, so that what a killed dispatcher had in hand
is sent again by another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert

from services.notifications.domain.webhooks import EXHAUSTED, OPEN_DELIVERIES
from services.notifications.tables import DeliveryRow, WebhookRow
from shared.data.keyset import page
from shared.web.problems import not_found

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.messaging.transaction import Tx
    from shared.web.auth import Caller
    from shared.web.paging import PageQuery

# the table class as SQL columns: SQLModel declares the types of the values
_delivery: Any = DeliveryRow
_webhook: Any = WebhookRow
# per webhook only as many as it may still have in hand, so that a slow one cannot fill all places
_CLAIM = text("""
    update delivery set lease_id = :lease_id, lease_until = :lease_until
    where id in (
        select picked.id
        from webhook
        left join unnest(cast(:busy_ids as uuid[]), cast(:busy_counts as int[])) as busy (id, in_hand)
            on busy.id = webhook.id
        cross join lateral (
            select d.id
            from delivery d
            where d.webhook_id = webhook.id and d.status in ('pending', 'failed') and d.next_attempt_at <= :now
                and (d.lease_until is null or d.lease_until < :now)
                and (webhook.status = 'enabled' or d.event_name = 'WebhookTest')
            order by d.next_attempt_at, d.id
            limit greatest(0, :each - coalesce(busy.in_hand, 0))
            for update skip locked
        ) as picked
        limit :limit
    )
    returning id, webhook_id, event_row, attempt
""")
_PURGE = text("""
    delete from delivery where id = any(array(
        select id from delivery where status in ('succeeded', 'exhausted') and created_at < :before limit 1000
    ))
""")


async def add(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """New deliveries; an event goes to a webhook once, replays apart."""
    for start in range(0, len(rows), 1000):
        await session.execute(insert(DeliveryRow).values(list(rows[start : start + 1000])).on_conflict_do_nothing())


async def list_page(
    tx: Tx, webhook_id: UUID, query: PageQuery, *, status: str | None
) -> tuple[list[DeliveryRow], str | None]:
    """Deliveries of a webhook that the caller may see, newest first."""
    rows = select(_delivery).where(_delivery.webhook_id == webhook_id)
    if status is not None:
        rows = rows.where(_delivery.status == status)
    return await page(tx.session, rows, [_delivery.id], query, descending=True)


async def get_visible(tx: Tx, caller: Caller, delivery_id: UUID) -> DeliveryRow:
    """404 when it is absent or of another institution's webhook."""
    rows = select(_delivery).join(WebhookRow, _webhook.id == _delivery.webhook_id)
    if not caller.is_operator:
        rows = rows.where(_webhook.institution_id == caller.institution_id)
    row: DeliveryRow | None = await tx.session.scalar(rows.where(_delivery.id == delivery_id))
    if row is None:
        raise not_found("delivery")
    return row


async def claim(
    session: AsyncSession,
    lease_id: UUID,
    lease_until: datetime,
    now: datetime,
    *,
    busy: Mapping[UUID, int],
    each: int,
    limit: int,
) -> list[Row[Any]]:
    """Takes due deliveries for this dispatcher."""
    values = {
        "lease_id": lease_id,
        "lease_until": lease_until,
        "now": now,
        "busy_ids": list(busy),
        "busy_counts": list(busy.values()),
        "each": each,
        "limit": limit,
    }
    return list((await session.execute(_CLAIM, values)).all())


async def extend(session: AsyncSession, lease_id: UUID, ids: Sequence[UUID], until: datetime) -> None:
    """Keeps the claims on what is still on its way."""
    mine = update(DeliveryRow).where(_delivery.id.in_(ids), _delivery.lease_id == lease_id)
    await session.execute(mine.values(lease_until=until))


async def record(session: AsyncSession, delivery_id: UUID, lease_id: UUID, values: dict[str, Any]) -> bool:
    """Writes what came of an attempt; False when the claim was lost meanwhile."""
    mine = update(DeliveryRow).where(_delivery.id == delivery_id, _delivery.lease_id == lease_id)
    result: Any = await session.execute(mine.values(**values, lease_id=None, lease_until=None))
    return bool(result.rowcount)


async def close_open(session: AsyncSession, webhook_id: UUID) -> None:
    """Nothing more is sent by itself to a webhook that is disabled; each can be replayed."""
    opened = update(DeliveryRow).where(_delivery.webhook_id == webhook_id, _delivery.status.in_(OPEN_DELIVERIES))
    await session.execute(opened.values(status=EXHAUSTED, next_attempt_at=None))


async def purge(session: AsyncSession, before: datetime) -> int:
    """Deletes a thousand old finished deliveries."""
    result: Any = await session.execute(_PURGE, {"before": before})
    return int(result.rowcount)
