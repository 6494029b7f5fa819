"""`bandung up`: the whole system on one machine, in one process with embedded PostgreSQL and Kafka.

The order: lock the home, start both parts while the services are imported, migrate four databases, start the four
services in one event loop, make the platform keys, write `local.json`, watch the parts until a signal.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services import SERVICES
from services.home import ENVIRONMENT_FILE, environment_document, local_document, write_private
from shared.local.children import supervise
from shared.local.errors import LocalPartError
from shared.local.parts import LocalParts
from shared.ops import garbage
from shared.ops.ending import leave, stop_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared import run
    from shared.service import Service
    from shared.web.server import HttpServer

NAMES = ("console", *SERVICES)
PLATFORM_ROLES = ("operator", "verifier")
DEFAULT_KAFKA_PORT = 9092
READY_SECONDS = 60.0


class UpSettings(BaseSettings):
    """What moves the embedded system about."""

    model_config = SettingsConfigDict(env_prefix="BANDUNG_", extra="ignore")

    home: Path = Field(Path(".bandung"), description="Folder of the whole state: databases, log of Kafka, keys")
    instance: str = Field("local", description="Name of this installation, part of `ce_source`")
    ports: str = Field(
        "8000,8001,8002,8003,8004",
        pattern=r"^\d{1,5}(,\d{1,5}){4}$",
        description="Ports of console, registry, matching, projects, notifications",
    )
    kafka_port: int = Field(DEFAULT_KAFKA_PORT, description="Port of the embedded Kafka")
    kafka_jars: Path | None = Field(None, description="Folder with Kafka's jars, instead of Maven Central")
    database_url: str = Field(
        "", description="Your own PostgreSQL instead of the embedded one; `{}` stands for the database"
    )
    kafka_bootstrap: str = Field("", description="Your own Kafka instead of the embedded one")

    @property
    def endpoints(self) -> dict[str, str]:
        """Base URL of each part, console first."""
        return {name: f"http://127.0.0.1:{port}" for name, port in zip(NAMES, self.ports.split(","), strict=True)}


@dataclass
class Up:
    """The running system."""

    settings: UpSettings
    say: Callable[[str], None]
    loops: list[run.Loops] = field(default_factory=list)
    console: tuple[HttpServer, asyncio.Task[None]] | None = None
    keys: list[dict[str, Any]] = field(default_factory=list)
    started: bool = False
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    begun: float = field(default_factory=time.monotonic)
    looks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def local_json(self) -> Path:
        """Where addresses and first credentials are written."""
        return self.settings.home / "local.json"

    def look_at_kafka(self) -> None:
        """Readiness tells of a broker that ended, or runs again, though its service has nothing to say to it."""
        for loops in self.loops:
            look = asyncio.create_task(loops.running.broker.probe())
            self.looks.add(look)
            look.add_done_callback(self.looks.discard)


async def up(settings: UpSettings, *, with_demo: bool, say: Callable[[str], None]) -> None:
    """Runs everything until SIGTERM or SIGINT, also when that comes during the start.

    Raises LocalPartError with one clear line when it cannot start.
    """
    asked = stop_event()
    system = Up(settings, say)
    life = asyncio.create_task(live(system, asked, with_demo=with_demo))
    signalled = asyncio.create_task(asked.wait())
    await asyncio.wait({life, signalled}, return_when=asyncio.FIRST_COMPLETED)
    if not system.started:
        life.cancel()  # unwinds what has been started so far
    signalled.cancel()
    try:
        await life
    except asyncio.CancelledError:
        say("Stopped before it was ready.")
    finally:
        garbage.resume()  # also after a start that failed
    leave()


async def live(system: Up, asked: asyncio.Event, *, with_demo: bool) -> None:
    """From the lock on the home to the last child stopped."""
    settings = system.settings
    imports = asyncio.create_task(asyncio.to_thread(import_services))  # while PostgreSQL and Kafka start
    parts = LocalParts(
        settings.home,
        kafka_port=settings.kafka_port,
        jars_folder=settings.kafka_jars,
        own_postgres=bool(settings.database_url),
        own_kafka=bool(settings.kafka_bootstrap),
        locked=lambda: system.local_json.unlink(missing_ok=True),
        say=system.say,
    )
    async with parts:

        def changed(line: str) -> None:
            system.say(line)
            system.look_at_kafka()
            if system.started:  # a part that was started again has another pid
                write_local(system, parts)

        watchers = [asyncio.create_task(supervise(part, changed)) for part in parts.running]
        try:
            await imports
            await start_services(system, parts)
            system.started = True
            garbage.resume()
            demo = asyncio.create_task(play_demo(system)) if with_demo else None
            await asked.wait()
            if demo is not None:
                demo.cancel()
        finally:
            await stop_all(system, watchers)


def import_services() -> None:
    """A second of imports, and the lexicon, which matching cannot start without."""
    from services.matching.engine import lexicon

    for package in SERVICES.values():
        importlib.import_module(f"{package}.app")
    lexicon.default_lexicon()


async def stop_all(system: Up, watchers: list[asyncio.Task[None]]) -> None:
    """Services first, then the watchers; the parts are stopped by whoever started them."""
    from shared import run

    system.say("Stopping ...")
    system.local_json.unlink(missing_ok=True)  # nothing answers at these addresses any more
    if system.console is not None:
        system.console[0].ask_to_stop()
    await run.stop(system.loops)
    if system.console is not None:
        await asyncio.wait({system.console[1]}, timeout=1)
    for watcher in watchers:
        watcher.cancel()
    await asyncio.gather(*watchers, return_exceptions=True)


async def start_services(system: Up, parts: LocalParts) -> None:
    """Migrates and starts the four services and the console, then writes `local.json`."""
    from shared import run
    from shared.web.server import CannotListen

    urls = await databases(system.settings, parts)
    services = [build(name, system.settings, urls[name], bootstrap(system.settings, parts)) for name in SERVICES]
    await migrate_all(services)
    # registry first: it issues the tokens and publishes the keys the others check them with
    try:
        for service in services:
            system.loops.append(await run.start(service))
        await start_console(system)
    except CannotListen as error:
        raise LocalPartError(f"{error}. Move the ports with BANDUNG_PORTS=8000,8001,8002,8003,8004") from error
    system.keys = await platform_keys(system)
    await ready(system)
    write_local(system, parts)
    write_private(system.settings.home / ENVIRONMENT_FILE, environment_document(services))
    system.say(banner(system))


async def start_console(system: Up) -> None:
    """The front door."""
    from services.console.app import make_console
    from shared.web.server import http_server, listening

    endpoints = dict(system.settings.endpoints)
    port = int(endpoints.pop("console").rpartition(":")[2])
    server = http_server(make_console(endpoints, system.settings.instance), "127.0.0.1", port)
    task = await listening(server, "console")
    system.console = (server, task)


def build(name: str, settings: UpSettings, url: str, kafka: str) -> Service:
    """One of the four with its embedded settings."""
    package = importlib.import_module(f"{SERVICES[name]}.app")
    settings_class = importlib.import_module(f"{SERVICES[name]}.settings").Settings
    endpoints = settings.endpoints
    service: Service = package.build(
        settings_class(
            embedded=True,
            instance=settings.instance,
            home=settings.home,
            port=int(endpoints[name].rpartition(":")[2]),
            database_url=SecretStr(url),
            kafka_bootstrap=kafka,
            issuer=endpoints["registry"],
        )
    )
    return service


async def databases(settings: UpSettings, parts: LocalParts) -> dict[str, str]:
    """One database per service: embedded ones are made, one's own must exist."""
    if settings.database_url:
        return {name: settings.database_url.replace("{}", name) for name in SERVICES}
    await asyncio.gather(*(parts.postgres.ensure_database(name) for name in SERVICES))
    return {name: parts.postgres.url(name) for name in SERVICES}


