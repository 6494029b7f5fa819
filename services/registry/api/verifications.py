"""Verifications of institutions."""

from __future__ import annotations

from uuid import UUID

from services.registry.commands import verifications as commands
from services.registry.domain.verifications import LIFECYCLE, facts_of
from services.registry.schemas.common import reason_out
from services.registry.schemas.institutions import RejectIn, VerificationIn, VerificationOut
from services.registry.store import institutions
from services.registry.store import verifications as store
from services.registry.tables import InstitutionRow, VerificationRow
from shared.api import CallerDep, Nothing, Router, TxDep
from shared.web.auth import SIGNED_IN, Caller, only
from shared.web.paging import Page, Paging
from shared.web.versions import IfMatch

router = Router("verifications")


@router.post(
    "/institutions/{institution_id}/verifications",
    only("operator", "verifier"),
    status=201,
    refuses=("invalid_transition",),
)
async def submit_verification(
    tx: TxDep, caller: CallerDep, institution_id: UUID, body: VerificationIn
) -> VerificationOut:
    """Submits the five answers for a second pair of eyes."""
    return _show(caller, *await commands.submit(tx, institution_id, body))


@router.get("/institutions/{institution_id}/verifications", SIGNED_IN)
async def list_verifications(
    tx: TxDep, caller: CallerDep, institution_id: UUID, paging: Paging
) -> Page[VerificationOut]:
    """All of one institution, for its own people, operators and verifiers; empty for others."""
    institution = await institutions.get(tx, institution_id)
    found, after = await store.page(tx, caller, institution_id, paging)
    return Page(items=[_show(caller, row, institution) for row in found], next=after)


@router.get("/verifications/{verification_id}", SIGNED_IN)
async def get_verification(tx: TxDep, caller: CallerDep, verification_id: UUID) -> VerificationOut:
    """One verification."""
    row = await store.get_visible(tx, caller, verification_id)
    return _show(caller, row, await institutions.get(tx, row.institution_id))


@router.post(
    "/verifications/{verification_id}/approve",
    SIGNED_IN,
    by=LIFECYCLE.who("approve"),
    refuses={"four_eyes_required", *LIFECYCLE.codes("approve")},
)
async def approve_verification(
    tx: TxDep,
    caller: CallerDep,
    verification_id: UUID,
    if_match: IfMatch,
    body: Nothing,  # noqa: ARG001 (refuses members)
) -> VerificationOut:
    """Verifies the institution for five years; not for whoever submitted it."""
    return _show(caller, *await commands.approve(tx, verification_id, if_match))


@router.post(
    "/verifications/{verification_id}/reject",
    SIGNED_IN,
    by=LIFECYCLE.who("reject"),
    refuses={"four_eyes_required", *LIFECYCLE.codes("reject")},  # the first was promised once; nobody gets it now
)
async def reject_verification(
    tx: TxDep, caller: CallerDep, verification_id: UUID, body: RejectIn, if_match: IfMatch
) -> VerificationOut:
    """Leaves the institution as it is."""
    return _show(caller, *await commands.reject(tx, verification_id, body, if_match))


def _show(caller: Caller, row: VerificationRow, institution: InstitutionRow) -> VerificationOut:
    mine = row.submitted_by == caller.sub
    facts = facts_of(row.answers, institution.status)
    actions = LIFECYCLE.actions(row.status, facts, caller.hats(), can_sign=caller.can_sign)
    return VerificationOut.model_validate(
        {
            **row.model_dump(),
            "reason": reason_out(row.reason_code, row.reason_text),
            "actions": [action for action in actions if action != "approve" or not mine],
        }
    )
