"""Needs: create, change, post, withdraw, expire."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from services.registry.commands.common import admit, apply, caller_of, merged
from services.registry.domain import needs as rules
from services.registry.domain.common import Standing, check_reason
from services.registry.schemas.capabilities import WithdrawIn
from services.registry.schemas.needs import NeedFields, NeedIn
from services.registry.states import need_state
from services.registry.store import engagements, institutions, offers
from services.registry.store.common import Owned, touch
from services.registry.tables import InstitutionRow, NeedRow
from shared.events.registry import NeedEvent, NeedExpired, NeedPosted, NeedUpdated, NeedWithdrawn
from shared.lifecycle import Lifecycle
from shared.messaging.transaction import Tx
from shared.ops.ids import new_id
from shared.web.versions import ANY_VERSION, Precondition

Need = Owned[NeedRow]


async def create(tx: Tx, body: NeedIn) -> Need:
    """A draft, or posted at once."""
    institution = await institutions.acting(tx, caller_of(tx), body.institution_id)
    values = _checked(tx, body, institution)
    row = NeedRow(
        id=new_id(), status="draft", institution_id=institution.id, created_at=tx.now, updated_at=tx.now, **values
    )
    need = Owned(row, institution)
    if body.post:
        _admit(tx, rules.LIFECYCLE, "post", need, ANY_VERSION)
        row.status, row.posted_at = "open", tx.now
    tx.session.add(row)
    await _tell_or_audit(tx, NeedPosted, need, "NeedDrafted")
    return need


async def change(tx: Tx, need_id: UUID, patch: dict[str, Any], if_match: Precondition) -> Need:
    """Applies a merge patch to a draft or an open need."""
    need = await _locked(tx, need_id)
    _admit(tx, rules.EDITS, "change", need, if_match)
    present = need.row.model_dump(mode="json", include=set(NeedFields.model_fields))
    values = _checked(tx, merged(NeedFields, present, patch), need.institution, kept=need.row.deadline)
    rules.check_partners_wanted(values["partners_wanted"], await engagements.places(tx, need_id))
    if not apply(need.row, values):
        return need
    touch(tx, need.row)
    await _tell_or_audit(tx, NeedUpdated, need, "NeedDraftChanged")
    return need


async def post(tx: Tx, need_id: UUID, if_match: Precondition) -> Need:
    """A draft becomes open for partners; its deadline must still be ahead."""
    need = await _locked(tx, need_id)
    _admit(tx, rules.LIFECYCLE, "post", need, if_match)
    rules.check_deadline(need.row.deadline, tx.clock.today())
    need.row.status, need.row.posted_at = "open", tx.now
    return changed(tx, NeedPosted, need)


async def withdraw(tx: Tx, need_id: UUID, body: WithdrawIn, if_match: Precondition) -> Need:
    """Nobody is sought any more."""
    need = await _locked(tx, need_id)
    _admit(tx, rules.LIFECYCLE, "withdraw", need, if_match)
    check_reason(body.reason_code, body.text)
    need.row.status, need.row.reason_code, need.row.reason_text = "withdrawn", body.reason_code, body.text or ""
    return changed(tx, NeedWithdrawn, need)


async def expire(tx: Tx) -> int:
    """Ends a batch of open needs whose deadline's day is over."""
    due = await offers.due(tx, NeedRow, "open", "deadline", tx.clock.today())
    for need in due:
        need.row.status = "expired"
        changed(tx, NeedExpired, need)
    return len(due)


def changed(tx: Tx, event: type[NeedEvent], need: Need) -> Need:
    """Counts the change and tells of it."""
    touch(tx, need.row)
    _tell(tx, event, need)
    return need


async def _locked(tx: Tx, need_id: UUID) -> Need:
    return await offers.get_visible(tx, caller_of(tx), NeedRow, need_id, lock=True)


def _admit(tx: Tx, lifecycle: Lifecycle[Standing], action: str, need: Need, if_match: Precondition) -> None:
    row, facts = need.row, Standing(need.institution.status == "suspended")
    caller = caller_of(tx)
    admit(lifecycle, action, row, facts, caller.hats(owner=[row.institution_id]), caller, if_match)


def _tell(tx: Tx, event: type[NeedEvent], need: Need) -> None:
    tx.publish(event(need=need_state(need.row, need.institution), by=tx.by))


async def _tell_or_audit(tx: Tx, event: type[NeedEvent], need: Need, otherwise: str) -> None:
    """Drafts are private, so nothing is told of them."""
    if need.row.status == "draft":
        await tx.audit(otherwise, f"needs/{need.row.id}")
    else:
        _tell(tx, event, need)


def _checked(tx: Tx, body: NeedFields, institution: InstitutionRow, *, kept: date | None = None) -> dict[str, Any]:
    """The column values of a request, with its defaults; a deadline that is kept may be today. Raises `Invalid`."""
    if body.deadline != kept:
        rules.check_deadline(body.deadline, tx.clock.today())
    language = body.language or next(iter(institution.languages), "en")
    defaults = {
        "country": body.country or institution.country,
        "language": language,
        "languages": body.languages or institution.languages or [language],
        "deadline": body.deadline,
    }
    return {**body.model_dump(mode="json", include=set(NeedFields.model_fields)), **defaults}
