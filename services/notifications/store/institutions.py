"""What is known of institutions: name, country, languages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from services.notifications.tables import InstitutionRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.ext.asyncio import AsyncSession

# the table class as SQL columns: SQLModel declares the types of the values
_institution: Any = InstitutionRow


async def apply(
    session: AsyncSession, institution_id: UUID, *, name: str, country: str | None, languages: list[str], sequence: str
) -> None:
    """The newest state wins, in whatever order the events come."""
    values = {"name": name, "country": country, "languages": languages, "sequence": sequence}
    row = insert(InstitutionRow).values(id=institution_id, **values)
    newer = _institution.sequence < row.excluded.sequence
    await session.execute(row.on_conflict_do_update(index_elements=["id"], set_=values, where=newer))


async def names(session: AsyncSession, ids: Iterable[str]) -> dict[str, tuple[str, str | None]]:
    """(name, country) by id, for those that are known."""
    wanted = [UUID(one) for one in ids]
    if not wanted:
        return {}
    rows = select(_institution).where(_institution.id.in_(wanted))
    return {str(row.id): (row.name, row.country) for row in await session.scalars(rows)}


async def languages(session: AsyncSession, institution_id: UUID | None) -> list[str]:
    """The languages of an institution, its first one first; none when it is not known."""
    if institution_id is None:
        return []
    row = await session.get(InstitutionRow, institution_id)
    return row.languages if row else []
