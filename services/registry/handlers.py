"""What registry learns from matching and projects: who may see whose contact, and what became of needs."""

from __future__ import annotations

from services.registry.commands import engagements
from services.registry.store.engagements import save_view
from shared.events.matching import (
    FacilitatorDeclined,
    FacilitatorInvited,
    FacilitatorJoined,
    MatchAccepted,
    MatchConfirmed,
    MatchDeclined,
    MatchEvent,
    MatchExpired,
    MatchFormalised,
    MatchWithdrawn,
)
from shared.events.projects import ProjectCancelled, ProjectClosed, ProjectCompleted, ProjectEvent
from shared.messaging.handlers import Handlers
from shared.messaging.transaction import Tx

HANDLERS = Handlers()


@HANDLERS.on(
    MatchAccepted,
    MatchConfirmed,
    MatchDeclined,
    MatchExpired,
    MatchWithdrawn,
    FacilitatorInvited,
    FacilitatorJoined,
    FacilitatorDeclined,
)
async def match_moved(tx: Tx, event: MatchEvent) -> None:
    """Contacts are disclosed while a match is accepted or formalised."""
    match = event.match
    sequence = tx.cause.sequence if tx.cause else ""
    await save_view(tx, match_id=match.id, sequence=sequence, status=match.status, parties=event.parties())


@HANDLERS.on(MatchFormalised)
async def match_formalised(tx: Tx, event: MatchFormalised) -> None:
    """A place of the need and of the capability is taken."""
    match = event.match
    await engagements.begin(
        tx,
        match_id=match.id,
        need_id=match.need_id,
        capability_id=match.capability_id,
        project_id=match.project_id or event.project.id,
    )
    await match_moved(tx, event)


@HANDLERS.on(ProjectCompleted, ProjectClosed)
async def project_completed(tx: Tx, event: ProjectEvent) -> None:
    """The place of the capability is free; the need is fulfilled when all its places are done."""
    await _ended(tx, event, "completed", reopens=False)


@HANDLERS.on(ProjectCancelled)
async def project_cancelled(tx: Tx, event: ProjectCancelled) -> None:
    """The need seeks again, unless whoever cancelled said that it does not."""
    await _ended(tx, event, "cancelled", reopens=event.project.reopen_need is not False)


async def _ended(tx: Tx, event: ProjectEvent, state: str, *, reopens: bool) -> None:
    project = event.project
    if project.match_id is None or project.need_id is None:
        return  # opened directly: no need waits for it
    await engagements.end(
        tx,
        match_id=project.match_id,
        need_id=project.need_id,
        capability_id=project.capability_id,
        project_id=project.id,
        state=state,
        reopens=reopens,
    )
