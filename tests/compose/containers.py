"""The stack of docker-compose.yml as its operator starts it, then seen through Docker and HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.support.system import ROOT, SERVICES, START_SECONDS, System, free_ports
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

PROJECT = "bandung-test"
PARTS = (*SERVICES, "kafka", "postgres")
UNAVAILABLE = 503
CONFLICT = 409


class Patient(httpx.AsyncBaseTransport):
    """What a client does whose requests carry an Idempotency-Key: it asks again until there is an answer."""

    def __init__(self) -> None:
        self._inner = httpx.AsyncHTTPTransport(retries=0)
        self.repeated = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The first answer that is no 503, and no 409 that asks to come again."""

        async def attempt() -> httpx.Response:
            try:
                answer = await self._inner.handle_async_request(request)
            except httpx.TransportError as error:
                self.repeated += 1
                raise AssertionError(f"{request.url}: {error!r}") from error
            if answer.status_code == UNAVAILABLE or (
                answer.status_code == CONFLICT and "retry-after" in answer.headers
            ):
                self.repeated += 1
                raise AssertionError(f"{request.url}: {answer.status_code} {(await answer.aread())!r}")
            return answer

        return await eventually(attempt, START_SECONDS)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._inner.aclose()


@dataclass
class Killed:
    """One part that was killed, and what Docker said of it before."""

    service: str
    pid: int
    restarts: int
    started_at: str
    at: float


def lives(pid: int) -> bool:
    """Whether there is such a process on this host."""
    return Path(f"/proc/{pid}").exists()


