"""The commands of a service, offered twice: by `python -m services.<name>` for one, by `bandung` for all.

Exit codes: 0 done, 1 done in part or refused, 2 wrong usage.
"""

from __future__ import annotations

import asyncio
import json
import sys
import zipfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from shared.ops.settings import ServiceSettings
    from shared.service import Running, Service

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
SomeService = Annotated[str | None, typer.Option("--service", help="Only this service.")]
OneService = Annotated[str, typer.Argument(help="The service.")]
Number = Annotated[int, typer.Argument(help="The number that `list` shows.")]
Row = dict[str, Any]
T = TypeVar("T")


def show(rows: list[Row], *, as_json: bool, title: str) -> None:
    """Prints rows as JSON or as a table."""
    if as_json:
        typer.echo(json.dumps(rows, default=str))
    elif not rows:
        typer.echo(f"{title}: none")
    else:
        _print_table(rows, title)


def _print_table(rows: list[Row], title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*rows[0], title=title, title_justify="left")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    # a pipe has no width: lines for a machine or a pager are not cut
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def complain(message: str) -> typer.Exit:
    """Prints one clear line to standard error; to be raised."""
    typer.secho(message, err=True, fg="red")
    return typer.Exit(1)


@dataclass(frozen=True)
class Operations:
    """Commands over the services that `load` gives: those with this name, or all for None."""

    load: Callable[[str | None], list[Service]]

    def add_to(self, app: typer.Typer) -> None:
        """Registers the commands."""
        for command in (self.migrate, self.outbox, self.snapshot, self.backup, self.restore, self.restored):
            app.command()(command)
        app.add_typer(_group("topics", "Kafka topics.", ensure=self.ensure_topics), name="topics")
        letters = _group(
            "dead-letters",
            "Records that could not be handled.",
            list=self.list_letters,
            show=self.show_letter,
            redrive=self.redrive_letter,
        )
        app.add_typer(letters, name="dead-letters")

    def add_own(self, app: typer.Typer, service: str) -> None:
        """Registers what is said of one service by its name first: `bandung registry snapshot`."""

        @app.command("snapshot")
        def snapshot(as_json: AsJson = False) -> None:
            """Write the present state of every aggregate to Kafka again, under a new epoch."""
            self.snapshot(service, as_json=as_json)

    def migrate(self, service: SomeService = None, as_json: AsJson = False) -> None:
        """Bring the databases to the newest revision."""
        from shared.data import migrate as migrations

        rows: list[Row] = []
        for found in self.load(service):
            work = migrations.upgrade(database_url(found), found.migrations)
            rows += [{"service": found.name, "revision": each} for each in asyncio.run(_guarded(work, found.name))]
        show(rows, as_json=as_json, title="Revisions that ran")

    def ensure_topics(self, service: SomeService = None, as_json: AsJson = False) -> None:
        """Create the topics that are missing."""
        outcome = self._each(service, lambda running: running.ensure_topics(), only_first=True)[0]
        show([{"topic": t, "outcome": o} for t, o in sorted(outcome.items())], as_json=as_json, title="Topics")

    def outbox(self, service: SomeService = None, as_json: AsJson = False) -> None:
        """Show what waits for Kafka."""
        from shared import operations

        show(self._each(service, operations.outbox), as_json=as_json, title="Outbox")

    def snapshot(self, service: OneService, as_json: AsJson = False) -> None:
        """Write the present state of every aggregate to Kafka again, under a new epoch."""
        from shared import operations

        made = self._each(service, operations.snapshot)
        show([{"service": service, "events": number} for number in made], as_json=as_json, title="Snapshot")

    def backup(
        self,
        folder: Annotated[Path, typer.Argument(help="Where the files are written.")],
        service: SomeService = None,
        as_json: AsJson = False,
    ) -> None:
        """Copy the databases, each as it is at one moment, while everything runs."""
        from shared import operations

        async def work(running: Running) -> Row:
            return await operations.backup(running, folder)

        show(self._each(service, work), as_json=as_json, title="Backups")

    def restore(
        self,
        service: OneService,
        file: Annotated[Path, typer.Argument(help="What `backup` wrote.", exists=True, dir_okay=False)],
        as_json: AsJson = False,
    ) -> None:
        """Set one database back to a backup, and tell the others. The service must be stopped, the others may run."""
        from shared import operations
        from shared.data.backup import CannotRestore

        async def work(running: Running) -> Row:
            try:
                return await operations.restore(running, file)
            except (CannotRestore, zipfile.BadZipFile, KeyError) as error:
                raise complain(f"{file}: {error}. Nothing was changed.") from error

        show(self._each(service, work), as_json=as_json, title="Restored")

    def restored(self, service: OneService, as_json: AsJson = False) -> None:
        """Say that a database was set back by other means: raises its epoch and writes a snapshot."""
        from shared import operations

        show(self._each(service, operations.restored), as_json=as_json, title="Restored")

    def list_letters(
        self,
        service: SomeService = None,
        all_: Annotated[bool, typer.Option("--all", help="Also redriven ones.")] = False,
        as_json: AsJson = False,
    ) -> None:
        """List the dead letters that wait."""
        from shared import operations

        async def work(running: Running) -> list[Row]:
            return await operations.dead_letters(running, redriven=all_)

        show([row for rows in self._each(service, work) for row in rows], as_json=as_json, title="Dead letters")

    def show_letter(self, service: OneService, number: Number, as_json: AsJson = False) -> None:
        """Show one dead letter whole; reading it is audited."""
        from shared import operations

        [row] = self._each(service, lambda running: operations.dead_letter(running, number))
        if row is None:
            raise complain(f"{service} has no dead letter {number}; `bandung dead-letters list` shows what there is.")
        typer.echo(json.dumps(row, default=str, indent=None if as_json else 2, ensure_ascii=False))

    def redrive_letter(self, service: OneService, number: Number, as_json: AsJson = False) -> None:
        """Handle a dead letter again."""
        from shared import operations

        [outcome] = self._each(service, lambda running: operations.redrive(running, number))
        show([{"service": service, "id": number, "outcome": outcome}], as_json=as_json, title="Redrive")
        if outcome.startswith("failed"):
            raise typer.Exit(1)

    def _each(
        self, name: str | None, work: Callable[[Running], Coroutine[Any, Any, Any]], *, only_first: bool = False
    ) -> list[Any]:
        services = self.load(name)[: 1 if only_first else None]
        return [inside(service, work) for service in services]


