"""Migrations: which revision the code wants, which one a database is at, and bringing it there.

Each service's `migrations/versions` holds revisions only, `<number>_<words>.py`, one after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from shared.data.database import server_settings

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncConnection

_LOCK = 7_236_911  # one migration at a time per database
IS_MIGRATED = "select to_regclass('alembic_version') is not null"
REVISION = "select version_num from alembic_version"


class DatabaseIsNewer(Exception):  # noqa: N818 (said to a person as it is)
    """The database is at a revision that this code does not have."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"the database is newer than this code (it is at revision {revision}, unknown here). "
            "Run the newer code, or restore the backup that was made before the upgrade."
        )


def revisions(folder: Path) -> list[str]:
    """The revisions of the code, oldest first, by the names of their files."""
    return sorted(path.name.partition("_")[0] for path in (folder / "versions").glob("[0-9]*_*.py"))


def head(folder: Path) -> str | None:
    """The newest revision of the code; None without any."""
    return max(revisions(folder), default=None)


def is_newer(revision: str | None, folder: Path) -> bool:
    """Whether code of this folder does not know the revision at which a database is."""
    return revision is not None and revision not in revisions(folder)


async def current(connection: AsyncConnection) -> str | None:
    """The revision the database is at; None for an empty one."""
    if not await connection.scalar(text(IS_MIGRATED)):
        return None
    revision: str | None = await connection.scalar(text(REVISION))
    return revision


async def upgrade(url: str, folder: Path) -> list[str]:
    """Brings the database to the newest revision under an advisory lock; returns the revisions that ran.

    Raises DatabaseIsNewer when newer code was here, and what the driver raises when the database is away.
    Not for two databases at once in one process: Alembic's `op` is one object per process.
    """
    engine = create_async_engine(
        url,
        connect_args={
            "server_settings": {**server_settings("migrate"), "lock_timeout": "4s", "statement_timeout": "0"}
        },
    )
    try:
        async with engine.connect() as connection:
            await connection.execute(text("set lock_timeout = 0"))
            await connection.execute(text("select pg_advisory_lock(:id)"), {"id": _LOCK})
            await connection.execute(text("set lock_timeout = '4s'"))
            done = await _upgrade(connection, folder)
            await connection.commit()
            return done
    finally:
        await engine.dispose()


async def _upgrade(connection: AsyncConnection, folder: Path) -> list[str]:
    at = await current(connection)
    if at == head(folder):
        return []
    if at is not None and is_newer(at, folder):
        raise DatabaseIsNewer(at)
    from shared.data import revising  # noqa: PLC0415 (a tenth of a second that most starts have no use for)

    return await connection.run_sync(revising.run_to_head, folder)
