"""Agreements."""

from __future__ import annotations

from uuid import UUID

from services.projects.commands import agreements as commands
from services.projects.domain.agreements import AGREEMENT
from services.projects.domain.projects import WORK
from services.projects.schemas.agreements import AgreementIn, AgreementOut, DocumentOut, SignIn
from services.projects.schemas.common import SignatureOut, ThreadPage
from services.projects.store import projects
from services.projects.store.parts import AGREEMENTS
from services.projects.store.projects import Project
from services.projects.tables import AgreementRow
from shared.api import CallerDep, Router, TxDep
from shared.web.auth import SIGNED_IN, Caller
from shared.web.paging import Paging
from shared.web.versions import IfMatch

router = Router("agreements")


@router.post(
    "/projects/{project_id}/agreements",
    SIGNED_IN,
    by=WORK.who("agreements"),
    status=201,
    refuses=WORK.codes("agreements"),
)
async def propose_agreement(tx: TxDep, caller: CallerDep, project_id: UUID, body: AgreementIn) -> AgreementOut:
    """Propose an agreement for its parties to sign."""
    return show(*await commands.propose(tx, caller, project_id, body), caller)


@router.get("/projects/{project_id}/agreements", SIGNED_IN)
async def list_agreements(tx: TxDep, caller: CallerDep, project_id: UUID, paging: Paging) -> ThreadPage[AgreementOut]:
    """The agreements of a project, newest first."""
    project = await projects.get_visible(tx, caller, project_id)
    rows, following = await AGREEMENTS.page_of(tx, project, paging)
    items = [show(row, project, caller) for row in rows]
    return ThreadPage[AgreementOut](items=items, next=following).in_thread(project.row.correlation_id)


@router.get("/agreements/{agreement_id}", SIGNED_IN)
async def get_agreement(tx: TxDep, caller: CallerDep, agreement_id: UUID) -> AgreementOut:
    """One agreement."""
    return show(*await AGREEMENTS.get_visible(tx, caller, agreement_id), caller)


@router.post("/agreements/{agreement_id}/sign", SIGNED_IN, by=AGREEMENT.who("sign"), refuses=AGREEMENT.codes("sign"))
async def sign_agreement(
    tx: TxDep, caller: CallerDep, agreement_id: UUID, body: SignIn, if_match: IfMatch
) -> AgreementOut:
    """Sign for the caller's institution."""
    return show(*await commands.sign(tx, caller, agreement_id, body, if_match), caller)


def show(row: AgreementRow, project: Project, caller: Caller) -> AgreementOut:
    """The agreement as this caller sees it."""
    facts, hats = commands.facts_of(row, project, caller), commands.hats_of(row, caller)
    return AgreementOut(
        **row.model_dump(exclude={"document", "parties", "updated_at"}),
        document=DocumentOut.model_validate(row.document) if row.document else None,
        parties=[SignatureOut.model_validate(party) for party in row.parties],
        actions=AGREEMENT.actions(row.status, facts, hats, can_sign=caller.can_sign),
    ).in_thread(project.row.correlation_id)
