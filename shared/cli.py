"""The commands of one service: `python -m services.<name>`, also behind `bandung <name>`."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table as RichTable

from shared import run as runner
from shared.data import migrate as migrations
from shared.ops import logs
from shared.service import Running

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from shared.ops.settings import ServiceSettings
    from shared.service import Service

console = Console()
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def show(rows: list[dict[str, Any]], *, as_json: bool, title: str) -> None:
    """Prints rows as JSON or as a table."""
    if as_json:
        typer.echo(json.dumps(rows, default=str))
        return
    if not rows:
        console.print(f"{title}: none")
        return
    table = RichTable(title=title)
    for name in rows[0]:
        table.add_column(name)
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    console.print(table)


def commands(build: Callable[[Any], Service], settings_class: type[ServiceSettings]) -> typer.Typer:
    """The command group of one service."""
    app = typer.Typer(help=f"The {settings_class.service} service.", no_args_is_help=True)

    def service() -> Service:
        settings = settings_class()
        logs.configure(level=settings.log_level, as_json=settings.log_json)
        return build(settings)

    def in_service(work: Callable[[Running], Coroutine[Any, Any, Any]]) -> Any:  # noqa: ANN401
        async def inside() -> Any:  # noqa: ANN401
            running = Running(service())
            try:
                return await work(running)
            finally:
                await running.close()

        return asyncio.run(inside())

    @app.command("run")
    def run_service() -> None:
        """Run the API with its relay, consumer and scheduler until SIGTERM."""
        asyncio.run(runner.serve(service()))

    @app.command()
    def migrate(as_json: AsJson = False) -> None:  # noqa: FBT002 (typer option)
        """Bring the database to the newest revision."""
        made = service()
        done = asyncio.run(migrations.upgrade(made.settings.database_url.get_secret_value(), made.migrations))
        show([{"revision": revision} for revision in done], as_json=as_json, title="Revisions that ran")

    @app.command("make-revision", hidden=True)
    def make_revision(message: str) -> None:
        """Write the difference between database and table classes as a new revision (for developers)."""

        async def work(running: Running) -> list[str]:
            async with running.database.background.connect() as connection:
                return await connection.run_sync(
                    migrations.make_revision, running.service.migrations, running.service.metadata, message
                )

        show([{"file": path} for path in in_service(work)], as_json=False, title="Written")

    @app.command()
    def topics(as_json: AsJson = False) -> None:  # noqa: FBT002 (typer option)
        """Create missing Kafka topics."""
        outcome = in_service(lambda running: running.ensure_topics())
        show([{"topic": name, "outcome": what} for name, what in outcome.items()], as_json=as_json, title="Topics")

    return app


def main(build: Callable[[Any], Service], settings_class: type[ServiceSettings]) -> None:
    """Entry point of `python -m services.<name>`."""
    commands(build, settings_class)()
