"""Reactions to the events of registry and projects.

A handler writes the projection of its own topic and says what the engine must look at; nothing else. The slice
it runs in holds many events, so it must not lock the rows of others (see `store`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects.postgresql import insert

from services.matching.store import projections, queue, trade
from services.matching.tables import (
    CapabilityRow,
    EngagementRow,
    InstitutionRow,
    NeedRow,
    PracticeRow,
    ProjectRow,
    ReplicationRow,
    TradeProfileRow,
)
from shared.events import projects, registry
from shared.messaging.handlers import Handlers

if TYPE_CHECKING:
    from shared.messaging.transaction import Tx

HANDLERS = Handlers()


@HANDLERS.on(
    registry.InstitutionRegistered,
    registry.InstitutionUpdated,
    registry.InstitutionVerified,
    registry.InstitutionVerificationExpired,
    registry.InstitutionSuspended,
    registry.InstitutionReinstated,
)
async def institution_told(tx: Tx, event: registry.InstitutionEvent) -> None:
    """Its standing decides who may be proposed and who may formalise."""
    state = event.institution
    if await projections.upsert(tx, InstitutionRow, _members(state, InstitutionRow)):
        await queue.institution_changed(tx, state.id)


@HANDLERS.on(
    registry.CapabilityPublished,
    registry.CapabilityUpdated,
    registry.CapabilityWithdrawn,
    registry.CapabilityExpired,
)
async def capability_told(tx: Tx, event: registry.CapabilityEvent) -> None:
    """It may serve needs that wait, or serve others no more."""
    state = event.capability
    values = _members(state, CapabilityRow) | {
        "institution_id": state.institution.id,
        "serves": state.serves.model_dump(mode="json"),
    }
    if await projections.upsert(tx, CapabilityRow, values):
        await queue.capabilities_changed(tx, [state.id])


@HANDLERS.on(
    registry.NeedPosted,
    registry.NeedUpdated,
    registry.NeedWithdrawn,
    registry.NeedExpired,
    registry.NeedEngaged,
    registry.NeedReopened,
    registry.NeedFulfilled,
)
async def need_told(tx: Tx, event: registry.NeedEvent) -> None:
    """Its matches are to be made, reviewed or taken back."""
    state = event.need
    values = _members(state, NeedRow) | {
        "institution_id": state.institution.id,
        "institution_name": state.institution.name,
        "institution_country": state.institution.country,
        "budget": state.budget.model_dump(mode="json") if state.budget else None,
        "funding_gap": state.funding_gap.model_dump(mode="json") if state.funding_gap else None,
    }
    if await projections.upsert(tx, NeedRow, values):
        await queue.need_changed(tx, state.id)


@HANDLERS.on(registry.TradeProfileChanged)
async def trade_profile_told(tx: Tx, event: registry.TradeProfileChanged) -> None:
    """Needs that seek trade with the country are ranked by how well what one sells fits what the other buys."""
    state = event.trade_profile
    profile_id = trade.profile_id(state.country)
    sides = state.model_dump(mode="json", include={"exports", "imports"})
    if await projections.upsert(tx, TradeProfileRow, {"id": profile_id, "country": state.country, **sides}):
        await queue.trade_changed(tx, profile_id)


@HANDLERS.on(projects.ProjectCompleted, projects.ProjectClosed, projects.ProjectCancelled)
async def project_ended(tx: Tx, event: projects.ProjectEvent) -> None:
    """The place is free again; a completed project is a record of its pivotal partners.

    Closing says so once more: a snapshot or a compacted topic shows a closed project by its last event only.
    """
    state = event.project
    outcome = "cancelled" if isinstance(event, projects.ProjectCancelled) else "completed"
    pivotal = sorted({p.institution_id for p in state.partners if p.role == "pivotal"})
    values = {
        "id": state.id,
        "status": outcome,
        "ended_on": state.completed_on or (tx.now.date() if outcome == "completed" else None),
        "pivotal_ids": pivotal,
        "countries": sorted({p.country for p in state.partners if p.role == "beneficiary" and p.country}),
    }
    if not await projections.upsert(tx, ProjectRow, values):
        return
    await queue.record_changed(tx, pivotal)
    if state.match_id and state.need_id and state.capability_id:
        await _end_engagement(tx, state, outcome)
        await queue.capabilities_changed(tx, [state.capability_id])
        await queue.need_changed(tx, state.need_id)


async def _end_engagement(tx: Tx, state: projects.ProjectState, outcome: str) -> None:
    """Takes no other lock: that a place becomes free a moment later harms nobody."""
    values = {
        "match_id": state.match_id,
        "need_id": state.need_id,
        "capability_id": state.capability_id,
        "project_id": state.id,
        "state": outcome,
    }
    row = insert(EngagementRow).values(**values)
    await tx.session.execute(row.on_conflict_do_update(index_elements=["match_id"], set_={"state": outcome}))


@HANDLERS.on(projects.PracticePublished)
async def practice_published(tx: Tx, event: projects.PracticePublished) -> None:
    """Evidence for the partners of its project."""
    practice = event.practice
    if await projections.add_once(tx, PracticeRow, {"id": practice.id, "partner_ids": practice.partner_ids}):
        await queue.record_changed(tx, practice.partner_ids)


@HANDLERS.on(projects.PracticeReplicated)
async def practice_replicated(tx: Tx, event: projects.PracticeReplicated) -> None:
    """More evidence for the partners of the practice."""
    partners = event.practice.partner_ids
    if await projections.add_once(tx, ReplicationRow, {"id": event.replication.id, "partner_ids": partners}):
        await queue.record_changed(tx, partners)


def _members(state: Any, row: Any) -> dict[str, Any]:  # noqa: ANN401 (any state, any table)
    """The members of a state that are columns of the same name and plain values."""
    names = set(row.__table__.c.keys()) & set(type(state).model_fields)
    return {name: getattr(state, name) for name in names}
