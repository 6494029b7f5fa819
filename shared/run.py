"""N services in one event loop: one signal handler, ordered start, ordered and bounded shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from shared.app import make_app
from shared.health import metrics_app
from shared.ops import failpoints
from shared.ops.ending import stop_event
from shared.service import Running
from shared.web.server import HTTP_SECONDS, HttpServer, http_server, listening

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from shared.service import Service
    from shared.web.auth import KeySource

log = structlog.get_logger(__name__)

LOOP_SECONDS = 3.0
STOP_SECONDS = 7.0
LOOP_TICK_SECONDS = 5.0
PROBE_EVERY_SECONDS = 10.0


@dataclass
class Loops:
    """The background loops of one service and the order in which they end: HTTP, consumer, relay, workers."""

    running: Running
    server: HttpServer
    metrics_server: HttpServer | None = None
    stops: dict[str, asyncio.Event] = field(default_factory=dict)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def start(self, name: str, loop: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
        """Runs a loop with a stop event of its own."""
        self.stops[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(loop(self.stops[name]), name=f"{self.running.service.name}-{name}")

    async def end(self, *names: str, deadline: float) -> None:
        """Asks these loops to end and waits until the deadline (loop time), then cancels them."""
        for name in names:
            self.stops[name].set()
        waiting = [self.tasks[name] for name in names]
        if not waiting:
            return
        seconds = min(LOOP_SECONDS, max(0.1, deadline - asyncio.get_running_loop().time()))
        _, late = await asyncio.wait(waiting, timeout=seconds)
        for task in late:
            log.warning("loop_cancelled", loop=task.get_name())
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=0.2)


async def start(service: Service, *, keys: KeySource | None = None) -> Loops:
    """Prepares a service (its database is migrated already) and starts everything it has.

    `keys` replaces the issuer's published keys, for a program that issues tokens itself.
    """
    running = Running(service, keys=keys)
    loops = Loops(running, http_server(make_app(running), service.settings.host, service.settings.listen_port))
    try:
        await _begin(loops)
    except BaseException:
        await stop([loops])
        raise
    return loops


async def _begin(loops: Loops) -> None:
    running = loops.running
    service, settings = running.service, running.settings
    await running.prepare()
    failpoints.arm(settings.failpoints)
    # the port first: when it is taken nothing else has begun yet
    loops.tasks["http"] = await listening(loops.server, service.name)
    if settings.metrics_port:
        loops.metrics_server = http_server(metrics_app(running), settings.host, settings.metrics_port)
        loops.tasks["metrics"] = await listening(loops.metrics_server, f"{service.name} /metrics")
    loops.start("relay", running.relay.run)
    loops.start("consumer", running.consumer.run)
    loops.start("scheduler", running.scheduler.run)
    loops.start("pulse", lambda stop: _pulse(running, stop))
    running.workers = service.workers(running)
    for number, worker in enumerate(running.workers):
        loops.start(f"worker-{number}", worker.run)


async def stop(all_loops: Sequence[Loops]) -> None:
    """HTTP -> consumer -> relay, scheduler and workers, all services side by side, within one deadline."""
    deadline = asyncio.get_running_loop().time() + STOP_SECONDS
    for loops in all_loops:
        loops.running.stopping.set()  # readiness goes first, open streams end
        loops.server.ask_to_stop()
        if loops.metrics_server is not None:
            loops.metrics_server.ask_to_stop()
    https = [loops.tasks[name] for loops in all_loops for name in ("http", "metrics") if name in loops.tasks]
    if https:
        await asyncio.wait(https, timeout=HTTP_SECONDS + 0.5)
    consumers = [loops for loops in all_loops if "consumer" in loops.stops]
    await asyncio.gather(*(loops.end("consumer", deadline=deadline) for loops in consumers))
    rest = [[name for name in loops.stops if name != "consumer"] for loops in all_loops]
    await asyncio.gather(*(loops.end(*names, deadline=deadline) for loops, names in zip(all_loops, rest, strict=True)))
    await asyncio.gather(*(loops.running.close() for loops in all_loops))


async def serve(service: Service) -> None:
    """One service until SIGTERM, also when that comes during its start."""
    asked = stop_event()
    loops = await _started_unless(asked, service)
    if loops is None:
        log.info("stopped_before_ready", service=service.name)
        return
    log.info("ready", service=service.name, url=service.settings.base_url)
    await asked.wait()
    log.info("stopping", service=service.name)
    await stop([loops])


async def _started_unless(asked: asyncio.Event, service: Service) -> Loops | None:
    """None when the end was asked for first; then nothing of the start is left."""
    starting = asyncio.create_task(start(service))
    ending = asyncio.create_task(asked.wait())
    await asyncio.wait({starting, ending}, return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()
    if not starting.done():
        starting.cancel()
    try:
        return await starting
    except (Exception, asyncio.CancelledError):  # a driver may end a cancelled connection with an error of its own
        if not asked.is_set():
            raise
        return None


async def _pulse(running: Running, stop: asyncio.Event) -> None:
    """Measures how late the event loop is, and looks whether Kafka is there."""
    probe_at = 0.0
    while not stop.is_set():
        begun = time.perf_counter()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOP_TICK_SECONDS):
                await stop.wait()
        running.metrics.loop_lag.set(max(0.0, time.perf_counter() - begun - LOOP_TICK_SECONDS))
        if begun > probe_at:
            probe_at = begun + PROBE_EVERY_SECONDS
            await running.broker.probe()
