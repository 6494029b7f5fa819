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
_ADD = insert(DeliveryRow.metadata.tables["delivery"]).on_conflict_do_nothing()
_webhook: Any = WebhookRow
# per webhook only as many as it may still have in hand, so that a slow one cannot fill all places
_CLAIM = text("""
    update delivery set lease_id = :lease_id, lease_until = :lease_until
    where id in (
        select picked.id
        from webhook
        left join unnest(cast(:known_ids as uuid[]), cast(:known_places as int[])) as known (id, places)
            on known.id = webhook.id
        cross join lateral (
            select d.id
            from delivery d
            where d.webhook_id = webhook.id and d.status in ('pending', 'failed') and d.next_attempt_at <= :now
                and (d.lease_until is null or d.lease_until < :now)
                and (webhook.status = 'enabled' or d.event_name = 'WebhookTest')
            order by d.next_attempt_at, d.id
            limit coalesce(known.places, :each)
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
    if rows:
        await session.execute(_ADD, list(rows))


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
    places: Mapping[UUID, int],
    each: int,
    limit: int,
) -> list[Row[Any]]:
    """Takes due deliveries for this dispatcher: of each webhook as many as it has `places`, else `each`."""
    values = {
        "lease_id": lease_id,
        "lease_until": lease_until,
        "now": now,
        "known_ids": list(places),
        "known_places": list(places.values()),
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


_SUCCEEDED = text("""
    update delivery set status = 'succeeded', next_attempt_at = null, lease_id = null, lease_until = null,
        attempt = done.attempt, http_status = done.http_status, duration_ms = done.duration_ms,
        response_excerpt = done.excerpt, attempted_at = done.attempted_at
    from unnest(cast(:ids as uuid[]), cast(:attempts as int[]), cast(:statuses as int[]), cast(:durations as int[]),
        cast(:excerpts as text[]), cast(:times as timestamptz[]))
        as done (id, attempt, http_status, duration_ms, excerpt, attempted_at)
    where delivery.id = done.id and delivery.lease_id = :lease_id
""")


async def record_successes(session: AsyncSession, lease_id: UUID, rows: Sequence[dict[str, Any]]) -> None:
    """Writes many good ends at once; those whose claim was lost meanwhile are left alone."""
    names = {
        "ids": "id",
        "attempts": "attempt",
        "statuses": "http_status",
        "durations": "duration_ms",
        "excerpts": "response_excerpt",
        "times": "attempted_at",
    }
    values = {given: [row[column] for row in rows] for given, column in names.items()}
    await session.execute(_SUCCEEDED, {"lease_id": lease_id, **values})


async def close_open(session: AsyncSession, webhook_id: UUID) -> None:
    """Nothing more is sent by itself to a webhook that is disabled; each can be replayed."""
    opened = update(DeliveryRow).where(_delivery.webhook_id == webhook_id, _delivery.status.in_(OPEN_DELIVERIES))
    await session.execute(opened.values(status=EXHAUSTED, next_attempt_at=None))


async def purge(session: AsyncSession, before: datetime) -> int:
    """Deletes a thousand old finished deliveries."""
    result: Any = await session.execute(_PURGE, {"before": before})
    return int(result.rowcount)
