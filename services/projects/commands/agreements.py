"""Agreements are proposed, then signed by each party."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from services.projects.commands.common import admit, changed
from services.projects.commands.projects import agree
from services.projects.domain import roles
from services.projects.domain.agreements import AGREEMENT, AgreementFacts, check_parties, makes_agreed
from services.projects.domain.projects import WORK, ProjectStatus, check_not_future
from services.projects.schemas.agreements import AgreementIn, SignIn
from services.projects.states import agreement_state
from services.projects.store import projects
from services.projects.store.parts import AGREEMENTS
from services.projects.store.projects import Project
from services.projects.tables import AgreementRow
from shared.events.projects import AgreementProposed, AgreementSigned
from shared.messaging.transaction import Tx
from shared.ops.ids import new_id
from shared.web.auth import Caller
from shared.web.versions import ANY_VERSION, Precondition

Part = tuple[AgreementRow, Project]


def facts_of(row: AgreementRow, project: Project, caller: Caller) -> AgreementFacts:
    """What signing depends on for this caller."""
    return AgreementFacts(str(caller.institution_id) in _signed(row), project.running)


def hats_of(row: AgreementRow, caller: Caller) -> frozenset[str]:
    """The caller's parts in an agreement."""
    return caller.hats(party=parties_of(row))


def parties_of(row: AgreementRow) -> list[UUID]:
    """The institutions that are to sign."""
    return [UUID(party["institution_id"]) for party in row.parties]


def _signed(row: AgreementRow) -> set[str]:
    return {party["institution_id"] for party in row.parties if party["signed_on"]}


async def propose(tx: Tx, caller: Caller, project_id: UUID, body: AgreementIn) -> Part:
    """An agreement for its parties to sign."""
    project = await projects.lock_visible(tx, caller, project_id)
    today = tx.clock.today()
    admit(WORK, "agreements", project.row, None, project.hats(caller, today), caller, ANY_VERSION)
    check_parties(body.parties, roles.standing(project.roles, today))
    row = AgreementRow(
        id=new_id(),
        project_id=project_id,
        status="proposed",
        kind=body.kind,
        title=body.title,
        effective_on=body.effective_on,
        document=body.document.model_dump(mode="json") if body.document else None,
        parties=[{"institution_id": str(party), "signed_on": None} for party in body.parties],
        updated_at=tx.now,
    )
    tx.session.add(row)
    tx.publish(
        AgreementProposed(agreement=agreement_state(row, project), by=tx.by), correlation=project.row.correlation_id
    )
    return row, project


async def sign(tx: Tx, caller: Caller, agreement_id: UUID, body: SignIn, if_match: Precondition) -> Part:
    """One party's signature; only the last one is an event, and may make the project agreed."""
    row, project = await AGREEMENTS.lock_visible(tx, caller, agreement_id)
    step = admit(AGREEMENT, "sign", row, facts_of(row, project, caller), hats_of(row, caller), caller, if_match)
    today = tx.clock.today()
    check_not_future(body.signed_on, today, "/signed_on")
    row.parties = [_with_signature(party, caller, body) for party in row.parties]
    if len(_signed(row)) < len(row.parties):
        changed(tx, row)
        await tx.audit("sign", f"agreements/{row.id}")
        return row, project
    changed(tx, row, step.target)
    if project.row.status == ProjectStatus.PIPELINE and makes_agreed(project.roles, parties_of(row), today):
        agree(tx, project)
    tx.publish(
        AgreementSigned(agreement=agreement_state(row, project), by=tx.by), correlation=project.row.correlation_id
    )
    return row, project


def _with_signature(party: dict[str, Any], caller: Caller, body: SignIn) -> dict[str, Any]:
    mine = party["institution_id"] == str(caller.institution_id)
    return {**party, "signed_on": body.signed_on.isoformat()} if mine else party
