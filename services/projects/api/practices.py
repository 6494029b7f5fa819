"""Practices, and where they were replicated."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query

from services.projects.commands import practices as commands
from services.projects.domain.practices import PRACTICE, PracticeFacts
from services.projects.domain.projects import EVER_PARTNERS, PARTNERS
from services.projects.schemas.common import Empty, ThreadPage
from services.projects.schemas.practices import (
    EdgeOut,
    LineageOut,
    PovertyReductionOut,
    PracticeIn,
    PracticeOut,
    ReplicationIn,
    ReplicationOut,
)
from services.projects.store import institutions, practices, projects
from services.projects.tables import PracticeRow, ReplicationRow
from shared.api import CallerDep, Router, TxDep
from shared.messaging.transaction import Tx
from shared.reference.types import TITLE_LENGTH, IsicCode, UtcDateTime
from shared.web.auth import SIGNED_IN, Caller
from shared.web.paging import Page, Paging
from shared.web.versions import IfMatch

router = Router("practices")


@router.post(
    "/practices",
    SIGNED_IN,
    by=EVER_PARTNERS,
    status=201,
    refuses={"not_found", "project_not_completed", *PRACTICE.codes("publish")},
)
async def write_practice(tx: TxDep, caller: CallerDep, body: PracticeIn) -> PracticeOut:
    """Write down what worked in a completed project, as a draft or published at once."""
    return await show(await commands.create(tx, caller, body), tx, caller)


@router.get("/practices", SIGNED_IN)
async def list_practices(
    tx: TxDep,
    caller: CallerDep,
    paging: Paging,
    q: Annotated[str | None, Query(max_length=TITLE_LENGTH, description="Words that all occur")] = None,
    isic: Annotated[list[IsicCode], Query(description="Sectors, with all below them")] = [],  # noqa: B006 (FastAPI copies it)
    updated_since: UtcDateTime | None = None,
) -> Page[PracticeOut]:
    """Those that are published, and the caller's drafts, newest first."""
    rows, following = await practices.page_visible(tx, caller, paging, words=q, isic=isic, updated_since=updated_since)
    return Page(items=await _show_all(rows, tx, caller), next=following)


@router.get("/projects/{project_id}/practices", SIGNED_IN)
async def list_project_practices(
    tx: TxDep, caller: CallerDep, project_id: UUID, paging: Paging
) -> ThreadPage[PracticeOut]:
    """The practices of a project, newest first."""
    project = await projects.get_visible(tx, caller, project_id)
    rows, following = await practices.page_visible(tx, caller, paging, project_id=project_id)
    items = await _show_all(rows, tx, caller)
    return ThreadPage[PracticeOut](items=items, next=following).in_thread(project.row.correlation_id)


@router.get("/practices/{practice_id}", SIGNED_IN)
async def get_practice(tx: TxDep, caller: CallerDep, practice_id: UUID) -> PracticeOut:
    """One practice."""
    return await show(await practices.get_visible(tx, caller, practice_id), tx, caller)


@router.post(
    "/practices/{practice_id}/publish", SIGNED_IN, by=PRACTICE.who("publish"), refuses=PRACTICE.codes("publish")
)
async def publish_practice(
    tx: TxDep, caller: CallerDep, practice_id: UUID, body: Empty, if_match: IfMatch
) -> PracticeOut:
    """`draft -> published`."""
    del body
    return await show(await commands.publish(tx, caller, practice_id, if_match), tx, caller)


@router.post(
    "/practices/{practice_id}/replications",
    SIGNED_IN,
    by=PARTNERS,
    status=201,
    refuses=("forbidden", "invalid_transition", "project_not_completed"),
)
async def replicate_practice(tx: TxDep, caller: CallerDep, practice_id: UUID, body: ReplicationIn) -> ReplicationOut:
    """Record that another project reuses a practice."""
    return show_replication(*await commands.replicate(tx, caller, practice_id, body))


@router.get("/practices/{practice_id}/replications", SIGNED_IN)
async def list_replications(
    tx: TxDep, caller: CallerDep, practice_id: UUID, paging: Paging
) -> ThreadPage[ReplicationOut]:
    """Where a practice was reused, newest first."""
    practice = await practices.get_visible(tx, caller, practice_id)
    rows, following = await practices.page_replications(tx, practice, paging)
    items = [show_replication(row, practice) for row in rows]
    return ThreadPage[ReplicationOut](items=items, next=following).in_thread(practice.correlation_id)


@router.get("/replications/{replication_id}", SIGNED_IN)
async def get_replication(tx: TxDep, caller: CallerDep, replication_id: UUID) -> ReplicationOut:
    """One replication."""
    return show_replication(*await practices.get_replication(tx, caller, replication_id))


@router.get("/practices/{practice_id}/lineage", SIGNED_IN)
async def get_lineage(tx: TxDep, caller: CallerDep, practice_id: UUID) -> LineageOut:
    """Where a practice went, and what became of it there."""
    practice = await practices.get_visible(tx, caller, practice_id)
    edges = [
        EdgeOut(from_project_id=row.source_project_id, to_project_id=row.project_id, outcome=row.outcome)
        for row in await practices.lineage(tx, practice)
    ]
    return LineageOut(practice_id=practice_id, edges=edges).in_thread(practice.correlation_id)


async def show(row: PracticeRow, tx: Tx, caller: Caller) -> PracticeOut:
    """The practice as this caller sees it."""
    return (await _show_all([row], tx, caller))[0]


async def _show_all(rows: list[PracticeRow], tx: Tx, caller: Caller) -> list[PracticeOut]:
    facts = PracticeFacts(await institutions.is_suspended(tx, caller.institution_id))
    return [_shown(row, facts, caller) for row in rows]


def _shown(row: PracticeRow, facts: PracticeFacts, caller: Caller) -> PracticeOut:
    poverty = row.poverty_reduction
    return PracticeOut(
        **row.model_dump(exclude={"words", "poverty_reduction"}),
        poverty_reduction=PovertyReductionOut.model_validate(poverty) if poverty else None,
        actions=PRACTICE.actions(row.status, facts, commands.hats_of(row, caller), can_sign=caller.can_sign),
    ).in_thread(row.correlation_id)


def show_replication(row: ReplicationRow, practice: PracticeRow) -> ReplicationOut:
    """The replication, in the practice's thread."""
    return ReplicationOut(**row.model_dump()).in_thread(practice.correlation_id)