def _group(name: str, help_text: str, **commands: Callable[..., None]) -> typer.Typer:
    group = typer.Typer(name=name, help=help_text, no_args_is_help=True)
    for command, function in commands.items():
        group.command(command)(function)
    return group


def database_url(service: Service) -> str:
    """Where its database is; complains, without showing it, when the setting is missing or no such URL."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    url, variable = service.settings.database_url.get_secret_value(), f"{service.name.upper()}_DATABASE_URL"
    wanted = "postgresql+asyncpg://user:password@host/database"
    if not url:
        raise complain(f"{variable} is not set. It looks like {wanted}.")
    try:
        known = make_url(url).drivername == "postgresql+asyncpg"
    except (ArgumentError, ValueError):
        known = False
    if not known:
        raise complain(f"{variable} is not the address of a database. It looks like {wanted}.")
    return url


def inside(service: Service, work: Callable[[Running], Coroutine[Any, Any, T]]) -> T:
    """What the work gives, done with the parts of a service that is not running here."""
    from shared.service import Running

    async def done() -> T:
        running = Running(service)
        try:
            return await _guarded(work(running), service.name)
        finally:
            await running.close()

    database_url(service)
    return asyncio.run(done())


async def serve(service: Service) -> None:
    """One service until SIGTERM."""
    from shared import run as runner
    from shared.ops.ending import leave
    from shared.web.server import CannotListen

    database_url(service)
    try:
        await _guarded(runner.serve(service), service.name)
    except CannotListen as error:
        raise complain(str(error)) from error
    leave()


async def _guarded(work: Coroutine[Any, Any, T], service: str) -> T:
    """Faults of the surroundings become one line; defects keep their trace."""
    from aiokafka.errors import KafkaError

    from shared.data.database import is_passing, refusal
    from shared.data.migrate import DatabaseIsNewer

    name = service.upper()
    try:
        return await work
    except DatabaseIsNewer as error:
        raise complain(f"{service}: {error}") from error
    except KafkaError as error:
        raise complain(f"Kafka does not answer: {error}. Check BANDUNG_KAFKA_BOOTSTRAP.") from error
    except Exception as error:
        if words := refusal(error):
            check = f"Check {name}_DATABASE_URL and {name}_DATABASE_PASSWORD, or the secrets of these names."
            raise complain(f"The database does not let {service} in: {words}. {check}") from error
        if is_passing(error):
            raise complain(f"The database does not answer: {error}. Check {name}_DATABASE_URL.") from error
        raise


def loaded(build: Callable[[Any], Service], settings_class: type[ServiceSettings]) -> Service:
    """A service from the settings of the environment, with logging set up."""
    from shared.ops import logs

    settings = settings_class()
    logs.configure(level=settings.log_level, as_json=settings.log_json)
    return build(settings)


def main(build: Callable[[Any], Service], settings_class: type[ServiceSettings], *groups: typer.Typer) -> None:
    """Entry point of `python -m services.<name>`; `groups` are the service's own commands."""
    app = typer.Typer(
        help=f"The {settings_class.service} service.", no_args_is_help=True, pretty_exceptions_enable=False
    )

    def own(name: str | None) -> list[Service]:
        """The one that is here; another name is a mistake, not a way to this one."""
        if name not in (None, settings_class.service):
            raise complain(f"There is no service {name} here, only {settings_class.service}.")
        return [loaded(build, settings_class)]

    Operations(own).add_to(app)

    @app.command("run")
    def run_service() -> None:
        """Run the API with its relay, consumer and scheduler until SIGTERM."""
        asyncio.run(serve(loaded(build, settings_class)))

    @app.command("make-revision", hidden=True)
    def make_revision(message: str) -> None:
        """Write the difference between database and table classes as a new revision (for developers)."""
        from shared.data import revising

        service = loaded(build, settings_class)
        url = database_url(service)
        for path in asyncio.run(revising.write_revision(url, service.migrations, service.metadata, message)):
            typer.echo(path)

    for group in groups:
        app.add_typer(group)
    app()
