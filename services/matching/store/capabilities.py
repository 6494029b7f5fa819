"""Capabilities and the places taken of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import func, select
from sqlmodel import col

from services.matching.store.arrays import among
from services.matching.tables import CapabilityRow, EngagementRow, InstitutionRow, NeedRow

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from shared.messaging.transaction import Tx

PUBLISHED = "published"


async def lock(tx: Tx, capability_id: UUID) -> CapabilityRow | None:
    """The row, held until the end; its need's row must be held already."""
    return await tx.session.get(CapabilityRow, capability_id, with_for_update=True, populate_existing=True)


async def some(tx: Tx, ids: Collection[UUID]) -> dict[UUID, CapabilityRow]:
    """Those of the ids that we know, as the rows are now."""
    rows = select(CapabilityRow).where(among(col(CapabilityRow.id), ids)).execution_options(populate_existing=True)
    return {row.id: row for row in (await tx.session.scalars(rows)).all()}


async def versions_after(tx: Tx, last: UUID, limit: int) -> Sequence[Any]:
    """(id, version, places taken) of the next published ones in id order."""
    taken = (
        select(func.count())
        .where(col(EngagementRow.capability_id) == col(CapabilityRow.id), col(EngagementRow.state) == "active")
        .scalar_subquery()
    )
    rows = select(col(CapabilityRow.id), col(CapabilityRow.version), taken).where(
        col(CapabilityRow.id) > last, col(CapabilityRow.status) == PUBLISHED
    )
    return (await tx.session.execute(rows.order_by(col(CapabilityRow.id)).limit(limit))).all()


async def engaged(tx: Tx, ids: Collection[UUID] | None) -> dict[UUID, int]:
    """How many places of each are taken; of all of which some are, when there are no ids."""
    rows = select(col(EngagementRow.capability_id), func.count()).where(col(EngagementRow.state) == "active")
    if ids is not None:
        rows = rows.where(among(col(EngagementRow.capability_id), ids))
    rows = rows.group_by(col(EngagementRow.capability_id))
    return {row[0]: row[1] for row in await tx.session.execute(rows)}


async def places(tx: Tx, institution_ids: Collection[UUID]) -> dict[UUID, int]:
    """Places of all that these institutions offer, taken or not."""
    rows = (
        select(col(CapabilityRow.institution_id), func.sum(CapabilityRow.capacity))
        .where(among(col(CapabilityRow.institution_id), institution_ids), col(CapabilityRow.status) == PUBLISHED)
        .group_by(col(CapabilityRow.institution_id))
    )
    return {row[0]: int(row[1]) for row in await tx.session.execute(rows)}


async def taken_by_country(tx: Tx, institution_ids: Collection[UUID]) -> Sequence[Any]:
    """(institution, country of the need, places taken) of what these institutions offer."""
    rows = (
        select(col(CapabilityRow.institution_id), col(NeedRow.country), func.count())
        .join(EngagementRow, col(EngagementRow.capability_id) == col(CapabilityRow.id))
        .join(NeedRow, col(NeedRow.id) == col(EngagementRow.need_id), isouter=True)
        .where(
            among(col(CapabilityRow.institution_id), institution_ids),
            col(CapabilityRow.status) == PUBLISHED,
            col(EngagementRow.state) == "active",
        )
        .group_by(col(CapabilityRow.institution_id), col(NeedRow.country))
    )
    return (await tx.session.execute(rows)).all()


async def fingerprint(tx: Tx) -> tuple[int, int, int, int]:
    """Published capabilities, sum of their versions, places taken, sum of the versions of all institutions."""
    offered = select(func.count(), func.coalesce(func.sum(CapabilityRow.version), 0)).where(
        col(CapabilityRow.status) == PUBLISHED
    )
    count, versions = (await tx.session.execute(offered)).one()
    taken = (
        select(func.count())
        .select_from(EngagementRow)
        .join(CapabilityRow, col(CapabilityRow.id) == col(EngagementRow.capability_id))
        .where(col(EngagementRow.state) == "active", col(CapabilityRow.status) == PUBLISHED)
    )
    standing = select(func.coalesce(func.sum(InstitutionRow.version), 0))
    return (
        int(count),
        int(versions),
        int(await tx.session.scalar(taken) or 0),
        int(await tx.session.scalar(standing) or 0),
    )
