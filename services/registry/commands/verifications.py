"""Due diligence: submit, approve, reject."""

from __future__ import annotations

from uuid import UUID

from services.registry.commands.common import admit, caller_of
from services.registry.commands.institutions import tell
from services.registry.domain import institutions, verifications
from services.registry.domain.common import check_reason
from services.registry.schemas.institutions import RejectIn, VerificationIn
from services.registry.states import verification_state
from services.registry.store import institutions as institution_store
from services.registry.store import verifications as store
from services.registry.store.common import touch
from services.registry.tables import InstitutionRow, VerificationRow
from shared.events.registry import InstitutionVerified, VerificationSubmitted
from shared.messaging.transaction import Tx
from shared.ops.ids import new_id
from shared.web.versions import Precondition


async def submit(tx: Tx, institution_id: UUID, body: VerificationIn) -> tuple[VerificationRow, InstitutionRow]:
    """A questionnaire for a second pair of eyes; one at a time per institution."""
    institution = await institution_store.get(tx, institution_id, lock=True)
    verifications.check_none_open(has_open=await store.has_open(tx, institution_id))
    row = VerificationRow(
        id=new_id(),
        status="submitted",
        institution_id=institution_id,
        answers=body.answers.model_dump(),
        submitted_by=caller_of(tx).sub,
        submitted_at=tx.now,
        updated_at=tx.now,
    )
    tx.session.add(row)
    tx.publish(VerificationSubmitted(verification=verification_state(row), by=tx.by))
    return row, institution


async def approve(tx: Tx, verification_id: UUID, if_match: Precondition) -> tuple[VerificationRow, InstitutionRow]:
    """The institution is verified for five years from today."""
    row, institution = await _locked(tx, verification_id)
    verifications.LIFECYCLE.permit("approve", caller_of(tx).hats(), can_sign=caller_of(tx).can_sign)
    verifications.check_four_eyes(row.submitted_by, caller_of(tx).sub)  # a 403 too, so it comes before the version
    _admit(tx, "approve", row, institution, if_match)
    _decide(tx, row, "approved")
    institution.status = "verified"
    institution.verified_until = institutions.verified_until(tx.clock.today())
    touch(tx, institution)
    tell(tx, InstitutionVerified, institution)
    return row, institution


async def reject(
    tx: Tx, verification_id: UUID, body: RejectIn, if_match: Precondition
) -> tuple[VerificationRow, InstitutionRow]:
    """The institution stays as it is. Whoever submitted it may take it back so."""
    row, institution = await _locked(tx, verification_id)
    _admit(tx, "reject", row, institution, if_match)
    check_reason(body.reason_code, body.text)
    _decide(tx, row, "rejected")
    row.reason_code, row.reason_text = body.reason_code, body.text or ""
    await tx.audit("VerificationRejected", f"verifications/{row.id}")
    return row, institution


async def _locked(tx: Tx, verification_id: UUID) -> tuple[VerificationRow, InstitutionRow]:
    caller = caller_of(tx)
    found = await store.get_visible(tx, caller, verification_id)
    institution = await institution_store.get(tx, found.institution_id, lock=True)
    return await store.get_visible(tx, caller, verification_id, lock=True), institution


def _admit(tx: Tx, action: str, row: VerificationRow, institution: InstitutionRow, if_match: Precondition) -> None:
    caller = caller_of(tx)
    facts = verifications.facts_of(row.answers, institution.status)
    admit(verifications.LIFECYCLE, action, row, facts, caller.hats(), caller, if_match)


def _decide(tx: Tx, row: VerificationRow, status: str) -> None:
    row.status, row.decided_by, row.decided_at = status, caller_of(tx).sub, tx.now
    touch(tx, row)
