"""API keys and signing keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.registry.store import common
from services.registry.tables import KeyRow, SigningKeyRow
from shared.messaging.transaction import Tx
from shared.web.auth import Caller
from shared.web.paging import PageQuery
from shared.web.problems import not_found


async def get_visible(tx: Tx, caller: Caller, key_id: UUID, *, lock: bool = False) -> KeyRow:
    """A key of the caller's institution, any key for an operator; raises `not_found`."""
    row = await common.load(tx, KeyRow, key_id, lock=lock)
    if row is None or not (caller.is_operator or row.institution_id == caller.institution_id):
        raise not_found("key")
    return row


async def page(
    tx: Tx, caller: Caller, institution_id: UUID | None, status: Sequence[str], query: PageQuery
) -> tuple[list[KeyRow], str | None]:
    """The keys that the caller may see."""
    rows = select(KeyRow)
    if not caller.is_operator:
        rows = rows.where(col(KeyRow.institution_id) == caller.institution_id)
    if institution_id is not None:
        rows = rows.where(col(KeyRow.institution_id) == institution_id)
    if status:
        rows = rows.where(col(KeyRow.status).in_(status))
    return await common.page(tx, rows, KeyRow, query)


async def by_client_id(tx: Tx, client_id: str, *, lock: bool = False) -> KeyRow | None:
    """The key with this client id."""
    rows = select(KeyRow).where(col(KeyRow.client_id) == client_id)
    return (await tx.session.scalars(rows.with_for_update() if lock else rows)).one_or_none()


async def signing_keys(session: AsyncSession) -> list[SigningKeyRow]:
    """All that are served, newest first."""
    rows = select(SigningKeyRow).where(col(SigningKeyRow.retired_at).is_(None))
    return list(
        await session.scalars(rows.order_by(col(SigningKeyRow.created_at).desc(), col(SigningKeyRow.kid).desc()))
    )


async def superseded(session: AsyncSession, before: datetime) -> list[SigningKeyRow]:
    """Served keys that a newer one replaced before that time, locked."""
    served = select(SigningKeyRow).where(col(SigningKeyRow.retired_at).is_(None))
    rows = list(await session.scalars(served.order_by(col(SigningKeyRow.created_at)).with_for_update(skip_locked=True)))
    return [old for old, new in pairwise(rows) if new.created_at < before]
