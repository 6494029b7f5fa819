"""The front door on port 8000: where everything is. The console's pages are built on the four APIs like any client."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from shared import __version__

if TYPE_CHECKING:
    from starlette.requests import Request

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Bandung</title>
<style>body{{font:16px/1.5 system-ui;max-width:44rem;margin:3rem auto;padding:0 1rem}}
td{{padding:.2rem 1rem .2rem 0}}</style>
<h1>Bandung</h1>
<p>The partnership exchange for South-South and triangular industrial cooperation.</p>
<table>{rows}</table>
<p>On the command line: <code>bandung demo</code>, <code>bandung tail</code>, <code>bandung doctor</code>.</p></html>"""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}


def _row(name: str, url: str) -> str:
    return f'<tr><td>{name}<td><a href="{url}/docs">API</a><td><a href="{url}/readyz">health</a>'


def make_console(endpoints: dict[str, str], instance: str) -> Starlette:
    """The application; `endpoints` maps each service to its base URL."""

    async def front(_request: Request) -> Response:
        rows = "".join(_row(escape(name), escape(url)) for name, url in endpoints.items())
        return HTMLResponse(_PAGE.format(rows=rows), headers=_HEADERS)

    async def livez(_request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_request: Request) -> Response:
        return JSONResponse({"status": "ready", "checks": {}})

    async def version(_request: Request) -> Response:
        return JSONResponse({"service": "console", "version": __version__, "commit": "unknown", "instance": instance})

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[
            Route("/", front),
            Route("/livez", livez),
            Route("/readyz", readyz),
            Route("/version", version),
            Route("/metrics", metrics),
        ]
    )
