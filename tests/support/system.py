"""The whole system as its users start it: `bandung up --no-demo` in a process of its own, seen from outside only.

Nothing here imports the product: processes, HTTP and Kafka as a stranger meets them.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("registry", "matching", "projects", "notifications")
OWNERS = {
    "registry": "token keys institutions verifications capabilities needs centres countries trade-flows networks "
    ".well-known",
    "matching": "matches suggestions policies rounds",
    "projects": "projects agreements contributions milestones reports practices replications",
    "notifications": "inbox webhooks deliveries events threads",
}
SERVICE_OF = {resource: service for service, resources in OWNERS.items() for resource in resources.split()}
TOPICS = (
    "registry.institutions",
    "registry.capabilities",
    "registry.needs",
    "registry.centres",
    "registry.networks",
    "registry.countries",
    "registry.trade",
    "registry.reviews",
    "registry.accounts",
    "matching.matches",
    "matching.policies",
    "projects.projects",
    "projects.practices",
    "notifications.webhooks",
)
START_SECONDS = 120
STOP_SECONDS = 10
SHOWN_LINES = 60

LIVE: list[System] = []
"""Systems that run in this process, for the output shown beside a failure."""


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on just now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


class System:
    """One installation on a home of its own; `start` and `stop` may follow each other as often as wished."""

    def __init__(self, home: Path, **env: str) -> None:
        self.home = home
        self.output = home.with_suffix(".output")
        ports = free_ports(6)
        self._env = {
            "BANDUNG_HOME": str(home),
            "BANDUNG_PORTS": ",".join(map(str, ports[:5])),
            "BANDUNG_KAFKA_PORT": str(ports[5]),
            **env,
        }
        self.local: dict[str, Any] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self._clients: dict[str, httpx.AsyncClient] = {}
        self._tokens: dict[str, tuple[float, str]] = {}

    @property
    def local_file(self) -> Path:
        """Where addresses and first credentials stand."""
        return self.home / "local.json"

    # processes

    def launch(self) -> subprocess.Popen[bytes]:
        """Run `bandung up --no-demo` on this home, and nothing more."""
        self.home.parent.mkdir(parents=True, exist_ok=True)
        with self.output.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "services", "up", "--no-demo"],
                cwd=ROOT,
                env=os.environ | self._env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    async def start(self) -> None:
        """Return when local.json says that everything answers."""
        self.process = self.launch()
        LIVE.append(self)
        try:
            await eventually(self._is_up, START_SECONDS)
        except BaseException:
            await self.end()
            raise
        self.attach()

    def attach(self) -> None:
        """Read local.json of a system that runs, whoever started it."""
        self.local = json.loads(self.local_file.read_text())

    def _is_up(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"bandung up ended with {self.process.returncode}:\n{self.tail()}")
        if not self.local_file.exists():
            return False
        return bool(json.loads(self.local_file.read_text())["pids"]["bandung"] == self.process.pid)

    async def stop(self) -> int:
        """SIGTERM, as an operator does; the exit code. Fails when it takes longer than promised."""
        assert self.process is not None
        process = self.process
        process.send_signal(signal.SIGTERM)
        try:
            await eventually(lambda: process.poll() is not None, STOP_SECONDS)
        finally:
            await self.end()
        return process.returncode

    async def end(self) -> None:
        """Leave nothing behind, whatever state it is in."""
        await self._forget()
        if self.process is None:
            return  # somebody else's
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self.process.wait, STOP_SECONDS)
        if self.process.poll() != 0:
            self.kill("bandung", "postgres", "kafka")
            await asyncio.to_thread(self.process.wait)
        if self in LIVE:
            LIVE.remove(self)

    def pid(self, part: str) -> int | None:
        """The process of `bandung`, `postgres` or `kafka`, if it lives."""
        known = self.process.pid if part == "bandung" and self.process else self.local.get("pids", {}).get(part)
        return known if known and Path(f"/proc/{known}").exists() else None

    async def ensure_pids(self) -> None:
        """Wait until local.json names the living processes: after a fault they are others."""

        def named() -> bool:
            self.attach()
            return all(self.pid(part) for part in ("bandung", "postgres", "kafka"))

        await eventually(named)

    def signal(self, number: signal.Signals, part: str) -> None:
        """A signal to a process of this system, which must be there: a fault that did not happen shows nothing."""
        pid = self.pid(part)
        assert pid, f"{part} has another pid than local.json says"
        os.kill(pid, number)

    def kill(self, *parts: str) -> None:
        """SIGKILL to those processes of this system that still live."""
        for part in parts:
            with contextlib.suppress(ProcessLookupError):
                if pid := self.pid(part):
                    os.kill(pid, signal.SIGKILL)

    async def kill_all(self) -> None:
        """What a power cut does."""
        assert self.process is not None
        self.kill("bandung", "postgres", "kafka")
        await asyncio.to_thread(self.process.wait)
        await self._forget()
        LIVE.remove(self)

    async def restart(self, *, kill: bool = False, **env: str) -> None:
        """Down (SIGTERM, or kill -9 of everything) and up again on the same home."""
        if kill:
            await self.kill_all()
        else:
            assert await self.stop() == 0
        self._env |= env
        await self.start()

    async def _forget(self) -> None:
        for client in self._clients.values():
            await client.aclose()
        self._clients = {}

    def tail(self) -> str:
        """The end of what the process printed."""
        if not self.output.exists():
            return "(no output)"
        return "\n".join(self.output.read_text(errors="replace").splitlines()[-SHOWN_LINES:])

    # HTTP

    def client(self, service: str) -> httpx.AsyncClient:
        """A client of one service (or of the console), without credentials."""
        if service not in self._clients:
            url = self.local["endpoints"][service]
            limits = httpx.Limits(max_connections=40, keepalive_expiry=2)
            self._clients[service] = httpx.AsyncClient(base_url=url, timeout=30, trust_env=False, limits=limits)
        return self._clients[service]

    async def token(self, client_id: str, client_secret: str) -> str:
        """An access token, asked for again shortly before it ends."""
        until, token = self._tokens.get(client_id, (0.0, ""))
        if time.monotonic() < until:
            return token
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        answer = await self.client("registry").post("/token", data=form)
        given = succeeded(answer, 200)
        self._tokens[client_id] = (time.monotonic() + given["expires_in"] - 60, given["access_token"])
        return str(given["access_token"])

    def platform(self, name: str) -> Caller:
        """`operator` or `verifier` of local.json."""
        key = next(key for key in self.local["keys"] if key["name"] == name)
        return Caller(self, key["client_id"], key["client_secret"])

    @property
    def operator(self) -> Caller:
        """The platform key that registers institutions."""
        return self.platform("operator")

    @property
    def verifier(self) -> Caller:
        """The platform key that does due diligence."""
        return self.platform("verifier")

    @property
    def anonymous(self) -> Caller:
        """Somebody without a token."""
        return Caller(self, None, None)

    # Kafka

    async def records(self, *topics: str, thread: str | None = None) -> list[Record]:
        """Everything on the topics up to their present ends, partition by partition; of one thread if given."""
        try:
            async with asyncio.timeout(30), self._consumer(topics) as consumer:
                found = [record async for record in _read_to_end(consumer)]
        except (KafkaError, TimeoutError) as error:
            raise AssertionError(f"Kafka does not answer: {error!r}") from error
        return [record for record in found if thread is None or record.correlation == thread]

    @contextlib.asynccontextmanager
    async def _consumer(self, topics: Iterable[str]) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            *topics, bootstrap_servers=self.local["kafka"], auto_offset_reset="earliest", enable_auto_commit=False
        )
        try:
            await consumer.start()
            yield consumer
        finally:
            await asyncio.wait_for(consumer.stop(), 5)

    async def produce(self, topic: str, value: bytes, *, key: bytes, headers: list[tuple[str, bytes]]) -> None:
        """Write any record, as a faulty partner with direct access could."""
        async with asyncio.timeout(60):
            producer = AIOKafkaProducer(bootstrap_servers=self.local["kafka"], acks="all")
            await producer.start()
            try:
                await producer.send_and_wait(topic, value, key=key, headers=headers)
            finally:
                await producer.stop()


async def _read_to_end(consumer: AIOKafkaConsumer) -> AsyncIterator[Record]:
    tps: list[TopicPartition] = sorted(consumer.assignment())
    ends = await consumer.end_offsets(tps)
    for tp in tps:
        await consumer.seek_to_beginning(tp)
    while any([await consumer.position(tp) < ends[tp] for tp in tps]):
        polled = await consumer.getmany(timeout_ms=100)
        for tp in sorted(polled):
            for record in polled[tp]:
                yield Record.of(record)


@dataclass(frozen=True)
class Record:
    """One record of Kafka as it stands there."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: str
    headers: dict[str, str]
    value: bytes = field(repr=False)

    @classmethod
    def of(cls, raw: Any) -> Record:
        """From what aiokafka gives; headers must be UTF-8 and stand once each."""
        headers = {name: value.decode() for name, value in raw.headers}
        assert len(headers) == len(raw.headers), f"a header stands twice: {raw.headers}"
        return cls(raw.topic, raw.partition, raw.offset, raw.timestamp, raw.key.decode(), headers, raw.value)

    @property
    def type(self) -> str:
        """`NeedPosted`."""
        return self.headers["ce_type"].split(".")[2]

    @property
    def id(self) -> str:
        """`ce_id`."""
        return self.headers["ce_id"]

    @property
    def sequence(self) -> str:
        """`0001-0000000001`."""
        return self.headers["ce_sequence"]

    @property
    def correlation(self) -> str | None:
        """The thread."""
        return self.headers.get("ce_correlationid")

    @property
    def data(self) -> dict[str, Any]:
        """The value."""
        found = json.loads(self.value)
        assert isinstance(found, dict)
        return found


