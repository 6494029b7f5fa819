"""Putting events on their way to webhooks, and writing down what came of it."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from services.notifications.commands.intake import happening_of, keep
from services.notifications.commands.webhooks import state_of, switch_off
from services.notifications.domain import retries
from services.notifications.domain import webhooks as rules
from services.notifications.domain.filters import Marks, may_see, wants
from services.notifications.domain.webhooks import (
    EDIT,
    EDITING,
    ENABLED,
    EXHAUSTED,
    FAILED,
    LIFECYCLE,
    PENDING,
)
from services.notifications.store import deliveries, events, positions, webhooks
from shared.events.notifications import WebhookTest
from shared.lifecycle import NotNow
from shared.messaging.envelope import CloudEvent
from shared.ops.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Row

    from services.notifications.channels.webhook import Outcome
    from services.notifications.signals import Signals
    from services.notifications.tables import WebhookRow
    from shared.messaging.outbox import Source
    from shared.messaging.transaction import Tx
    from shared.web.auth import Caller

NO_SEQUENCE = "0000-0000000000"
"""A test event stands in no order."""


async def stamp(tx: Tx, limit: int) -> tuple[int, int]:
    """Gives committed events their places in the feed and puts them on their way to the webhooks that want them.

    Both in one transaction under the counter's lock, so a webhook made before it gets all of them and one made
    after it none. Returns how many events were stamped and how many deliveries made.
    """
    after = await positions.lock(tx.session, positions.FEED)
    rows = await events.unstamped(tx.session, limit)
    if not rows:
        return 0, 0
    await positions.stamp_events(tx.session, [row.id for row in rows], after, tx.clock.real())
    made = fan_out(rows, await webhooks.enabled(tx.session), tx.clock.real())
    await deliveries.add(tx.session, made)
    return len(rows), len(made)


def fan_out(rows: Sequence[Row[Any]], hooks: Sequence[WebhookRow], at: datetime) -> list[dict[str, Any]]:
    """One delivery per event and webhook that may see it and wants it."""
    made = []
    for row in rows:
        marks = Marks(row.name, row.visibility, row.parties, row.countries, row.institutions, row.isic)
        wanted = [h for h in hooks if may_see(marks, h.institution_id) and wants(h.event_types, h.filters, marks)]
        made += [new_delivery(hook.id, row.id, row.event_id, row.name, at) for hook in wanted]
    return made


def new_delivery(
    webhook_id: UUID, event_row: int, event_id: UUID, name: str, at: datetime, *, replay: bool = False
) -> dict[str, Any]:
    """A row that is due at once."""
    return {
        "id": new_id(),
        "webhook_id": webhook_id,
        "event_row": event_row,
        "event_id": event_id,
        "event_name": name,
        "replay": replay,
        "attempt": 0,
        "status": PENDING,
        "response_excerpt": "",
        "next_attempt_at": at,
        "created_at": at,
    }


async def test_webhook(tx: Tx, caller: Caller, webhook_id: UUID, source: Source, signals: Signals) -> UUID:
    """Sends a `WebhookTest`, whatever the types and filters; the delivery's id."""
    hook = await webhooks.get_visible(tx, caller, webhook_id)
    LIFECYCLE.check("test", hook.status, None, caller.hats(owner=[hook.institution_id]))
    event = WebhookTest(webhook=state_of(hook), by=tx.by)
    cloud_event = CloudEvent(
        id=new_id(),
        source=source.urn,
        type=event.wire,
        subject=event.subject(),
        time=tx.now,
        sequence=NO_SEQUENCE,
        partitionkey=str(hook.id),
        correlationid=str(hook.id),
        causationid=None,
        dataschema=f"{source.base_url}/schemas/WebhookTest/1",
        traceparent=None,
        data=event.model_dump_json().encode(),
    )
    row_id = await keep(tx, cloud_event, happening_of(cloud_event, event))
    await tx.audit("WebhookTested", f"webhooks/{hook.id}")
    return await _send(
        tx, new_delivery(hook.id, row_id or 0, cloud_event.id, event.short_name(), tx.clock.real()), signals
    )


