"""Names and partitions on Kafka, and bounded ways to build and drop its clients."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from shared.messaging.logs import find_logs
from shared.ops.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection, Iterable

ADMIN_SECONDS = 8.0
STOP_SECONDS = 0.5
PROBE_SECONDS = 2.0
KNOWN_EVERY_SECONDS = 0.02
_DAY_MS = 24 * 3600 * 1000
_TOPIC_EXISTS = 36
_API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 0, -1)  # size, ApiVersions, version 0, correlation, no client id

Cleanup = Literal["keep", "compact", "delete"]


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as declared; the only place for its partitions, retention and cleanup."""

    name: str
    cleanup: Cleanup = "keep"
    partitions: int = 6
    retention_days: int = 14

    def config(self) -> dict[str, str]:
        """Kafka's own settings for this topic."""
        if self.cleanup == "compact":
            return {"cleanup.policy": "compact", "min.compaction.lag.ms": str(14 * _DAY_MS)}
        kept = -1 if self.cleanup == "keep" else self.retention_days * _DAY_MS
        return {"cleanup.policy": "delete", "retention.ms": str(kept), "retention.bytes": "-1"}


def partition_of(key: bytes, partitions: int) -> int:
    """One function for all services: crc32 (1.5 times as fast as the pure-Python murmur2)."""
    return zlib.crc32(key) % partitions


async def stop_bounded(client: Any) -> None:  # noqa: ANN401 (any aiokafka client)
    """`stop()` does not return with the broker down and may raise CancelledError, so it gets its own bounded task.

    One that fails half-way leaves its connections open, as one that does not return does.
    """
    if not await _bounded(client.stop()):
        await close_hard(client)


async def _bounded(work: Awaitable[object]) -> bool:
    """Whether it ended in time and well: in a task of its own, so that its CancelledError is not taken for ours."""
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=STOP_SECONDS)
    if not done:
        task.cancel()
        await asyncio.wait({task}, timeout=STOP_SECONDS)
    well = False
    if task.done():
        with contextlib.suppress(asyncio.CancelledError, Exception):
            task.result()
            well = bool(done)
    return well


_OWN_TASKS = (
    ("_sender", "_sender_task"),
    ("_fetcher", "_fetch_task"),
    ("_coordinator", "_coordination_task"),
    ("_coordinator", "_heartbeat_task"),
    ("_coordinator", "_commit_refresh_task"),
    ("_coordinator", "_reset_committed_task"),
)


async def close_hard(client: Any) -> None:  # noqa: ANN401
    """Ends the tasks and closes the sockets of a client that would not stop (private names: the version is pinned).

    A fetcher that is left alone connects again and asks for ever; of a deleted topic without a pause.
    """
    client._closed = True  # noqa: SLF001 (it warns of a client that nobody closed)
    tasks = [getattr(getattr(client, part, None), name, None) for part, name in _OWN_TASKS]
    running = [task for task in (*tasks, *getattr(getattr(client, "_fetcher", None), "_pending_tasks", ())) if task]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running, timeout=STOP_SECONDS)
    connections = client.client if isinstance(client, AIOKafkaProducer) else client._client  # noqa: SLF001
    await _bounded(connections.close())


@dataclass
class Broker:
    """Whether anybody listens at the bootstrap addresses: an idle service would not notice otherwise."""

    bootstrap: str
    fault: Fault = field(default_factory=lambda: Fault("kafka"))

    async def probe(self) -> None:
        """Asks one address after the other until one answers."""
        for address in self.bootstrap.split(","):
            try:
                async with asyncio.timeout(PROBE_SECONDS):
                    await _greet(address.strip())
            except (OSError, EOFError, TimeoutError, ValueError):
                continue
            self.fault.clear()
            return
        self.fault.report(f"no broker reachable at {self.bootstrap}")


async def _greet(address: str) -> None:
    """Asks which versions a broker speaks: a frozen one still takes connections, but answers nothing."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(_API_VERSIONS)
        await reader.readexactly(4)
    finally:
        writer.close()


@contextlib.asynccontextmanager
async def admin(bootstrap: str) -> Any:  # noqa: ANN401
    """A started admin client, bounded on both ends."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=int(ADMIN_SECONDS * 1000))
    try:
        async with asyncio.timeout(ADMIN_SECONDS):
            await client.start()
            yield client
    finally:
        task = asyncio.ensure_future(client.close())
        await asyncio.wait({task}, timeout=STOP_SECONDS)
        task.cancel()


async def ensure_topics(bootstrap: str, topics: Iterable[Topic], *, prefix: str, replication: int) -> dict[str, str]:
    """Creates what is missing; returns topic -> `created` or `present`, once all are known to a broker.

    Raises KafkaError with the broker's words, or TimeoutError.
    """
    wanted = [NewTopic(prefix + t.name, t.partitions, replication, topic_configs=t.config()) for t in topics]
    async with admin(bootstrap) as client:
        response = await client.create_topics(wanted, timeout_ms=int(ADMIN_SECONDS * 1000))
        outcome = _outcome(response.topic_errors)
        async with asyncio.timeout(ADMIN_SECONDS):
            await _known(client, outcome)
    return outcome


async def _known(client: AIOKafkaAdminClient, topics: Collection[str]) -> None:
    """A broker says that it made a topic, and says for some milliseconds more that it has none of that name."""
    while True:
        try:
            await find_logs(client._client, topics)  # noqa: SLF001 (the version is pinned)
        except UnknownTopicOrPartitionError:
            await asyncio.sleep(KNOWN_EVERY_SECONDS)
        else:
            return


def _outcome(errors: Iterable[tuple[Any, ...]]) -> dict[str, str]:
    # the admin client raises nothing: errors stand in the response
    outcome: dict[str, str] = {}
    for name, code, *rest in errors:
        if code not in (0, _TOPIC_EXISTS):
            msg = f"topic {name}: error {code} {rest[0] if rest else ''}"
            raise KafkaError(msg)
        outcome[name] = "present" if code else "created"
    return outcome
