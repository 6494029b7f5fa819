"""Institutions: standing and record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import func, select
from sqlmodel import col

from services.matching.domain.matches import PROVIDER
from services.matching.store.arrays import among, overlaps
from services.matching.tables import CapabilityRow, InstitutionRow, MatchRow, PracticeRow, ProjectRow, ReplicationRow

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement

    from shared.messaging.transaction import Tx

Counts = dict[UUID, Any]


async def get(tx: Tx, institution_id: UUID) -> InstitutionRow | None:
    """One, None when we have not heard of it."""
    return await tx.session.get(InstitutionRow, institution_id, populate_existing=True)


async def some(tx: Tx, ids: Collection[UUID]) -> dict[UUID, InstitutionRow]:
    """Those of the ids that we know, as the rows are now."""
    rows = select(InstitutionRow).where(among(col(InstitutionRow.id), ids)).execution_options(populate_existing=True)
    return {row.id: row for row in (await tx.session.scalars(rows)).all()}


async def versions_after(tx: Tx, last: UUID, limit: int) -> Sequence[Any]:
    """(id, version) of the next ones in id order."""
    rows = select(col(InstitutionRow.id), col(InstitutionRow.version)).where(col(InstitutionRow.id) > last)
    return (await tx.session.execute(rows.order_by(col(InstitutionRow.id)).limit(limit))).all()


async def after(tx: Tx, last: UUID, limit: int) -> Sequence[Any]:
    """(id, version, country, type, status, languages) of the next ones in id order."""
    of = InstitutionRow
    rows = select(col(of.id), col(of.version), col(of.country), col(of.type), col(of.status), col(of.languages))
    return (await tx.session.execute(rows.where(col(of.id) > last).order_by(col(of.id)).limit(limit))).all()


async def capability_ids(tx: Tx, institution_id: UUID) -> list[UUID]:
    """Its published capabilities."""
    rows = select(col(CapabilityRow.id)).where(
        col(CapabilityRow.institution_id) == institution_id, col(CapabilityRow.status) == "published"
    )
    return list((await tx.session.scalars(rows)).all())


async def completed(tx: Tx, ids: Collection[UUID] | None) -> dict[UUID, list[ProjectRow]]:
    """Completed projects by pivotal partner; of all when there are no ids."""
    rows = select(ProjectRow).where(col(ProjectRow.status) == "completed", *_of(col(ProjectRow.pivotal_ids), ids))
    rows = rows.order_by(col(ProjectRow.id))
    found: dict[UUID, list[ProjectRow]] = {}
    for row in (await tx.session.scalars(rows)).all():
        for institution_id in row.pivotal_ids:
            found.setdefault(institution_id, []).append(row)
    return found


async def practices(tx: Tx, ids: Collection[UUID] | None) -> Counts:
    """How many practices its projects gave."""
    return await _shares(tx, PracticeRow, ids)


async def replications(tx: Tx, ids: Collection[UUID] | None) -> Counts:
    """How often those were replicated."""
    return await _shares(tx, ReplicationRow, ids)


async def _shares(tx: Tx, row: type[PracticeRow | ReplicationRow], ids: Collection[UUID] | None) -> Counts:
    partner = func.unnest(col(row.partner_ids)).label("partner")
    partners = select(partner).where(*_of(col(row.partner_ids), ids)).subquery()
    counted = select(partners.c.partner, func.count()).group_by(partners.c.partner)
    return {row[0]: row[1] for row in await tx.session.execute(counted)}


def _of(partners: Any, ids: Collection[UUID] | None) -> list[ColumnElement[bool]]:  # noqa: ANN401 (an array column)
    return [] if ids is None else [overlaps(partners, ids)]


async def answers(tx: Tx, ids: Collection[UUID] | None) -> dict[UUID, tuple[int, int]]:
    """Per provider: proposals answered in time, and all it had to answer (answered, or expired unanswered).

    What it named itself was no proposal to it.
    """
    answered = col(MatchRow.provider_answer).is_not(None)
    in_time = func.count().filter(answered)
    total = func.count().filter(answered | (col(MatchRow.status) == "expired"))
    asked = col(MatchRow.named_by).is_distinct_from(PROVIDER)
    rows = select(col(MatchRow.provider_id), in_time, total).where(asked).group_by(col(MatchRow.provider_id))
    if ids is not None:
        rows = rows.where(among(col(MatchRow.provider_id), ids))
    return {row[0]: (row[1], row[2]) for row in await tx.session.execute(rows)}
