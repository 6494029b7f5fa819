"""Idempotency-Key: the first answer is kept in the transaction of its effect, and given again to a retry."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    delete,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from shared.web.problems import refuse

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

KEPT = timedelta(hours=24)
MAX_KEY_LENGTH = 255


def idempotency_table(metadata: MetaData) -> Table:
    """The table of one service."""
    return Table(
        "idempotency",
        metadata,
        Column("sub", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("fingerprint", LargeBinary, nullable=False),
        Column("status", Integer, nullable=False),
        Column("headers", JSONB, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("at", DateTime(timezone=True), nullable=False),
        PrimaryKeyConstraint("sub", "key"),
        Index("idempotency_at", "at"),
    )


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer as it was first given."""

    status: int
    headers: dict[str, str]
    body: bytes


def check_key(key: str) -> str:
    """1 to 255 visible ASCII characters, else `invalid_header`."""
    if not 0 < len(key) <= MAX_KEY_LENGTH or not all("!" <= c <= "~" for c in key):
        raise refuse("invalid_header", "Idempotency-Key must be 1 to 255 visible ASCII characters.")
    return key


def fingerprint(method: str, path_and_query: str, body: Any) -> bytes:  # noqa: ANN401 (any JSON)
    """What makes two requests the same: method, path with query, and the body as parsed JSON."""
    text = json.dumps([method, path_and_query, body], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True)
class Replays:
    """The stored answers of one service."""

    table: Table

    async def begin(self, session: AsyncSession, sub: str, key: str, mark: bytes, now: datetime) -> Stored | None:
        """The earlier answer, or None when this request is the first; holds the key until the transaction ends.

        Raises `idempotency_in_flight` while the first request runs, `idempotency_key_reused` for another request.
        """
        t = self.table
        lock = func.pg_try_advisory_xact_lock(_lock_id(sub, key))
        if not await session.scalar(select(lock)):
            raise refuse("idempotency_in_flight", "The first request with this key has not been answered yet.")
        # its own statement: the snapshot must be taken after the lock, or a just-committed answer is missed
        row = (
            await session.execute(select(t).where(t.c.sub == sub, t.c.key == key, t.c.at > now - KEPT))
        ).one_or_none()
        if row is None:
            return None
        if row.fingerprint != mark:
            raise refuse("idempotency_key_reused", "Use a new Idempotency-Key for a new request.")
        return Stored(row.status, dict(row.headers), row.body)

    async def store(
        self, session: AsyncSession, sub: str, key: str, mark: bytes, answer: Stored, now: datetime
    ) -> None:
        """Keeps the answer; an outdated one under the same key is replaced."""
        values = {
            "fingerprint": mark,
            "status": answer.status,
            "headers": answer.headers,
            "body": answer.body,
            "at": now,
        }
        row = insert(self.table).values(sub=sub, key=key, **values)
        await session.execute(row.on_conflict_do_update(index_elements=["sub", "key"], set_=values))

    async def purge(self, session: AsyncSession, now: datetime) -> int:
        """Deletes what is older than 24 hours, a thousand rows at a time."""
        t = self.table
        old = select(t.c.sub, t.c.key).where(t.c.at <= now - KEPT).limit(1000)
        result = await session.execute(delete(t).where(func.row(t.c.sub, t.c.key).in_(old)))
        return int(result.rowcount)  # type: ignore[attr-defined]


def _lock_id(sub: str, key: str) -> int:
    digest = hashlib.blake2b(f"{sub}\n{key}".encode(), digest_size=8, person=b"idempotency").digest()
    return int.from_bytes(digest, "big", signed=True)


def without_secrets(body: bytes) -> bytes:
    """The body as it may be stored: members that are shown once become null."""
    document = json.loads(body)
    if not isinstance(document, dict):
        return body
    hidden = {name: None for name in ("secret", "client_secret") if document.get(name) is not None}
    return json.dumps({**document, **hidden}).encode() if hidden else body