async def replay_delivery(tx: Tx, caller: Caller, delivery_id: UUID, signals: Signals) -> UUID:
    """The same event with the same `webhook-id` in a new delivery; its id."""
    old = await deliveries.get_visible(tx, caller, delivery_id)
    hook = await webhooks.get_visible(tx, caller, old.webhook_id)
    EDITING.check(EDIT, hook.status, None, caller.hats(owner=[hook.institution_id]))
    if hook.status != ENABLED:
        raise NotNow("Enable the webhook first.", hook.status, ["enable"])
    await tx.audit("DeliveryReplayed", f"deliveries/{old.id}")
    made = new_delivery(hook.id, old.event_row, old.event_id, old.event_name, tx.clock.real(), replay=True)
    return await _send(tx, made, signals)


async def _send(tx: Tx, made: dict[str, Any], signals: Signals) -> UUID:
    await deliveries.add(tx.session, [made])
    tx.after_commit(signals.due.set)
    delivery_id: UUID = made["id"]
    return delivery_id


async def record_successes(tx: Tx, done: Sequence[tuple[Row[Any], Outcome]], lease_id: UUID) -> None:
    """Many at once: a busy endpoint should not cost a transaction per event."""
    now = tx.clock.real()
    rows = [{"id": claim.id, **_attempted(outcome, claim.attempt + 1, now)} for claim, outcome in done]
    await deliveries.record_successes(tx.session, lease_id, rows)


async def record_failure(tx: Tx, claim: Row[Any], lease_id: UUID, outcome: Outcome, source: Source) -> timedelta | None:
    """Another try later, or the end; 410 switches the webhook off. Returns how long until it is tried again."""
    attempt = claim.attempt + 1
    values = _attempted(outcome, attempt, tx.clock.real())
    hook = await webhooks.lock(tx, claim.webhook_id)  # before the delivery: the lock order
    wait = retries.wait_after(attempt, random.random(), _asked_wait(outcome, tx.clock.real()))  # noqa: S311 (jitter)
    gone = outcome.http_status == retries.GONE
    again = None if gone or hook.status != ENABLED else wait
    values |= _next(again, tx.clock.real())
    if not await deliveries.record(tx.session, claim.id, lease_id, values):
        return None
    if gone and hook.status == ENABLED:
        await switch_off(tx, hook, rules.GONE, source)
    elif wait is None and hook.exhausted_since is None:
        hook.exhausted_since = tx.clock.real()
    return again


def _attempted(outcome: Outcome, attempt: int, now: datetime) -> dict[str, Any]:
    return {
        "attempt": attempt,
        "http_status": outcome.http_status,
        "duration_ms": outcome.duration_ms,
        "response_excerpt": outcome.excerpt,
        "attempted_at": now - timedelta(milliseconds=outcome.duration_ms),
    }


def _next(wait: timedelta | None, now: datetime) -> dict[str, Any]:
    if wait is None:
        return {"status": EXHAUSTED, "next_attempt_at": None}
    return {"status": FAILED, "next_attempt_at": now + wait}


def _asked_wait(outcome: Outcome, now: datetime) -> timedelta | None:
    if outcome.http_status not in retries.ASKS_TO_WAIT:
        return None
    return retries.read_retry_after(outcome.retry_after, now)


async def forgive(tx: Tx, webhook_id: UUID) -> None:
    """A delivery has succeeded after others had ended without success."""
    (await webhooks.lock(tx, webhook_id)).exhausted_since = None


async def purge_deliveries(tx: Tx, kept: timedelta) -> int:
    """Forgets old finished deliveries."""
    return await deliveries.purge(tx.session, tx.clock.real() - kept)
