"""Institutions: register, change, suspend, reinstate, end of verification."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from services.registry.commands.common import admit, apply, caller_of, merged
from services.registry.domain import institutions as rules
from services.registry.domain.common import check_reason
from services.registry.schemas.institutions import InstitutionIn, ReinstateIn, SuspendIn
from services.registry.similarity import NEAR, fold, similarity
from services.registry.states import institution_state
from services.registry.store import institutions as store
from services.registry.store.common import touch
from services.registry.tables import InstitutionRow
from shared.events.registry import (
    InstitutionEvent,
    InstitutionRegistered,
    InstitutionReinstated,
    InstitutionSuspended,
    InstitutionUpdated,
    InstitutionVerificationExpired,
)
from shared.lifecycle import Invalid, Lifecycle, Refused
from shared.messaging.transaction import Tx
from shared.ops.ids import new_id
from shared.web.versions import Precondition

MAX_CANDIDATES = 20


async def register(tx: Tx, body: InstitutionIn, *, force: bool) -> InstitutionRow:
    """A new institution; refused with candidates when it seems to be there already, unless forced."""
    values = await _checked(tx, body)
    await store.hold_names(tx)
    await _refuse_equal_ids(tx, body)
    if not force:
        await _refuse_near_names(tx, body, values["folded_names"])
    row = InstitutionRow(id=new_id(), status="registered", created_at=tx.now, updated_at=tx.now, **values)
    tx.session.add(row)
    await store.save_external_ids(tx, row)
    tell(tx, InstitutionRegistered, row)
    return row


async def change(tx: Tx, institution_id: UUID, patch: dict[str, Any], if_match: Precondition) -> InstitutionRow:
    """Applies a merge patch; a verified institution with another identity must be verified again."""
    if "external_ids" in patch:
        await store.hold_names(tx)
    row = await store.get(tx, institution_id, lock=True)
    _admit(tx, rules.EDITS, "change", row, if_match)
    before = _document(row)
    body = merged(InstitutionIn, before, patch)
    values = await _checked(tx, body, institution_id=row.id)
    await _refuse_equal_ids(tx, body, but=row.id)
    if not apply(row, values):
        return row
    if rules.changes_identity(before, _document(row)):
        _unverify(row)
        await store.save_external_ids(tx, row)
    touch(tx, row)
    tell(tx, InstitutionUpdated, row)
    return row


def _unverify(row: InstitutionRow) -> None:
    if row.status == "verified":
        row.status = "registered"
    row.status_before = "registered" if row.status == "suspended" else None
    row.verified_until = None


async def suspend(tx: Tx, institution_id: UUID, body: SuspendIn, if_match: Precondition) -> InstitutionRow:
    """Takes it out of the exchange until it is reinstated."""
    row = await store.get(tx, institution_id, lock=True)
    _admit(tx, rules.LIFECYCLE, "suspend", row, if_match)
    check_reason(body.reason_code, body.text)
    row.status_before, row.status = row.status, "suspended"
    row.reason_code, row.reason_text = body.reason_code, body.text or ""
    touch(tx, row)
    tell(tx, InstitutionSuspended, row)
    return row


async def reinstate(tx: Tx, institution_id: UUID, body: ReinstateIn, if_match: Precondition) -> InstitutionRow:
    """Back to the status before, unless its verification has ended meanwhile."""
    del body  # the remark is for the request log of the operator's own system; nothing shows it
    row = await store.get(tx, institution_id, lock=True)
    _admit(tx, rules.LIFECYCLE, "reinstate", row, if_match)
    row.status = rules.status_when_reinstated(row.status_before, row.verified_until, tx.clock.today())
    if row.status == "registered":
        row.verified_until = None
    row.status_before = row.reason_code = row.reason_text = None
    touch(tx, row)
    tell(tx, InstitutionReinstated, row)
    return row


async def expire_verifications(tx: Tx) -> int:
    """Ends a batch of verifications whose last day is over."""
    rows = await store.due(tx, tx.clock.today())
    for row in rows:
        row.status, row.verified_until = "registered", None
        touch(tx, row)
        tell(tx, InstitutionVerificationExpired, row)
    return len(rows)


def tell(tx: Tx, event: type[InstitutionEvent], row: InstitutionRow) -> None:
    """Publishes the institution's present state."""
    tx.publish(event(institution=institution_state(row, tx.clock.today()), by=tx.by))


def _admit(tx: Tx, lifecycle: Lifecycle[None], action: str, row: InstitutionRow, if_match: Precondition) -> None:
    caller = caller_of(tx)
    admit(lifecycle, action, row, None, caller.hats(owner=[row.id]), caller, if_match)


def _document(row: InstitutionRow) -> dict[str, Any]:
    """The row as a request would say it."""
    return row.model_dump(mode="json", include=set(InstitutionIn.model_fields))


async def _checked(tx: Tx, body: InstitutionIn, *, institution_id: UUID | None = None) -> dict[str, Any]:
    rules.check_country(body.type, body.country)
    await _check_parent(tx, body.parent_id, institution_id)
    names = list(dict.fromkeys(fold(name) for name in (body.name, *(other.name for other in body.other_names))))
    return {
        **body.model_dump(exclude={"contact", "parent_id"}),
        "type": str(body.type),
        "parent_id": body.parent_id,
        "contact": body.contact.model_dump() if body.contact else None,
        "folded_names": names,
        "searched": "\n".join([*names, fold(body.acronym or "")]),
    }


async def _check_parent(tx: Tx, parent_id: UUID | None, institution_id: UUID | None) -> None:
    if parent_id is None:
        return
    if not await store.exists(tx, parent_id):
        raise Invalid("/parent_id", "No institution has this id", "unknown")
    if institution_id is not None and await store.is_above(tx, institution_id, parent_id):
        raise Invalid("/parent_id", "An institution cannot be above itself")


async def _refuse_equal_ids(tx: Tx, body: InstitutionIn, *, but: UUID | None = None) -> None:
    equal = await store.holders_of(tx, [(e.scheme, e.value) for e in body.external_ids], but=but)
    if equal:
        raise _duplicate(
            "An institution with the same external id is registered already.", [(other, 1.0) for other in equal]
        )


async def _refuse_near_names(tx: Tx, body: InstitutionIn, names: list[str]) -> None:
    others = await store.of_country(tx, body.country)
    scored = [(other, similarity(names, other.folded_names)) for other in others]
    near = sorted((pair for pair in scored if pair[1] >= NEAR), key=lambda pair: -pair[1])
    if near:
        raise _duplicate(
            "An institution with a similar name is registered in the same country; force=true registers this one too.",
            near,
        )


def _duplicate(detail: str, near: list[tuple[store.Identity, float]]) -> Refused:
    candidates = [
        {"id": str(other.id), "name": other.name, "country": other.country, "similarity": score}
        for other, score in near[:MAX_CANDIDATES]
    ]
    return Refused("duplicate_institution", detail, candidates=candidates)
