"""N services in one event loop: one signal handler, ordered start, ordered and bounded shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn

from shared.app import make_app
from shared.service import Running

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

    from shared.service import Service
    from shared.web.auth import KeySource

log = structlog.get_logger(__name__)

HTTP_SECONDS = 3.0
LOOP_SECONDS = 3.0
LOOP_TICK_SECONDS = 1.0
PROBE_EVERY_SECONDS = 10.0


class HttpServer(uvicorn.Server):
    """uvicorn without its own signal handlers (the process has one) and without its ten ticks a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._asked = asyncio.Event()

    def ask_to_stop(self) -> None:
        """Finish the requests that run, then end."""
        self.should_exit = True
        self._asked.set()

    async def main_loop(self) -> None:
        """Once a second for the Date header, and at once when asked to stop."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._asked.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are handled by `until_signalled`."""
        yield


@dataclass
class Loops:
    """The background loops of one service and the order in which they end: HTTP, consumer, relay, workers."""

    running: Running
    server: HttpServer
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


async def start(service: Service, *, keys: KeySource | None = None) -> Loops:
    """Prepares a service (its database is migrated already) and starts everything it has.

    `keys` replaces the issuer's published keys, for a program that issues tokens itself.
    """
    running = Running(service, keys=keys)
    await running.prepare()
    settings = service.settings
    loops = Loops(running, http_server(make_app(running), settings.host, settings.listen_port))
    loops.start("relay", running.relay.run)
    loops.start("consumer", running.consumer.run)
    loops.start("scheduler", running.scheduler.run)
    loops.start("pulse", lambda stop: _pulse(running, stop))
    running.workers = service.workers(running)
    for number, worker in enumerate(running.workers):
        loops.start(f"worker-{number}", worker.run)
    loops.tasks["http"] = await listening(loops.server, service.name)
    return loops


def http_server(app: Any, host: str, port: int) -> HttpServer:  # noqa: ANN401 (any ASGI application)
    """A server for one application; the process keeps its signals to itself."""
    return HttpServer(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=int(HTTP_SECONDS),
            timeout_keep_alive=30,
            server_header=False,
            h11_max_incomplete_event_size=32_768,
        )
    )


async def listening(server: HttpServer, name: str) -> asyncio.Task[None]:
    """Starts the server and waits until its port is open; a taken port ends the process with one clear line."""
    task: asyncio.Task[None] = asyncio.create_task(server.serve(), name=f"{name}-http")
    while not server.started:
        if task.done():
            where = f"{server.config.host}:{server.config.port}"
            raise SystemExit(f"{name} cannot listen on {where}: the port is taken by another program")
        await asyncio.sleep(0.01)
    return task


async def stop(all_loops: Sequence[Loops]) -> None:
    """HTTP -> consumer -> relay and scheduler -> workers, each bounded, all services side by side."""
    for loops in all_loops:
        loops.running.stopping.set()  # readiness goes first, open streams end
        loops.server.ask_to_stop()
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
