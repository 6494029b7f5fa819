"""What became of formalised matches, and who is a party of which match: projections of other services' events."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from services.registry.domain.needs import Place
from services.registry.tables import EngagementRow, MatchViewRow
from shared.messaging.transaction import Tx


async def add_running(
    tx: Tx, *, match_id: UUID, need_id: UUID, capability_id: UUID | None, project_id: UUID | None
) -> bool:
    """Remembers a formalised match; False when its project's end, or the match itself, was known already."""
    row = insert(EngagementRow).values(
        match_id=match_id,
        need_id=need_id,
        capability_id=capability_id,
        project_id=project_id,
        state="running",
        reopens=False,
        updated_at=tx.now,
    )
    added = await tx.session.execute(row.on_conflict_do_nothing().returning(col(EngagementRow.match_id)))
    return added.one_or_none() is not None


async def end(tx: Tx, *, match_id: UUID, project_id: UUID, state: str, reopens: bool) -> bool:
    """Remembers how the project of a match known to be running ended; False when an end was known."""
    ended = (
        update(EngagementRow)
        .where(col(EngagementRow.match_id) == match_id, col(EngagementRow.state) == "running")
        .values(state=state, reopens=reopens, project_id=project_id, updated_at=tx.now)
        .returning(col(EngagementRow.match_id))
    )
    return (await tx.session.execute(ended)).one_or_none() is not None


async def places(tx: Tx, need_id: UUID) -> list[Place]:
    """All formalised matches of a need."""
    rows = select(col(EngagementRow.state), col(EngagementRow.reopens)).where(col(EngagementRow.need_id) == need_id)
    return [Place(state, reopens) for state, reopens in await tx.session.execute(rows)]


async def engaged(tx: Tx, capability_ids: Collection[UUID]) -> dict[UUID, int]:
    """How many places of each capability are taken now."""
    counts = select(col(EngagementRow.capability_id), func.count()).where(
        col(EngagementRow.capability_id).in_(capability_ids), col(EngagementRow.state) == "running"
    )
    found = await tx.session.execute(counts.group_by(col(EngagementRow.capability_id)))
    return {key: int(count) for key, count in found if key is not None}


async def save_view(tx: Tx, *, match_id: UUID, sequence: str, status: str, parties: Collection[UUID]) -> None:
    """How a match stands; older news than what is known changes nothing."""
    values = {"sequence": sequence, "status": status, "parties": sorted(parties)}
    row = insert(MatchViewRow).values(match_id=match_id, **values)
    newer = col(MatchViewRow.sequence) < row.excluded.sequence
    await tx.session.execute(row.on_conflict_do_update(index_elements=["match_id"], set_=values, where=newer))
