"""`/docs`: every route of a service on one page, made from its OpenAPI document. No script, no outside request."""

from __future__ import annotations

from html import escape
from typing import Any

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body{{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}}
code{{background:#8882;padding:.1rem .3rem;border-radius:.2rem}}dt{{margin-top:1rem}}dd{{margin:0 0 0 1rem}}</style>
<h1>{title} {version}</h1>
<p>Machine-readable: <a href="/openapi.json">OpenAPI 3.1</a>, <a href="/asyncapi.json">AsyncAPI 3.0</a>.</p>
{groups}</html>"""


def page(openapi: dict[str, Any]) -> str:
    """The HTML page."""
    groups: dict[str, list[str]] = {}
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(operation.get("tags", [""])[0], []).append(_row(method.upper(), path, operation))
    listed = "".join(f"<h2>{escape(tag)}</h2><dl>{''.join(rows)}</dl>" for tag, rows in sorted(groups.items()))
    return _PAGE.format(
        title=escape(openapi["info"]["title"]), version=escape(openapi["info"]["version"]), groups=listed
    )


def _row(method: str, path: str, operation: dict[str, Any]) -> str:
    # shared parameters are references without `in`; all of them are headers
    names = [escape(p["name"]) for p in operation.get("parameters", []) if p.get("in") == "query"]
    query = f" <small>?{', '.join(names)}</small>" if names else ""
    words = escape(operation.get("description") or operation.get("summary") or "")
    return f"<dt><code>{method} {escape(path)}</code>{query}</dt><dd>{words}</dd>"
