"""The part of migrations that is Alembic's, without ini files: running revisions, and writing new ones.

Imported only where there is something to run, since most starts find nothing to do.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine

if TYPE_CHECKING:
    from typing import Any

    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import Connection, MetaData


def scripts(folder: Path) -> ScriptDirectory:
    """The revisions of one service; the template of new ones lies beside this file."""
    return ScriptDirectory(str(Path(__file__).parent), version_locations=[str(folder / "versions")])


def run_to_head(connection: Connection, folder: Path) -> list[str]:
    """Runs what the database lacks and returns it. The caller holds the lock and commits."""
    directory = scripts(folder)
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
