"""N services in one event loop: one signal handler, ordered start, ordered and bounded shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog
import uvicorn

from shared.app import make_app
from shared.service import Running

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
    from typing import Any

    from shared.service import Service

log = structlog.get_logger(__name__)

HTTP_SECONDS = 3.0
LOOP_SECONDS = 3.0
LOOP_TICK_SECONDS = 0.5


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the process has one."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are handled by `until_signalled`."""
        yield


@dataclass
class Loops:
    """The background loops of one service and the order in which they end: HTTP, consumer, relay, workers."""

    running: Running
    server: _Server
    stops: dict[str, asyncio.Event] = field(default_factory=dict)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def start(self, name: str, loop: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
        """Runs a loop with a stop event of its own."""
        self.stops[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(loop(self.stops[name]), name=f"{self.running.service.name}-{name}")

    async def end(self, *names: str) -> None:
        """Asks these loops to end and waits, bounded."""
        for name in names:
            self.stops[name].set()
        waiting = [self.tasks[name] for name in names]
        if not waiting:
            return
        _, late = await asyncio.wait(waiting, timeout=LOOP_SECONDS)
        for task in late:
            log.warning("loop_cancelled", loop=task.get_name())
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=0.5)


async def start(service: Service, *, ready: Callable[[Running], Awaitable[None]] | None = None) -> Loops:
    """Prepares a service (its database is migrated already) and starts everything it has."""
    running = Running(service)
    await running.prepare()
    if ready is not None:
        await ready(running)
    settings = service.settings
    config = uvicorn.Config(
        make_app(running),
        host=settings.host,
        port=settings.listen_port,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=int(HTTP_SECONDS),
        timeout_keep_alive=30,
        server_header=False,
        h11_max_incomplete_event_size=32_768,
    )
    loops = Loops(running, _Server(config))
    loops.start("relay", running.relay.run)
    loops.start("consumer", running.consumer.run)
    loops.start("scheduler", running.scheduler.run)
    loops.start("pulse", lambda stop: _pulse(running, stop))
    for number, worker in enumerate(service.workers(running)):
        loops.start(f"worker-{number}", worker.run)
    loops.tasks["http"] = asyncio.create_task(loops.server.serve(), name=f"{service.name}-http")
    await _listening(loops)
    return loops


async def _listening(loops: Loops) -> None:
    """Waits until the port is open; a taken port ends the process with one clear line."""
    while not loops.server.started:
        if loops.tasks["http"].done():
            settings = loops.running.settings
            msg = f"{settings.service} cannot listen on {settings.host}:{settings.listen_port}: the port is taken"
            raise SystemExit(msg)
        await asyncio.sleep(0.01)


async def stop(all_loops: Sequence[Loops]) -> None:
    """HTTP -> consumer -> relay and scheduler -> workers, each bounded, all services side by side."""
    for loops in all_loops:
        loops.running.stopping.set()  # readiness goes first, open streams end
        loops.server.should_exit = True
    https = [loops.tasks["http"] for loops in all_loops]
    if https:
        await asyncio.wait(https, timeout=HTTP_SECONDS + 0.5)
    await asyncio.gather(*(loops.end("consumer") for loops in all_loops))
    await asyncio.gather(*(loops.end("scheduler", "relay", "pulse") for loops in all_loops))
    await asyncio.gather(*(loops.end(*[n for n in loops.stops if n.startswith("worker")]) for loops in all_loops))
    await asyncio.gather(*(loops.running.close() for loops in all_loops))


async def until_signalled(also: asyncio.Event | None = None) -> None:
    """Returns at SIGTERM or SIGINT, or when `also` is set."""
    asked = also or asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    await asked.wait()


async def serve(service: Service) -> None:
    """One service until SIGTERM."""
    loops = await start(service)
    log.info("ready", service=service.name, url=service.settings.base_url)
    await until_signalled()
    log.info("stopping", service=service.name)
    await stop([loops])


async def _pulse(running: Running, stop: asyncio.Event) -> None:
    """Measures how late the event loop is."""
    while not stop.is_set():
        begun = time.perf_counter()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOP_TICK_SECONDS):
                await stop.wait()
        running.metrics.loop_lag.set(max(0.0, time.perf_counter() - begun - LOOP_TICK_SECONDS))
