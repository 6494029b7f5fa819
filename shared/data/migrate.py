"""Alembic without ini files: each service's `migrations/` holds revisions only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine

from shared.data.database import server_settings

if TYPE_CHECKING:
    from typing import Any

    from sqlalchemy import Connection

_LOCK = 7_236_911  # one migration at a time per database


class DatabaseIsNewer(Exception):  # noqa: N818 (said to a person as it is)
    """The database is at a revision that this code does not have."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"the database is newer than this code (it is at revision {revision}, unknown here). "
            "Run the newer code, or restore the backup that was made before the upgrade."
        )


def scripts(folder: Path) -> ScriptDirectory:
    """The revisions of one service; the template of new ones lies beside this file."""
    return ScriptDirectory(str(Path(__file__).parent), version_locations=[str(folder / "versions")])


def head(folder: Path) -> str | None:
    """The newest revision of the code."""
    return scripts(folder).get_current_head()


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
            done = await connection.run_sync(_upgrade, folder)
            await connection.commit()
            return done
    finally:
        await engine.dispose()


def current(connection: Connection) -> str | None:
    """The revision the database is at."""
    return MigrationContext.configure(connection).get_current_revision()


def is_newer(revision: str | None, folder: Path) -> bool:
    """Whether code of this folder does not know the revision at which a database is."""
    return revision is not None and revision not in {each.revision for each in scripts(folder).walk_revisions()}


def _upgrade(connection: Connection, folder: Path) -> list[str]:
    directory = scripts(folder)
    at = current(connection)
    if at == directory.get_current_head():
        return []
    if at is not None and is_newer(at, folder):
        raise DatabaseIsNewer(at)
    ran: list[str] = []

    def plan(revision: Any, context: MigrationContext) -> Any:  # noqa: ANN401 (Alembic's own shapes)
        del context
        steps = directory._upgrade_revs("head", revision)  # noqa: SLF001 (what alembic.command.upgrade calls)
        ran.extend(str(step.revision.revision) for step in steps)
        return steps

    environment = EnvironmentContext(Config(), directory, fn=plan)
    environment.configure(connection=connection)
    with environment.begin_transaction():
        environment.run_migrations()
    return ran


async def write_revision(url: str, folder: Path, metadata: MetaData, message: str) -> list[str]:
    """Writes a new revision file from the table classes (for developers); returns its path."""
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_write_revision, folder, metadata, message)
    finally:
        await engine.dispose()


def _write_revision(connection: Connection, folder: Path, metadata: MetaData, message: str) -> list[str]:
    from alembic.autogenerate import api  # noqa: PLC0415 (developer command only)

    directory = scripts(folder)
    number = len(list(directory.walk_revisions())) + 1
    context = api.RevisionContext(
        Config(),
        directory,
        {
            "message": message,
            "autogenerate": True,
            "sql": False,
            "head": "head",
            "splice": False,
            "branch_label": None,
            "version_path": None,
            "rev_id": f"{number:04d}",
            "depends_on": None,
        },
    )

    def compare(revision: Any, migration: MigrationContext) -> Any:  # noqa: ANN401
        context.run_autogenerate(revision, migration)
        return []

    environment = EnvironmentContext(Config(), directory, fn=compare)
    environment.configure(connection=connection, target_metadata=metadata, compare_type=True)
    environment.run_migrations()
    return [str(script.path) for script in context.generate_scripts() if script is not None]
