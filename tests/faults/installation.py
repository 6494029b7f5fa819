"""The four services as four real processes, each behind a proxy, on a PostgreSQL and a Kafka of their own."""

from __future__ import annotations

import asyncio
import importlib
import secrets
import signal
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import psutil
from pydantic import SecretStr

from services import SERVICES as PACKAGES
from services.registry.platform_keys import ensure_platform_key
from shared.data import migrate
from shared.local.parts import LocalParts
from shared.service import Running, Service
from tests.faults.tools.processes import ServiceProcess
from tests.faults.tools.proxy import KafkaProxy
from tests.support.system import SERVICES, System, free_ports
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

INSTANCE = "faults"
DAY_SECONDS = 24 * 3600
HEAL_SECONDS = 120.0
"""How long a test waits; what is promised (60 s) is judged by the checker."""


@dataclass
class Health:
    """What one service said of itself."""

    code: int
    body: dict[str, Any]

    @property
    def status(self) -> str:
        return str(self.body.get("status", "away"))

    def failing(self) -> str:
        """The words of all failing checks."""
        checks = self.body.get("checks", {})
        return "; ".join(f"{name}: {check}" for name, check in checks.items() if check["status"] != "ok")


class Installation(System):
    """May be used where the tests use a `System`; its parts and processes can be hurt one by one."""

    def __init__(self, home: Path, *, replicas: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(home)
        self.parts = LocalParts(home / "parts", say=lambda _line: None)
        self.processes: dict[str, ServiceProcess] = {}
        self.proxies: dict[str, KafkaProxy] = {}
        self.days_ahead = 0
        self._more = replicas
        self.services: dict[str, Service] = {}

    async def start(self) -> None:
        """Everything up and ready."""
        self.home.mkdir(parents=True, exist_ok=True)
        await self.parts.__aenter__()
        names = [*SERVICES, *(f"{name}-{replica}" for name, replica in self._more)]
        for name in names:
            self.proxies[name] = await KafkaProxy(self.parts.kafka.port).__aenter__()
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.local = {
            "endpoints": {name: f"http://127.0.0.1:{port}" for name, port in ports.items()},
            "kafka": self.parts.kafka.bootstrap,
        }
        await self._prepare()
        for name in names:
            self.processes[name] = self._process(name, ports[name])
            self.processes[name].start()
        await self.all_ready()

    def _process(self, name: str, port: int) -> ServiceProcess:
        service, _, replica = name.partition("-")
        env = {
            "BANDUNG_EMBEDDED": "true",
            "BANDUNG_INSTANCE": INSTANCE,
            "BANDUNG_HOME": str(self.home),
            "BANDUNG_ISSUER": self.local["endpoints"]["registry"],
            "BANDUNG_KAFKA_BOOTSTRAP": self.proxies[name].address,
            "BANDUNG_LOG_LEVEL": "INFO",
            f"{service.upper()}_PORT": str(port),
            f"{service.upper()}_DATABASE_URL": self.parts.postgres.url(service),
        }
        return ServiceProcess(service, env, self.home / f"{name}.log", replica or "0")

    async def _prepare(self) -> None:
        """Databases, platform keys."""
        for name in SERVICES:
            await self.parts.postgres.ensure_database(name)
            self.services[name] = self._service(name)
            await migrate.upgrade(self.parts.postgres.url(name), self.services[name].migrations)
        registry = Running(self.services["registry"])
        keys = []
        for role in ("operator", "verifier"):
            secret = f"bds_{secrets.token_urlsafe(24)}"
            await ensure_platform_key(registry, role=role, client_id=f"bdk_{role}", client_secret=secret)
            keys.append({"name": role, "client_id": f"bdk_{role}", "client_secret": secret})
        await registry.close()
        self.local["keys"] = keys

    def _service(self, name: str) -> Service:
        package = importlib.import_module(f"{PACKAGES[name]}.app")
        settings = importlib.import_module(f"{PACKAGES[name]}.settings").Settings
        url, kafka = self.parts.postgres.url(name), self.parts.kafka.bootstrap
        service: Service = package.build(
            settings(
                embedded=True, instance=INSTANCE, home=self.home, database_url=SecretStr(url), kafka_bootstrap=kafka
            )
        )
        return service

    async def end(self) -> None:
        """Leaves nothing behind, whatever state it is in."""
        for proxy in self.proxies.values():
            proxy.heal()
        try:
            await asyncio.gather(*(process.stop() for process in self.processes.values()))
        finally:
            await self._forget()
            for proxy in self.proxies.values():
                await proxy.__aexit__()
            await self.parts.stop()

    def tail(self) -> str:
        """The end of what the services said."""
        logs = {name: (self.home / f"{name}.log").read_text(errors="replace") for name in self.processes}
        return "\n".join(f"== {name}\n" + "\n".join(text.splitlines()[-12:]) for name, text in logs.items())

    # how it is

    async def health(self, name: str) -> Health:
        """What `/readyz` says; status `away` when nobody answers."""
        try:
            answer = await self.client(name).get("/readyz", timeout=8)
        except httpx.HTTPError:
            return Health(0, {})
        return Health(answer.status_code, answer.json())

    async def all_ready(self, seconds: float = HEAL_SECONDS) -> float:
        """The seconds until every service is ready, has sent everything and read everything."""
        begun = time.monotonic()

        async def ready() -> bool:
            for name in self.processes:
                found = await self.health(name)
                assert found.status == "ready", f"{name}: {found.body}\n{self.tail()}"
                assert found.body["checks"]["outbox"]["unsent"] == 0, f"{name}: {found.body}"
                assert found.body["checks"]["consumer"]["lag"] == 0, f"{name}: {found.body}"
            return True

        await eventually(ready, seconds)
        return time.monotonic() - begun

    async def sees(self, name: str, cause: str, seconds: float = 40.0) -> tuple[float, str]:
        """(seconds, words): when `/readyz` of a service named this cause."""
        begun = time.monotonic()

        async def named() -> str:
            found = await self.health(name)
            assert found.status in ("degraded", "unready"), found
            assert cause in found.failing(), found.failing()
            return found.failing()

        return time.monotonic() - begun, await eventually(named, seconds)

    # what can be done to it

    async def connect(self, name: str) -> asyncpg.Connection:
        """To the database of a service, past everything."""
        return await asyncpg.connect(self.parts.postgres.url(name).replace("+asyncpg", ""))

    async def rows(self, name: str, sql: str, *values: Any) -> list[asyncpg.Record]:
        """One statement on the database of a service."""
        connection = await self.connect(name)
        try:
            return list(await connection.fetch(sql, *values))
        finally:
            await connection.close()

    async def outbox_sizes(self) -> list[int]:
        """How many rows each service has written."""
        return [(await self.rows(name, "select count(*) n from outbox"))[0]["n"] for name in SERVICES]

    async def move_on(self, days: int) -> None:
        """All services restarted on a day so far from today."""
        self.days_ahead = days
        for process in self.processes.values():
            process.env["BANDUNG_TIME_OFFSET_SECONDS"] = str(days * DAY_SECONDS)
            await process.restart()
        await self.all_ready()

    async def kill_part(self, part: str) -> None:
        """SIGKILL of `kafka` or `postgres`, seen to be gone."""
        of = getattr(self.parts, part)
        process = psutil.Process(of.pid)
        process.send_signal(signal.SIGKILL)
        await of.wait()
        assert of.pid is None
        await eventually(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)

    async def start_part(self, part: str) -> None:
        """As its supervisor would."""
        await getattr(self.parts, part).start()


@asynccontextmanager
async def installed(home: Path, *, replicas: tuple[tuple[str, str], ...] = ()) -> AsyncIterator[Installation]:
    """Up and ready as long as the block."""
    installation = Installation(home, replicas=replicas)
    try:
        await installation.start()
        yield installation
    finally:
        await installation.end()