class Containers(System):
    """One stack with ports, folder, project and image names of its own."""

    def __init__(self, home: Path, **env: str) -> None:
        super().__init__(home)
        ports = free_ports(5)
        self.env = os.environ | {
            "COMPOSE_PROJECT_NAME": PROJECT,
            "BANDUNG_STATE": str(home),
            "BANDUNG_VERSION": "test",
            "BANDUNG_RATE_LIMIT_PER_MINUTE": "0",  # tests poll without a pause
            "REGISTRY_CAN_SIGN_DEFAULT": "true",
            "KAFKA_PORT": str(ports[4]),
            "BANDUNG_OTLP_ENDPOINT": "http://otel-collector:4318",  # nobody is there, but in the test of traces
            **{f"{service.upper()}_PORT": str(port) for service, port in zip(SERVICES, ports, strict=False)},
            **env,
        }
        self.transports: list[Patient] = []

    # the operator's commands

    def run(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """`deploy/stack.py ...`, whatever comes of it."""
        command = [sys.executable, "deploy/stack.py", *words]
        return subprocess.run(command, cwd=ROOT, env=self.env | env, capture_output=True, text=True, check=False)

    def up(self, *words: str) -> str:
        """What `up` said; fails when it did not come up."""
        done = self.run("up", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        self.attach()
        return done.stdout

    def down(self) -> None:
        """Containers and data are gone."""
        done = self.run("down", "--volumes")
        assert done.returncode == 0, done.stdout + done.stderr

    # Docker

    def docker(self, *words: str) -> str:
        """What a docker command prints; fails when it fails."""
        done = subprocess.run(["docker", *words], cwd=ROOT, env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"docker {' '.join(words)}: {done.stderr}"
        return done.stdout

    def compose(self, *words: str) -> str:
        """What `docker compose ...` of this stack prints."""
        return self.docker("compose", "-f", "docker-compose.yml", "-f", "deploy/kafka-port.yml", *words)

    def docker_bytes(self, *words: str) -> bytes:
        """The same for output that is no text."""
        return subprocess.run(["docker", *words], cwd=ROOT, env=self.env, capture_output=True, check=True).stdout

    def inspect(self, service: str) -> dict[str, Any]:
        """Everything Docker knows of a service's container."""
        found = self.compose("ps", "--all", "--quiet", service).split()
        [document] = json.loads(self.docker("inspect", *found))
        return dict(document)

    def logs(self, *words: str) -> str:
        """What the containers printed."""
        return self.compose("logs", "--no-color", *words)

    def usage(self) -> dict[str, tuple[float, float]]:
        """Per cent of a core over about a second, and megabytes, of each part."""
        lines = self.docker("stats", "--no-stream", "--format", "{{.Name}} {{.CPUPerc}} {{.MemUsage}}").splitlines()
        found = {}
        for name, cpu, memory in (line.split()[:3] for line in lines if line.startswith(f"{PROJECT}-")):
            service = name.removeprefix(f"{PROJECT}-").rpartition("-")[0]
            number, unit = re.fullmatch(r"([\d.]+)([KMG]iB)", memory).groups()  # type: ignore[union-attr]
            megabytes = float(number) * {"KiB": 1 / 1024, "MiB": 1, "GiB": 1024}[unit]
            found[service] = (float(cpu.rstrip("%")), megabytes)
        return found

    def restarts(self, services: Sequence[str] = PARTS) -> dict[str, int]:
        """How often Docker's restart policy started each part again."""
        return {service: int(self.inspect(service)["RestartCount"]) for service in services}

    async def kill9(self, service: str) -> Killed:
        """SIGKILL to the container's first process by its pid on this host, seen to be gone."""
        before = self.inspect(service)
        pid = int(before["State"]["Pid"])
        assert pid, f"{service} does not run"
        assert lives(pid)
        os.kill(pid, signal.SIGKILL)
        killed = Killed(service, pid, before["RestartCount"], before["State"]["StartedAt"], time.monotonic())
        await eventually(lambda: not lives(pid))
        return killed

    async def restarted(self, killed: Killed) -> None:
        """Docker's restart policy has started it again, once, as another process."""

        def again() -> bool:
            now = self.inspect(killed.service)
            state = now["State"]
            assert state["Running"], state
            assert now["RestartCount"] == killed.restarts + 1
            assert state["StartedAt"] != killed.started_at
            assert state["Pid"] not in (0, killed.pid)
            return True

        await eventually(again)

    # secrets

    def secrets(self) -> dict[str, str]:
        """Everything that nobody but its holder may see, by name."""
        files = {file.name: file.read_text() for file in (self.home / "secrets").iterdir()}
        keys = {key["name"]: key["client_secret"] for key in self.local["keys"]}
        assert len(files) + len(keys) > 6
        return files | keys

    def holds_no_secret(self, text: str) -> None:
        """Fails with the names of the secrets that stand in it."""
        assert [name for name, value in self.secrets().items() if value in text] == []

    def holds_no_secret_bytes(self, content: bytes) -> None:
        """The same for a whole file system."""
        assert len(content) > 10_000_000
        assert [name for name, value in self.secrets().items() if value.encode() in content] == []

    # HTTP

    def client(self, service: str) -> httpx.AsyncClient:
        """A client that repeats what got no answer."""
        if service not in self._clients:
            transport = Patient()
            self.transports.append(transport)
            url = self.local["endpoints"][service]
            self._clients[service] = httpx.AsyncClient(base_url=url, timeout=30, transport=transport)
        return self._clients[service]

    def repeated(self) -> int:
        """How many requests got no answer and were made again."""
        return sum(transport.repeated for transport in self.transports)

    async def kafka_answers(self) -> None:
        """Kafka takes connections and serves a topic to its end."""
        await eventually(lambda: self.records("registry.needs"), START_SECONDS)

    async def all_ready(self) -> None:
        """Every service says `ready`: database, Kafka, outbox and consumer are well."""
        for service in SERVICES:
            await eventually(lambda service=service: self.is_ready(service), START_SECONDS)  # type: ignore[misc]

    async def is_ready(self, service: str) -> bool:
        """One look, without patience."""
        async with httpx.AsyncClient(base_url=self.local["endpoints"][service], trust_env=False, timeout=5) as client:
            try:
                shown = (await client.get("/readyz")).json()
            except httpx.TransportError as error:
                raise AssertionError(f"{service}: {error!r}") from error
        assert shown["status"] == "ready", f"{service}: {shown}"
        return True
