"""The ASGI application of one service: routes, problem documents, request ids, health and contracts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse

from shared import __version__, docs, health
from shared.contracting.documents import Documents
from shared.data.database import is_passing
from shared.lifecycle import Refused
from shared.ops.ids import new_id
from shared.web.problems import answer, not_found, refuse, render

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from shared.service import Running

log = structlog.get_logger(__name__)

SECURITY_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"content-security-policy": b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
}
EXPOSED_HEADERS = (
    "ETag",
    "Location",
    "Link",
    "Retry-After",
    "X-Request-Id",
    "X-Correlation-Id",
    "Idempotency-Replayed",
)
_HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large", 415: "unsupported_media_type"}


def make_app(running: Running) -> FastAPI:
    """The application of a running service."""
    service = running.service
    app = FastAPI(
        title=f"Bandung {service.name}",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_telemetry(running),
    )
    app.state.running = running
    app.state.documents = Documents(service)
    for router in service.routers:
        app.include_router(router.routes)
    for path, endpoint in _routes_for_operators(running).items():
        app.add_route(path, endpoint, include_in_schema=False)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_middleware(_Outermost, running=running)
    _allow_browsers(app, running.settings.cors_origins)
    return app


def _routes_for_operators(running: Running) -> dict[str, Callable[[Request], Any]]:
    """Health, metrics unless these have a port of their own, and the contracts."""
    routes: dict[str, Callable[[Request], Any]] = {
        "/livez": health.livez,
        "/readyz": health.readyz,
        "/version": health.version,
        "/docs": _docs,
        "/openapi.json": _openapi,
        "/asyncapi.json": _asyncapi,
        "/schemas/{name}/{version}": _schema,
    }
    return routes if running.settings.metrics_port else routes | {"/metrics": health.metrics}


def _allow_browsers(app: FastAPI, origins: Collection[str]) -> None:
    """Pages of these origins may call, and read the headers that carry meaning."""
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=list(EXPOSED_HEADERS),
        )


def _telemetry(running: Running) -> TelemetryConfig:
    return {"tracer_provider": running.tracing, "metrics": False, "logs": False, "operation_spans": False}


# these four are plain functions, so that they run in a thread: a document takes some 100 ms when it is made
def _docs(request: Request) -> Response:
    """The routes on one page."""
    return HTMLResponse(docs.page(_documents(request).openapi))


def _openapi(request: Request) -> Response:
    """The routes for machines."""
    return JSONResponse(_documents(request).openapi)


def _asyncapi(request: Request) -> Response:
    """What this service publishes and hears."""
    return JSONResponse(_documents(request).asyncapi)


def _schema(request: Request) -> Response:
    """JSON Schema of one event version of this service."""
    found = _documents(request).schema(request.path_params["name"], request.path_params["version"])
    if found is None:
        return answer(request, not_found("schema"))
    return JSONResponse(found, media_type="application/schema+json")


def _documents(request: Request) -> Documents:
    documents: Documents = request.app.state.documents
    return documents


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101 (registered for this class only)
    return answer(request, error)


async def _http(request: Request, error: Exception) -> Response:
    """Starlette's own 404 and 405, and FastAPI's few, as problem documents."""
    assert isinstance(error, HTTPException)  # noqa: S101 (registered for this class only)
    code = _HTTP_CODES.get(error.status_code, "malformed_json" if error.status_code == 400 else "internal_error")  # noqa: PLR2004
    detail = (
        f"There is no {request.method} {request.url.path} here."
        if code in ("not_found", "method_not_allowed")
        else str(error.detail)
    )
    return answer(request, refuse(code, detail, headers=dict(error.headers or {})))


class _Outermost:
    """Gives each request an id, counts it, logs it, and turns any exception into an answer."""

    def __init__(self, app: ASGIApp, running: Running) -> None:
        self._app, self._running = app, running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(new_id())
        scope.setdefault("state", {})["request_id"] = request_id
        seen: dict[str, Any] = {"status": 0, "begun": time.perf_counter()}

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.setdefault("headers", [])
                seen["status"], seen["stream"] = message["status"], _is_stream(headers)
                headers.extend(_headers(request_id))
            await send(message)

        with structlog.contextvars.bound_contextvars(service=self._running.service.name, request_id=request_id):
            try:
                await self._app(scope, receive, sending)
            except Exception as error:  # noqa: BLE001 (the last resort: nothing leaves without an answer)
                await self._failed(error, scope, receive, sending, started=bool(seen["status"]))
            self._count(scope, seen)

    async def _failed(self, error: Exception, scope: Scope, receive: Receive, send: Send, *, started: bool) -> None:
        if is_passing(error):
            log.warning("unavailable", path=scope["path"], error=f"{type(error).__name__}: {error}"[:200])
            refused = refuse("unavailable", "The database does not answer just now; try again soon.")
        else:
            log.error("internal_error", path=scope["path"], exc_info=error)
            refused = refuse("internal_error", "This is our fault; it is in our log under the request id.")
        if not started:
            response = render(refused, path=scope["path"], request_id=scope["state"]["request_id"])
            await response(scope, receive, send)

    def _count(self, scope: Scope, seen: dict[str, Any]) -> None:
        route = getattr(scope.get("route"), "path", "unknown")
        took = time.perf_counter() - seen["begun"]
        self._running.metrics.requests.labels(scope["method"], route, str(seen["status"])).inc()
        if not seen.get("stream"):  # it lasts as long as its reader likes
            self._running.metrics.request_seconds.labels(route).observe(took)
        log.debug(
            "request", method=scope["method"], path=scope["path"], status=seen["status"], ms=round(took * 1000, 1)
        )


def _is_stream(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers)


def _headers(request_id: str) -> list[tuple[bytes, bytes]]:
    return [(b"x-request-id", request_id.encode()), *SECURITY_HEADERS.items()]