def bootstrap(settings: UpSettings, parts: LocalParts) -> str:
    """Where Kafka is."""
    return settings.kafka_bootstrap or parts.kafka.bootstrap


async def migrate_all(services: list[Service]) -> None:
    """One after the other: Alembic's `op` is one object per process."""
    from shared.data import migrate

    for service in services:
        try:
            await migrate.upgrade(service.settings.database_url.get_secret_value(), service.migrations)
        except migrate.DatabaseIsNewer as error:
            raise LocalPartError(f"{service.name}: {error}") from error


async def platform_keys(system: Up) -> list[dict[str, Any]]:
    """The operator's and the verifier's key, the same as long as the state lives."""
    from services.registry.platform_keys import ensure_platform_key

    file = system.settings.home / "platform-keys.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    made = {role: known.get(role) or f"bds_{secrets.token_urlsafe(32)}" for role in PLATFORM_ROLES}
    write_private(file, made)  # before the database knows them: a crash in between must not lose them
    registry = system.loops[0].running
    for role, secret in made.items():
        await ensure_platform_key(registry, role=role, client_id=f"bdk_{role}", client_secret=secret)
    return [
        {"name": role, "client_id": f"bdk_{role}", "client_secret": secret, "roles": [role]}
        for role, secret in made.items()
    ]


async def ready(system: Up) -> None:
    """Waits until no service is unready, and a little for those that only lag behind."""
    from shared.health import checks_of, overall

    deadline = time.monotonic() + READY_SECONDS
    while True:
        checks = {loops.running.service.name: await checks_of(loops.running) for loops in system.loops}
        states = {name: overall(found, stopping=False) for name, found in checks.items()}
        consuming = all(loops.running.consumer.lag is not None for loops in system.loops)
        if consuming and set(states.values()) == {"ready"}:
            return
        if time.monotonic() > deadline:
            if "unready" in states.values():
                raise LocalPartError(f"not ready after {READY_SECONDS:g} s: {checks}")
            return
        await asyncio.sleep(0.02)


def write_local(system: Up, parts: LocalParts) -> None:
    """`local.json` as things are now."""
    pids = {"bandung": os.getpid()} | {part.name.lower().removesuffix("ql"): part.pid for part in parts.running}
    document = local_document(
        instance=system.settings.instance,
        endpoints=system.settings.endpoints,
        kafka=bootstrap(system.settings, parts),
        keys=system.keys,
        started_at=system.started_at,
        pids=pids,
    )
    write_private(system.local_json, document)


def banner(system: Up) -> str:
    """What a person needs first."""
    lines = [f"Bandung is ready after {time.monotonic() - system.begun:.1f} s.", ""]
    lines += [f"  {name:<14} {url}" for name, url in system.settings.endpoints.items()]
    lines += [f"  {'keys':<14} {system.local_json}", ""]
    lines += ["Try in another terminal:", "  bandung demo      the real partnerships, with their figures"]
    lines += ["  bandung tail      every event as it happens", "  bandung doctor    what is red, why, and what to do"]
    return "\n".join([*lines, "", "Ctrl-C ends it."])


async def play_demo(system: Up) -> None:
    """Loads the stories quietly; the system is usable meanwhile."""
    from shared.local.demo.play import play_all

    try:
        result = await play_all(system.settings.endpoints, {key["name"]: key for key in system.keys})
    except Exception as error:  # noqa: BLE001 (the demo must never end the system)
        system.say(f"The demo stopped: {error}. The system runs on; try `bandung demo`.")
        return
    system.say(f"{result.summary} `bandung demo` shows them.")
