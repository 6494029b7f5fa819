"""Webhooks and their deliveries."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query

from services.notifications.commands import deliveries as sending
from services.notifications.commands import webhooks as commands
from services.notifications.domain.webhooks import EDIT, EDITING, LIFECYCLE
from services.notifications.parts import PartsDep
from services.notifications.schemas.webhooks import (
    Accepted,
    DeliveryOut,
    DeliveryStatus,
    FiltersOut,
    WebhookIn,
    WebhookOut,
    WebhookPatch,
    WebhookStatus,
)
from services.notifications.store import deliveries, webhooks
from services.notifications.tables import DeliveryRow, WebhookRow
from shared.api import CallerDep, Nothing, Router, TxDep
from shared.web.auth import SIGNED_IN, Caller, only
from shared.web.paging import Page, Paging
from shared.web.versions import IfMatch

router = Router("webhooks")


@router.post("/webhooks", only("owner"), status=201, refuses=("wrong_institution", "webhook_url_forbidden"))
async def create_webhook(tx: TxDep, caller: CallerDep, parts: PartsDep, body: WebhookIn) -> WebhookOut:
    """Makes an enabled webhook; the answer is the only one that shows its secret."""
    row = await commands.create_webhook(tx, caller, body, parts.guard)
    return show(row, caller, secret=row.secret)


@router.get("/webhooks", SIGNED_IN)
async def list_webhooks(
    tx: TxDep, caller: CallerDep, paging: Paging, status: Annotated[WebhookStatus | None, Query()] = None
) -> Page[WebhookOut]:
    """Those of your institution, newest first; an operator sees all."""
    rows, after = await webhooks.list_page(tx, caller, paging, status=status)
    return Page(items=[show(row, caller) for row in rows], next=after)


@router.get("/webhooks/{webhook_id}", SIGNED_IN)
async def get_webhook(tx: TxDep, caller: CallerDep, webhook_id: UUID) -> WebhookOut:
    """One webhook."""
    return show(await webhooks.get_visible(tx, caller, webhook_id), caller)


@router.patch(
    "/webhooks/{webhook_id}", SIGNED_IN, by=EDITING.who(EDIT), refuses=EDITING.codes(EDIT) | {"webhook_url_forbidden"}
)
async def update_webhook(
    tx: TxDep, caller: CallerDep, parts: PartsDep, webhook_id: UUID, body: WebhookPatch, if_match: IfMatch
) -> WebhookOut:
    """JSON merge patch of URL, description, event types and filters."""
    return show(await commands.update_webhook(tx, caller, webhook_id, body, if_match, parts.guard), caller)


@router.post(
    "/webhooks/{webhook_id}/test", SIGNED_IN, by=LIFECYCLE.who("test"), status=202, refuses=LIFECYCLE.codes("test")
)
async def test_webhook(tx: TxDep, caller: CallerDep, parts: PartsDep, webhook_id: UUID, body: Nothing) -> Accepted:
    """Sends a `WebhookTest`, also while the webhook is disabled."""
    del body
    return Accepted(delivery_id=await sending.test_webhook(tx, caller, webhook_id, parts.source, parts.signals))


@router.post(
    "/webhooks/{webhook_id}/rotate-secret",
    SIGNED_IN,
    by=LIFECYCLE.who("rotate-secret"),
    refuses=LIFECYCLE.codes("rotate-secret"),
)
async def rotate_webhook_secret(
    tx: TxDep, caller: CallerDep, webhook_id: UUID, body: Nothing, if_match: IfMatch
) -> WebhookOut:
    """A new secret; until `previous_valid_until` both sign."""
    del body
    row = await commands.rotate_secret(tx, caller, webhook_id, if_match)
    return show(row, caller, secret=row.secret)


@router.post(
    "/webhooks/{webhook_id}/disable", SIGNED_IN, by=LIFECYCLE.who("disable"), refuses=LIFECYCLE.codes("disable")
)
async def disable_webhook(
    tx: TxDep, caller: CallerDep, parts: PartsDep, webhook_id: UUID, body: Nothing, if_match: IfMatch
) -> WebhookOut:
    """Nothing more is sent; open deliveries end and can be replayed after `enable`."""
    del body
    return show(await commands.disable_webhook(tx, caller, webhook_id, if_match, parts.source), caller)


@router.post("/webhooks/{webhook_id}/enable", SIGNED_IN, by=LIFECYCLE.who("enable"), refuses=LIFECYCLE.codes("enable"))
async def enable_webhook(
    tx: TxDep, caller: CallerDep, webhook_id: UUID, body: Nothing, if_match: IfMatch
) -> WebhookOut:
    """It gets the events from now on."""
    del body
    return show(await commands.enable_webhook(tx, caller, webhook_id, if_match), caller)


@router.get("/webhooks/{webhook_id}/deliveries", SIGNED_IN)
async def list_deliveries(
    tx: TxDep,
    caller: CallerDep,
    webhook_id: UUID,
    paging: Paging,
    status: Annotated[DeliveryStatus | None, Query()] = None,
) -> Page[DeliveryOut]:
    """What was sent and what came of it, newest first."""
    hook = await webhooks.get_visible(tx, caller, webhook_id)
    rows, after = await deliveries.list_page(tx, hook.id, paging, status=status)
    return Page(items=[show_delivery(row) for row in rows], next=after)


@router.get("/deliveries/{delivery_id}", SIGNED_IN)
async def get_delivery(tx: TxDep, caller: CallerDep, delivery_id: UUID) -> DeliveryOut:
    """One delivery."""
    return show_delivery(await deliveries.get_visible(tx, caller, delivery_id))


@router.post(
    "/deliveries/{delivery_id}/replay", SIGNED_IN, by=EDITING.who(EDIT), status=202, refuses=EDITING.codes(EDIT)
)
async def replay_delivery(tx: TxDep, caller: CallerDep, parts: PartsDep, delivery_id: UUID, body: Nothing) -> Accepted:
    """Sends the same event again, with the same `webhook-id`, as a new delivery."""
    del body
    return Accepted(delivery_id=await sending.replay_delivery(tx, caller, delivery_id, parts.signals))


def show(row: WebhookRow, caller: Caller, *, secret: str | None = None) -> WebhookOut:
    """As this caller sees it."""
    hats = caller.hats(owner=[row.institution_id])
    return WebhookOut(
        id=row.id,
        version=row.version,
        status=row.status,
        institution_id=row.institution_id,
        url=row.url,
        description=row.description,
        event_types=row.event_types,
        filters=FiltersOut(**row.filters),
        secret=secret,
        previous_valid_until=row.previous_valid_until,
        reason={"code": row.reason_code} if row.reason_code else None,
        created_at=row.created_at,
        updated_at=row.updated_at,
        actions=LIFECYCLE.actions(row.status, None, hats),
    )


def show_delivery(row: DeliveryRow) -> DeliveryOut:
    """Without the lease."""
    return DeliveryOut(
        id=row.id,
        webhook_id=row.webhook_id,
        event_id=row.event_id,
        event_type=row.event_name,
        attempt=row.attempt,
        status=row.status,
        http_status=row.http_status,
        duration_ms=row.duration_ms,
        response_excerpt=row.response_excerpt,
        attempted_at=row.attempted_at,
        next_attempt_at=row.next_attempt_at,
    )
