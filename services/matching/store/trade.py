"""What countries trade."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from sqlalchemy import select
from sqlmodel import col

from services.matching.tables import TradeProfileRow

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from shared.messaging.transaction import Tx

_BY_CODE = UUID(int=0)


def profile_id(country: str) -> UUID:
    """The id of a country's profile, always the same."""
    return uuid5(_BY_CODE, country)


async def profiles(tx: Tx) -> Sequence[TradeProfileRow]:
    """All, by code: some two hundred; as the rows are now."""
    rows = select(TradeProfileRow).order_by(col(TradeProfileRow.country)).execution_options(populate_existing=True)
    return (await tx.session.scalars(rows)).all()


async def countries(tx: Tx, ids: Collection[UUID]) -> list[str]:
    """The codes of the countries with these profiles."""
    return list(await tx.session.scalars(select(col(TradeProfileRow.country)).where(col(TradeProfileRow.id).in_(ids))))


async def edition(tx: Tx) -> str:
    """What tells any other set of profiles from the present one."""
    rows = select(col(TradeProfileRow.country), col(TradeProfileRow.sequence)).order_by(col(TradeProfileRow.country))
    return edition_of(await tx.session.execute(rows))


def edition_of(rows: Iterable[Any]) -> str:
    """The same of rows that are read already, by code; empty when there is none."""
    said = " ".join(f"{row.country} {row.sequence}" for row in rows)
    return hashlib.sha256(said.encode()).hexdigest()[:16] if said else ""