UNSET: Any = object()


@dataclass
class Caller:
    """Somebody with (or without) an API key who asks the four services; a path finds its service by itself."""

    system: System = field(repr=False)
    client_id: str | None
    client_secret: str | None = field(repr=False)

    async def headers(self) -> dict[str, str]:
        """The Authorization header, if any."""
        if self.client_id is None or self.client_secret is None:
            return {}
        return {"Authorization": f"Bearer {await self.system.token(self.client_id, self.client_secret)}"}

    async def request(
        self,
        method: str,
        path: str,
        body: Any = UNSET,
        *,
        service: str | None = None,
        if_match: str | None = None,
        key: str | None = None,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        """Any request; `body` is sent as JSON, `key` as Idempotency-Key."""
        sent = await self.headers()
        sent |= {"If-Match": if_match} if if_match is not None else {}
        sent |= {"Idempotency-Key": key} if key is not None else {}
        more |= {} if body is UNSET else {"json": body}
        client = self.system.client(service or SERVICE_OF[re.split(r"[/?]", path)[1]])
        return await client.request(method, path, headers=sent | (headers or {}), **more)

    async def get(self, path: str, **params: Any) -> httpx.Response:
        """The raw answer of a GET; keyword arguments are query parameters."""
        return await self.request("GET", path, params=params or None)

    async def post(self, path: str, body: Any = UNSET, **more: Any) -> httpx.Response:
        """The raw answer of a POST."""
        return await self.request("POST", path, body, **more)

    async def patch(self, path: str, body: Any, *, if_match: str | None = "*", **more: Any) -> httpx.Response:
        """The raw answer of a PATCH, on whatever version unless told otherwise."""
        return await self.request("PATCH", path, body, if_match=if_match, **more)

    async def act(self, path: str, body: Any = UNSET, *, if_match: str | None = "*", **more: Any) -> httpx.Response:
        """The raw answer of a state change, on whatever version unless told otherwise."""
        return await self.request("POST", path, body, if_match=if_match, **more)

    async def make(self, path: str, body: Any, *, if_match: str | None = None, **more: Any) -> dict[str, Any]:
        """What was created; anything but 201 fails."""
        return succeeded(await self.post(path, body, if_match=if_match, **more), 201)

    async def do(self, path: str, body: Any = UNSET, **more: Any) -> dict[str, Any]:
        """The resource after a state change; anything but 200 fails."""
        return succeeded(await self.act(path, body, **more), 200)

    async def change(self, path: str, **members: Any) -> dict[str, Any]:
        """The resource after a PATCH; anything but 200 fails."""
        return succeeded(await self.patch(path, members), 200)

    async def read(self, path: str, **params: Any) -> dict[str, Any]:
        """The body of a GET; anything but 200 fails."""
        return succeeded(await self.get(path, **params), 200)

    async def items(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """The items of one page."""
        found = (await self.read(path, **params))["items"]
        assert isinstance(found, list)
        return found


def succeeded(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The body of an answer that has the wanted status; the failure shows what was asked and what came."""
    told = f"{answer.request.method} {answer.request.url}: {answer.status_code}, not {status}: {answer.text}"
    assert answer.status_code == status, told
    found = answer.json()
    assert isinstance(found, dict), told
    return found


def refused(answer: httpx.Response, status: int, code: str, pointer: str | None = None) -> dict[str, Any]:
    """The problem of a refusal, which must be of the wanted kind and complete (contract, section 1)."""
    told = f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}, not {status} {code}"
    assert answer.status_code == status, told
    problem = is_problem(answer)
    assert problem["code"] == code, told
    if pointer is not None:
        pointers = [error["pointer"] for error in problem["errors"]]
        assert pointer in pointers, f"{told} at {pointer}"
    return problem


def is_problem(answer: httpx.Response) -> dict[str, Any]:
    """The body of an error answer, complete as section 1 wants it."""
    told = f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    assert answer.headers["content-type"].partition(";")[0] == "application/problem+json", told
    problem = answer.json()
    assert problem["type"] == f"urn:bandung:problem:{problem['code']}", told
    assert problem["status"] == answer.status_code, told
    assert problem["title"], told
    assert isinstance(problem["detail"], str), told
    assert problem["instance"] == answer.request.url.path, told
    assert problem["request_id"] == answer.headers["x-request-id"], told
    assert isinstance(problem["errors"], list), told
    if problem["code"] == "validation_failed":
        assert problem["errors"], told
        assert all(set(error) >= {"pointer", "code", "message"} for error in problem["errors"]), told
    if problem["code"] == "invalid_transition":
        assert problem["current_status"], told
        assert isinstance(problem["allowed"], list), told
    return problem


@dataclass
class Received:
    """One request that a webhook endpoint got."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def event(self) -> dict[str, Any]:
        """The CloudEvent."""
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found

    @property
    def type(self) -> str:
        """`NeedPosted`."""
        return str(self.event["type"].split(".")[2])


class Receiver:
    """A partner's HTTP endpoint: notes every request and answers with the status that is set."""

    def __init__(self) -> None:
        self.got: list[Received] = []
        self.status = 200
        self.location: str | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    def url(self, path: str = "/hooks") -> str:
        """Its address, as a partner would register it."""
        return f"http://127.0.0.1:{self.port}{path}"

    def of(self, kind: str, path: str | None = None) -> list[Received]:
        """Requests about one event type."""
        return [each for each in self.got if each.type == kind and path in (None, each.path)]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.got.append(Received(head[0].split(" ")[1], headers, body, time.time()))
            extra = f"location: {self.location}\r\n" if self.location else ""
            writer.write(f"HTTP/1.1 {self.status} X\r\n{extra}content-length: 0\r\nconnection: close\r\n\r\n".encode())
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class SharedSystem:
    """One system for all workers of a test run: the first that needs it starts it, and waits for the others."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._users = folder / "users"
        self._users.mkdir(parents=True, exist_ok=True)
        self._mine = self._users / f"{os.getpid()}-{secrets.token_hex(4)}"
        self._system = System(folder / "home")
        self._started = False

    async def acquire(self) -> System:
        """The running system."""
        self._mine.touch()
        with await asyncio.to_thread(self._lock):
            if not (self._folder / "up").exists():
                await self._system.start()
                self._started = True
                (self._folder / "up").touch()
        self._system.attach()
        return self._system

    async def release(self) -> None:
        """Stops the system when this process started it and all others are done."""
        self._mine.unlink(missing_ok=True)
        if self._started:
            await eventually(lambda: not any(self._users.iterdir()), 600)
            assert await self._system.stop() == 0
        else:
            await self._system.end()

    def _lock(self) -> IO[str]:
        file = (self._folder / "lock").open("w")
        fcntl.flock(file, fcntl.LOCK_EX)
        return file
