"""Needs, and the places they have filled."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import exists, func, or_, select
from sqlmodel import col

from services.matching.domain.formalising import TAKES_A_PLACE
from services.matching.store.arrays import among, overlaps
from services.matching.store.capabilities import PUBLISHED
from services.matching.tables import CapabilityRow, EngagementRow, InstitutionRow, MatchRow, NeedRow
from shared.reference.vocabulary import ResourceKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence
    from datetime import date, datetime

    from sqlalchemy import ColumnElement, ScalarSelect

    from shared.messaging.transaction import Tx


async def get(tx: Tx, need_id: UUID) -> NeedRow | None:
    """One, None when its event has not arrived."""
    return await tx.session.get(NeedRow, need_id)


async def lock(tx: Tx, need_id: UUID) -> NeedRow | None:
    """The row, held until the end: the first lock of everything that changes a match."""
    return await tx.session.get(NeedRow, need_id, with_for_update=True, populate_existing=True)


async def all_open(tx: Tx, page_rows: int = 200) -> AsyncIterator[Sequence[NeedRow]]:
    """Open needs in id order, a page at a time, as the rows are now."""
    last = UUID(int=0)
    rows = select(NeedRow).where(col(NeedRow.status) == "open").order_by(col(NeedRow.id)).limit(page_rows)
    rows = rows.execution_options(populate_existing=True)
    while page := (await tx.session.scalars(rows.where(col(NeedRow.id) > last))).all():
        yield page
        last = page[-1].id


async def fingerprint(tx: Tx, threshold: float) -> tuple[int, int, int]:
    """Open needs, sum of their versions, and of the scores they ask for (at least the threshold) in millionths."""
    asked = func.round(func.coalesce(col(NeedRow.cutoff), threshold) * 1_000_000)
    sums = select(func.count(), func.coalesce(func.sum(NeedRow.version), 0), func.coalesce(func.sum(asked), 0))
    count, versions, total = (await tx.session.execute(sums.where(col(NeedRow.status) == "open"))).one()
    return int(count), int(versions), int(total)


async def oldest_open(tx: Tx, limit: int) -> Sequence[NeedRow]:
    """Open needs, those that wait longest first."""
    rows = select(NeedRow).where(col(NeedRow.status) == "open").order_by(col(NeedRow.id)).limit(limit)
    return (await tx.session.scalars(rows)).all()


async def seeking(tx: Tx, last: UUID, today: date, limit: int = 200) -> list[tuple[NeedRow, int]]:
    """Needs behind an id that still seek partners, with the partners they found."""
    rows = select(NeedRow, _taken()).where(col(NeedRow.id) > last, *_seeks(today)).order_by(col(NeedRow.id))
    return [(row[0], row[1]) for row in await tx.session.execute(rows.limit(limit))]


async def seeking_any(
    tx: Tx, kinds: Collection[str], isic: Collection[str], today: date, limit: int
) -> Sequence[NeedRow]:
    """Needs that still seek partners and one of these kinds: those with one of these codes first, newest first."""
    rows = select(NeedRow).where(overlaps(col(NeedRow.resource_kinds), kinds), *_seeks(today))
    first = overlaps(col(NeedRow.isic), isic).desc()
    return (await tx.session.scalars(rows.order_by(first, col(NeedRow.id).desc()).limit(limit))).all()


def _seeks(today: date) -> list[ColumnElement[bool]]:
    """`domain.seeking` as SQL."""
    owner = select(col(InstitutionRow.status)).where(col(InstitutionRow.id) == col(NeedRow.institution_id))
    return [
        col(NeedRow.status) == "open",
        col(NeedRow.deadline) >= today,
        _taken() < col(NeedRow.partners_wanted),
        func.coalesce(owner.scalar_subquery(), "") != "suspended",
    ]


def _taken() -> ScalarSelect[int]:
    """How many of its places are taken."""
    rows = select(func.count()).where(
        col(EngagementRow.need_id) == col(NeedRow.id), col(EngagementRow.state).in_(TAKES_A_PLACE)
    )
    return rows.scalar_subquery()


async def count_open(tx: Tx) -> int:
    """How many needs seek partners."""
    return int(
        await tx.session.scalar(select(func.count()).select_from(NeedRow).where(col(NeedRow.status) == "open")) or 0
    )


async def places(tx: Tx, need_id: UUID) -> int:
    """How many of the partners it wanted it has found."""
    rows = select(func.count()).select_from(EngagementRow)
    taken = rows.where(col(EngagementRow.need_id) == need_id, col(EngagementRow.state).in_(TAKES_A_PLACE))
    return int(await tx.session.scalar(taken) or 0)


async def engaged_with(tx: Tx, need_id: UUID, capability_id: UUID) -> bool:
    """Whether this capability takes one of its places."""
    rows = select(col(EngagementRow.match_id)).where(
        col(EngagementRow.need_id) == need_id,
        col(EngagementRow.capability_id) == capability_id,
        col(EngagementRow.state).in_(TAKES_A_PLACE),
    )
    return await tx.session.scalar(rows.limit(1)) is not None


async def quiet(tx: Tx, need_id: UUID, since: datetime) -> set[UUID]:
    """Capabilities not to be proposed (again): declined or expired since then, or engaged with it."""
    return (await quiet_of(tx, [need_id], since)).get(need_id, set())


async def quiet_of(tx: Tx, need_ids: Collection[UUID], since: datetime) -> dict[UUID, set[UUID]]:
    """The same for several needs."""
    closed = select(col(MatchRow.need_id), col(MatchRow.capability_id)).where(
        among(col(MatchRow.need_id), need_ids),
        col(MatchRow.status).in_(("declined", "expired")),
        col(MatchRow.updated_at) > since,
    )
    engaged = select(col(EngagementRow.need_id), col(EngagementRow.capability_id)).where(
        among(col(EngagementRow.need_id), need_ids), col(EngagementRow.state).in_(TAKES_A_PLACE)
    )
    found: dict[UUID, set[UUID]] = {}
    for need_id, capability_id in await tx.session.execute(closed.union(engaged)):
        found.setdefault(need_id, set()).add(capability_id)
    return found


async def of_institution(tx: Tx, institution_id: UUID) -> list[UUID]:
    """Its open needs, and the needs of all open matches in which it is a party."""
    own = select(col(NeedRow.id)).where(col(NeedRow.institution_id) == institution_id, col(NeedRow.status) == "open")
    party = (col(MatchRow.beneficiary_id) == institution_id) | (col(MatchRow.provider_id) == institution_id)
    matched = select(col(MatchRow.need_id)).where(~col(MatchRow.closed), party)
    return list((await tx.session.scalars(own.union(matched))).all())


async def seeking_trade(tx: Tx, countries: Collection[str]) -> list[UUID]:
    """Open needs that seek trade and are of one of these countries; all others too when one of these has an offer."""
    offered = exists().where(
        col(InstitutionRow.country).in_(countries),
        col(CapabilityRow.institution_id) == col(InstitutionRow.id),
        col(CapabilityRow.status) == PUBLISHED,
    )
    rows = select(col(NeedRow.id)).where(
        col(NeedRow.status) == "open",
        col(NeedRow.resource_kinds).contains([ResourceKind.TRADE]),
        or_(col(NeedRow.country).in_(countries), offered),
    )
    return list((await tx.session.scalars(rows)).all())


async def with_open_matches(tx: Tx, capability_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Need -> one of these capabilities with which it has an open match."""
    rows = select(col(MatchRow.need_id), col(MatchRow.capability_id)).where(
        ~col(MatchRow.closed), among(col(MatchRow.capability_id), capability_ids)
    )
    return {row[0]: row[1] for row in await tx.session.execute(rows)}
