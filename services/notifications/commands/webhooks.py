"""Making, changing and switching webhooks. Lock order: the feed's counter, then the webhook, then its deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.notifications.channels.ssrf import Forbidden, Guard
from services.notifications.commands.intake import take_in_own
from services.notifications.domain import webhooks as rules
from services.notifications.domain.webhooks import DISABLED, EDIT, EDITING, ENABLED, LIFECYCLE
from services.notifications.store import deliveries, positions, webhooks
from services.notifications.tables import WebhookRow
from shared.events.notifications import WebhookDisabled, WebhookState
from shared.events.states import Reason
from shared.lifecycle import Invalid
from shared.ops.ids import new_id
from shared.web.problems import refuse

if TYPE_CHECKING:
    from uuid import UUID

    from services.notifications.schemas.webhooks import WebhookIn, WebhookPatch
    from shared.messaging.outbox import Source
    from shared.messaging.transaction import Tx
    from shared.web.auth import Caller
    from shared.web.versions import Precondition

FILTERS = ("countries", "isic", "institution_ids")


async def create_webhook(tx: Tx, caller: Caller, body: WebhookIn, guard: Guard) -> WebhookRow:
    """It gets what is stamped after this transaction: the counter is locked until then."""
    institution_id = caller.acting_institution(body.institution_id)
    await check_url(guard, body.url)
    await positions.lock(tx.session, positions.FEED)
    row = WebhookRow(
        id=new_id(),
        status=ENABLED,
        institution_id=institution_id,
        url=body.url,
        description=body.description,
        event_types=body.event_types,
        filters=body.filters.model_dump(mode="json"),
        secret=rules.new_secret(),
        created_at=tx.now,
        updated_at=tx.now,
    )
    tx.session.add(row)
    await tx.audit("WebhookCreated", f"webhooks/{row.id}")
    return row


async def check_url(guard: Guard, url: str) -> None:
    """Raises `webhook_url_forbidden`."""
    try:
        await guard.check(url)
    except Forbidden as error:
        pointed = {"pointer": "/url", "code": "webhook_url_forbidden", "message": str(error)}
        raise refuse("webhook_url_forbidden", str(error), errors=[pointed]) from error


async def update_webhook(
    tx: Tx, caller: Caller, webhook_id: UUID, patch: WebhookPatch, if_match: Precondition, guard: Guard
) -> WebhookRow:
    """Changes what was sent; deliveries on their way stay as they are."""
    seen = await webhooks.get_visible(tx, caller, webhook_id)
    EDITING.permit(EDIT, caller.hats(owner=[seen.institution_id]))
    if_match.check(seen.version)
    given = patch.given()
    _refuse_nulls(given)
    if "url" in given:
        await check_url(guard, given["url"])  # may ask a resolver, so before the row is locked
    row = await webhooks.lock_visible(tx, caller, webhook_id)
    if_match.check(row.version)
    _apply(row, given)
    await _changed(tx, row, "WebhookUpdated")
    return row


def _refuse_nulls(given: dict[str, Any]) -> None:
    for name in ("url", "event_types"):
        if name in given and given[name] is None:
            raise Invalid(f"/{name}", "This cannot be taken away", "missing")


def _apply(row: WebhookRow, given: dict[str, Any]) -> None:
    row.url = given.get("url", row.url)
    row.event_types = given.get("event_types", row.event_types)
    row.description = given.get("description", row.description) or ""
    if "filters" in given:
        sent = (
            given["filters"].model_dump(mode="json", exclude_unset=True) if given["filters"] else dict.fromkeys(FILTERS)
        )
        row.filters = {**row.filters, **{name: value or [] for name, value in sent.items()}}


async def _changed(tx: Tx, row: WebhookRow, action: str) -> None:
    row.version += 1
    row.updated_at = tx.now
    await tx.audit(action, f"webhooks/{row.id}")


async def rotate_secret(tx: Tx, caller: Caller, webhook_id: UUID, if_match: Precondition) -> WebhookRow:
    """The old secret signs beside the new one for 24 hours of real time."""
    row = await _locked(tx, caller, webhook_id, "rotate-secret", if_match)
    row.previous_secret, row.secret = row.secret, rules.new_secret()
    row.previous_valid_until = tx.clock.real() + rules.OLD_SECRET_KEPT
    await _changed(tx, row, "WebhookSecretRotated")
    return row


async def disable_webhook(
    tx: Tx, caller: Caller, webhook_id: UUID, if_match: Precondition, source: Source
) -> WebhookRow:
    """By its owner or an operator."""
    row = await _locked(tx, caller, webhook_id, "disable", if_match)
    await switch_off(tx, row, rules.SWITCHED_OFF, source)
    return row


async def switch_off(tx: Tx, row: WebhookRow, reason: str, source: Source) -> None:
    """Ends its deliveries and tells; the row is locked."""
    row.status, row.reason_code = DISABLED, reason
    row.version += 1
    row.updated_at = tx.now
    await deliveries.close_open(tx.session, row.id)
    await take_in_own(tx, WebhookDisabled(webhook=state_of(row), by=tx.by), source)


async def enable_webhook(tx: Tx, caller: Caller, webhook_id: UUID, if_match: Precondition) -> WebhookRow:
    """It gets what is stamped from now on; what a race left over from before is not sent."""
    await webhooks.get_visible(tx, caller, webhook_id)
    await positions.lock(tx.session, positions.FEED)
    row = await _locked(tx, caller, webhook_id, "enable", if_match)
    await deliveries.close_open(tx.session, row.id)
    row.status, row.reason_code = ENABLED, None
    row.exhausted_since = None
    await _changed(tx, row, "WebhookEnabled")
    return row


async def _locked(tx: Tx, caller: Caller, webhook_id: UUID, action: str, if_match: Precondition) -> WebhookRow:
    row = await webhooks.lock_visible(tx, caller, webhook_id)
    hats = caller.hats(owner=[row.institution_id])
    LIFECYCLE.permit(action, hats)
    if_match.check(row.version)
    LIFECYCLE.check(action, row.status, None, hats)
    return row


def state_of(row: WebhookRow) -> WebhookState:
    """Its state in events: without the secrets, and of the URL only scheme and host."""
    return WebhookState(
        id=row.id,
        version=row.version,
        status=row.status,
        institution_id=row.institution_id,
        url=rules.place_of(row.url),
        event_types=row.event_types,
        reason=Reason(code=row.reason_code) if row.reason_code else None,
    )


async def disable_failing(tx: Tx, source: Source) -> int:
    """Switches off what has not taken a delivery for five days; returns how many."""
    before = tx.clock.real() - rules.DISABLE_AFTER
    rows = await webhooks.failing_since(tx, before, 20)
    for row in rows:
        await switch_off(tx, row, rules.FAILING, source)
    return len(rows)
