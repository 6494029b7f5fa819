"""`/livez`, `/readyz`, `/metrics`, `/version`: what works, what does not, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import func, select
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared import __version__
from shared.data import migrate
from shared.messaging import inbox

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession
    from starlette.requests import Request

    from shared.service import Running

Check = dict[str, Any]
LAG_ALARM_RECORDS = 10_000
OLD_SECONDS = 30


MOST_REBUILDS = 2


async def livez(request: Request) -> Response:
    """The process runs its event loop; 503 when only a restart can help: new consumers make no progress either."""
    stuck = request.app.state.running.consumer.watchdog.rebuilds >= MOST_REBUILDS
    return JSONResponse({"status": "stuck" if stuck else "alive"}, 503 if stuck else 200)


async def version(request: Request) -> Response:
    """Which code this is."""
    settings = request.app.state.running.settings
    return JSONResponse(
        {"service": settings.service, "version": __version__, "commit": settings.commit, "instance": settings.instance}
    )


async def metrics(request: Request) -> Response:
    """Prometheus text; what `/readyz` looks at is looked at again for it."""
    running: Running = request.app.state.running
    for name, check in (await checks_of(running)).items():
        running.metrics.failing.labels(name).set(check["status"] != "ok")
    for name, used, size in running.database.pools():
        running.metrics.pool_used.labels(name).set(used)
        running.metrics.pool_size.labels(name).set(size)
    return Response(generate_latest(running.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def metrics_app(running: Running) -> Starlette:
    """`/metrics` alone, for a port of its own that the public does not reach."""
    app = Starlette(routes=[Route("/metrics", metrics)])
    app.state.running = running
    return app


async def readyz(request: Request) -> Response:
    """200 `ready` or `degraded`; 503 only when requests cannot be served."""
    running: Running = request.app.state.running
    checks = await checks_of(running)
    status = overall(checks, stopping=running.stopping.is_set())
    return JSONResponse({"status": status, "checks": checks}, 503 if status == "unready" else 200)


def overall(checks: dict[str, Check], *, stopping: bool) -> str:
    """`unready` when the database or its schema is missing, `degraded` for any other failing part."""
    failing = {name for name, check in checks.items() if check["status"] != "ok"}
    if stopping or failing & {"database", "migrations"}:
        return "unready"
    return "degraded" if failing else "ready"


async def checks_of(running: Running) -> dict[str, Check]:
    """All checks; those that need the database say so when it is away."""
    checks: dict[str, Check] = {"database": _ok()}
    try:
        async with running.database.background_session() as session:
            checks["migrations"] = await _migrations(session, running)
            if checks["migrations"]["status"] == "ok":
                checks |= await _queues(session, running)
    except Exception as error:  # noqa: BLE001 (whatever it is, this is the place that says so)
        checks["database"] = _failing(f"{type(error).__name__}: {error}"[:200])
    checks["kafka"] = _kafka(running)
    own = (running.relay.database_fault, running.relay.row_fault, running.scheduler.fault)
    for fault in (*own, *(worker.fault for worker in running.workers)):
        checks[fault.part] = _words(fault.words())
    return checks


async def _migrations(session: AsyncSession, running: Running) -> Check:
    connection = await session.connection()
    current = await migrate.current(connection)
    if current == running.head:
        return _ok()
    if migrate.is_newer(current, running.service.migrations):
        return _failing(f"database is at {current}, newer than this code: run the newer code, or restore the backup")
    return _failing(f"database is at {current}, code needs {running.head}: run `bandung migrate`")


async def _queues(session: AsyncSession, running: Running) -> dict[str, Check]:
    return {"outbox": await _outbox(session, running), "consumer": await _consumer(session, running)}


async def _outbox(session: AsyncSession, running: Running) -> Check:
    t = running.service.kernel.outbox
    row = (await session.execute(select(func.count(), func.min(t.c.time)).where(t.c.published_at.is_(None)))).one()
    running.metrics.unsent.set(row[0])
    age = 0 if row[1] is None else max(0, round((running.clock.now() - row[1]).total_seconds()))
    running.metrics.unsent_age.set(age)
    failing = age > OLD_SECONDS or (row[0] and running.relay.kafka_fault.since is not None)
    return {"status": "failing" if failing else "ok", "unsent": row[0], "oldest_seconds": age}


async def _consumer(session: AsyncSession, running: Running) -> Check:
    consumer = running.consumer
    dead = await inbox.waiting_dead_letters(session, running.service.kernel.inbox)
    running.metrics.dead_letters.set(dead)
    words = consumer.limit_fault.words() or consumer.fault.words() or consumer.kafka_fault.words()
    behind = (consumer.lag or 0) > LAG_ALARM_RECORDS
    check: Check = {"status": "failing" if words or behind else "ok", "lag": consumer.lag, "dead_letters": dead}
    return check | ({"detail": words} if words else {})


def _kafka(running: Running) -> Check:
    if running.broker.fault.since is not None:
        return _words(running.broker.fault.words())
    words = running.relay.kafka_fault.words() or running.consumer.kafka_fault.words()
    return _words(words and f"broker {running.settings.kafka_bootstrap}: {words}")


def _words(words: str | None) -> Check:
    return _failing(words) if words else _ok()


def _ok() -> Check:
    return {"status": "ok"}


def _failing(detail: str) -> Check:
    return {"status": "failing", "detail": detail}
