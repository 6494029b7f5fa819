"""The present state of every aggregate as events again, after Kafka or a reader lost theirs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from services.registry import states
from services.registry.commands.places import country_state
from services.registry.store import common, places, trade
from services.registry.tables import CapabilityRow, CentreRow, InstitutionRow, NeedRow, VerificationRow
from shared.events import registry as events
from shared.messaging.envelope import Event
from shared.messaging.transaction import Tx

BATCH = 500
INSTITUTION = {"verified": events.InstitutionVerified, "suspended": events.InstitutionSuspended}
CAPABILITY = {
    "published": events.CapabilityPublished,
    "withdrawn": events.CapabilityWithdrawn,
    "expired": events.CapabilityExpired,
}
NEED = {
    "open": events.NeedPosted,
    "engaged": events.NeedEngaged,
    "fulfilled": events.NeedFulfilled,
    "withdrawn": events.NeedWithdrawn,
    "expired": events.NeedExpired,
}


async def snapshot(tx: Tx) -> AsyncIterator[Event]:
    """One event per aggregate, of the type that led to its status; its row stays locked, so that none is overtaken."""
    by = tx.by
    async for institution in _all(tx, InstitutionRow):
        event = INSTITUTION.get(institution.status, events.InstitutionUpdated)
        yield event(institution=states.institution_state(institution, tx.clock.today()), by=by)
    async for centre in _all(tx, CentreRow):
        yield events.CentreStatusChanged(centre=states.centre_state(centre), by=by)
    async for row, institution in _owned(tx, CapabilityRow):
        yield CAPABILITY[row.status](capability=states.capability_state(row, institution), by=by)
    async for row, institution in _owned(tx, NeedRow):
        yield NEED[row.status](need=states.need_state(row, institution), by=by)
    async for verification in _all(tx, VerificationRow, col(VerificationRow.status) == "submitted"):
        yield events.VerificationSubmitted(verification=states.verification_state(verification), by=by)
    confirmed = await places.confirmations(tx)
    for code, version in (await places.country_versions(tx)).items():
        yield events.CountryStatusChanged(country=country_state(code, version, tx.clock.today(), confirmed), by=by)
    for profile in await trade.lock_profiles(tx):
        yield events.TradeProfileChanged(trade_profile=states.trade_profile_state(profile), by=by)


async def _owned(tx: Tx, kind: Any) -> AsyncIterator[tuple[Any, InstitutionRow]]:  # noqa: ANN401 (a table class)
    """Everything that was ever published or posted, with its institution."""
    async for row in _all(tx, kind, kind.status != "draft"):
        yield row, (await common.with_institutions(tx, [row]))[0].institution


async def _all(tx: Tx, kind: Any, condition: Any = True) -> AsyncIterator[Any]:  # noqa: ANN401 (a table class)
    last = UUID(int=0)
    while True:
        rows = select(kind).where(kind.id > last, condition).order_by(kind.id).limit(BATCH).with_for_update()
        found = list(await tx.session.scalars(rows))
        for row in found:
            yield row
        if len(found) < BATCH:
            return
        last = found[-1].id
