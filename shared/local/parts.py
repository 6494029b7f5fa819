"""The embedded servers of one home, started and stopped together."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from shared.local.children import stop_leftovers
from shared.local.errors import LocalPartError, plain_errors
from shared.local.kafka import Kafka
from shared.local.kafka_setup import kafka_jars
from shared.local.locks import try_lock
from shared.local.postgres import Postgres


class LocalParts:
    """PostgreSQL and Kafka of one home, which is locked for as long as they run.

    `async with LocalParts(home) as parts:` gives `parts.postgres` and `parts.kafka`, both serving.
    A port left out is a free one and remembered. `jars_folder` is the alternative to the package
    registry, `durable=False` is for tests, `say` gets one line for a person at a time. A part that
    the operator has elsewhere is left out with `own_postgres` or `own_kafka`. `locked` runs once
    the home is ours, before anything starts.
    """

    postgres: Postgres
    kafka: Kafka  # from the start on: the jars decide how it starts

    def __init__(
        self,
        home: Path,
        *,
        kafka_port: int | None = None,
        postgres_port: int | None = None,
        jars_folder: Path | None = None,
        durable: bool = True,
        own_postgres: bool = False,
        own_kafka: bool = False,
        locked: Callable[[], None] = lambda: None,
        say: Callable[[str], None] = print,
    ) -> None:
        self._home = home.absolute()
        self._kafka_port = kafka_port
        self._jars_folder = jars_folder
        self._own_postgres, self._own_kafka = own_postgres, own_kafka
        self._locked = locked
        self._say = say
        self._lock: IO[str] | None = None
        self.postgres = Postgres(self._home, postgres_port, durable=durable)

    async def __aenter__(self) -> Self:
        """Start both. Raises LocalPartError, with nothing left running and the home unlocked."""
        self._take_home()
        try:
            self._locked()
            with plain_errors(str(self._home)):
                for name in await stop_leftovers(self._home):
                    self._say(f"{name} of an earlier run was still running and has been stopped")
            await _all_or_first_error(*self._starts())
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop both and unlock the home."""
        await self.stop()

    async def stop(self) -> None:
        """Stop both and unlock the home; harmless when done before."""
        parts = [self.postgres.stop()]
        if hasattr(self, "kafka"):
            parts.append(self.kafka.stop())
        try:
            await asyncio.gather(*parts)
        finally:
            if self._lock:
                self._lock.close()
                self._lock = None

    @property
    def running(self) -> list[Postgres | Kafka]:
        """The parts that were started here."""
        kafka = [self.kafka] if hasattr(self, "kafka") else []
        return [*([] if self._own_postgres else [self.postgres]), *kafka]

    def _starts(self) -> list[Coroutine[Any, Any, None]]:
        starts = [] if self._own_postgres else [self.postgres.start()]
        return starts if self._own_kafka else [*starts, self._start_kafka()]

    def _take_home(self) -> None:
        with plain_errors(str(self._home)):
            self._lock = try_lock(self._home / "lock")
        if self._lock is None:
            holder = (self._home / "lock").read_text().strip()
            raise LocalPartError(f"{self._home} is in use by another bandung (process {holder}): stop it first")

    async def _start_kafka(self) -> None:
        jars = await kafka_jars(self._jars_folder, self._say)
        self.kafka = Kafka(self._home, self._kafka_port, jars)
        await self.kafka.start()


async def _all_or_first_error(*starts: Coroutine[Any, Any, None]) -> None:
    """Run all to the end or to the first error, which is raised as it is, the others cancelled."""
    tasks = [asyncio.ensure_future(start) for start in starts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            if not task.cancelling():  # a second time would cut short how it cleans up
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
