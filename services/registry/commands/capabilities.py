"""Capabilities: create, change, publish, withdraw, renew, expire."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from services.registry.commands.common import admit, apply, caller_of, merged
from services.registry.domain import capabilities as rules
from services.registry.domain.common import Standing, check_reason
from services.registry.schemas.capabilities import CapabilityFields, CapabilityIn, RenewIn, WithdrawIn
from services.registry.states import capability_state
from services.registry.store import institutions, offers, places
from services.registry.store.common import Owned, touch
from services.registry.tables import CapabilityRow, InstitutionRow
from shared.events.registry import (
    CapabilityEvent,
    CapabilityExpired,
    CapabilityPublished,
    CapabilityUpdated,
    CapabilityWithdrawn,
)
from shared.lifecycle import Invalid, Lifecycle, Step
from shared.messaging.transaction import Tx
from shared.ops.ids import new_id
from shared.web.versions import ANY_VERSION, Precondition

Capability = Owned[CapabilityRow]


async def create(tx: Tx, body: CapabilityIn) -> Capability:
    """A draft, or published at once."""
    institution = await institutions.acting(tx, caller_of(tx), body.institution_id)
    values = await _checked(tx, body, institution)
    row = CapabilityRow(
        id=new_id(), status="draft", institution_id=institution.id, created_at=tx.now, updated_at=tx.now, **values
    )
    capability = Owned(row, institution)
    if body.publish:
        _admit(tx, rules.LIFECYCLE, "publish", capability, ANY_VERSION)
        row.status, row.published_at = "published", tx.now
    tx.session.add(row)
    await _tell_or_audit(tx, CapabilityPublished, capability, "CapabilityDrafted")
    return capability


async def change(tx: Tx, capability_id: UUID, patch: dict[str, Any], if_match: Precondition) -> Capability:
    """Applies a merge patch to a draft or a published capability."""
    capability = await _locked(tx, capability_id)
    row = capability.row
    _admit(tx, rules.EDITS, "change", capability, if_match)
    present = row.model_dump(mode="json", include=set(CapabilityFields.model_fields))
    body = merged(CapabilityFields, present, patch)
    if not apply(row, await _checked(tx, body, capability.institution, kept=row.renew_by)):
        return capability
    touch(tx, row)
    await _tell_or_audit(tx, CapabilityUpdated, capability, "CapabilityDraftChanged")
    return capability


async def publish(tx: Tx, capability_id: UUID, if_match: Precondition) -> Capability:
    """A draft is offered to all."""
    capability = await _locked(tx, capability_id)
    _admit(tx, rules.LIFECYCLE, "publish", capability, if_match)
    rules.check_renewal(capability.row.renew_by, tx.clock.today())
    capability.row.status, capability.row.published_at = "published", tx.now
    return _changed(tx, CapabilityPublished, capability)


async def withdraw(tx: Tx, capability_id: UUID, body: WithdrawIn, if_match: Precondition) -> Capability:
    """It is no longer offered; engagements and projects go on."""
    capability = await _locked(tx, capability_id)
    row = capability.row
    _admit(tx, rules.LIFECYCLE, "withdraw", capability, if_match)
    check_reason(body.reason_code, body.text)
    row.status, row.reason_code, row.reason_text = "withdrawn", body.reason_code, body.text or ""
    return _changed(tx, CapabilityWithdrawn, capability)


async def renew(tx: Tx, capability_id: UUID, body: RenewIn, if_match: Precondition) -> Capability:
    """It is still true; an expired one is offered again."""
    capability = await _locked(tx, capability_id)
    step = _admit(tx, rules.LIFECYCLE, "renew", capability, if_match)
    rules.check_renewal(body.renew_by, tx.clock.today())
    capability.row.status, capability.row.renew_by = "published", body.renew_by
    return _changed(tx, CapabilityPublished if step.event == "CapabilityPublished" else CapabilityUpdated, capability)


async def expire(tx: Tx) -> int:
    """Takes a batch of capabilities that were not renewed out of the offer."""
    due = await offers.due(tx, CapabilityRow, "published", "renew_by", tx.clock.today())
    for capability in due:
        capability.row.status = "expired"
        _changed(tx, CapabilityExpired, capability)
    return len(due)


async def _locked(tx: Tx, capability_id: UUID) -> Capability:
    return await offers.get_visible(tx, caller_of(tx), CapabilityRow, capability_id, lock=True)


def _admit(
    tx: Tx, lifecycle: Lifecycle[Standing], action: str, capability: Capability, if_match: Precondition
) -> Step[Standing]:
    row, facts = capability.row, Standing(capability.institution.status == "suspended")
    caller = caller_of(tx)
    return admit(lifecycle, action, row, facts, caller.hats(owner=[row.institution_id]), caller, if_match)


def _changed(tx: Tx, event: type[CapabilityEvent], capability: Capability) -> Capability:
    touch(tx, capability.row)
    _tell(tx, event, capability)
    return capability


def _tell(tx: Tx, event: type[CapabilityEvent], capability: Capability) -> None:
    tx.publish(event(capability=capability_state(capability.row, capability.institution), by=tx.by))


async def _tell_or_audit(tx: Tx, event: type[CapabilityEvent], capability: Capability, otherwise: str) -> None:
    """Drafts are private, so nothing is told of them."""
    if capability.row.status == "draft":
        await tx.audit(otherwise, f"capabilities/{capability.row.id}")
    else:
        _tell(tx, event, capability)


async def _checked(
    tx: Tx, body: CapabilityFields, institution: InstitutionRow, *, kept: date | None = None
) -> dict[str, Any]:
    """The column values of a request, with its defaults; a renewal day that is kept is not checked again."""
    rules.check_serves(all_south=body.serves.all_south, named=bool(body.serves.countries or body.serves.blocs))
    renew_by = body.renew_by or rules.default_renewal(tx.clock.today())
    if renew_by != kept:
        rules.check_renewal(renew_by, tx.clock.today())
    if body.centre_id is not None and not await places.centre_exists(tx, body.centre_id):
        raise Invalid("/centre_id", "No centre has this id", "unknown")
    language = body.language or next(iter(institution.languages), "en")
    defaults = {
        "language": language,
        "languages": body.languages or institution.languages or [language],
        "renew_by": renew_by,
        "centre_id": body.centre_id,
    }
    return {**body.model_dump(mode="json", include=set(CapabilityFields.model_fields)), **defaults}
