"""Holds every answer that a test gets from a service against the OpenAPI document of that service."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from shared.contracting import openapi

if TYPE_CHECKING:
    import httpx

    from shared.service import Service

PROBLEM = "application/problem+json"


class Described:
    """A response hook for httpx: a status or a problem code that the document does not name fails the test."""

    def __init__(self, service: Service) -> None:
        self._document = openapi.of_service(service)
        # a path without parameters goes before one with
        paths = sorted(self._document["paths"], key=lambda path: path.count("{"))
        self._paths = [(re.compile(re.sub(r"{\w+}", "[^/]+", path)), path) for path in paths]

    async def check(self, response: httpx.Response) -> None:
        """The hook."""
        responses = self._responses(response.request)
        if responses is None:
            return
        asked = f"{response.request.method} {response.request.url.path}"
        described = responses.get(str(response.status_code))
        assert described is not None, f"{asked}: {response.status_code} is not in the document"
        if response.headers.get("content-type") == PROBLEM:
            code = json.loads(await response.aread())["code"]
            assert code in self._codes(described), f"{asked}: {code} is not in the document"

    def _responses(self, request: httpx.Request) -> dict[str, Any] | None:
        """What the document says of this request; None for a path or method that no route has."""
        for pattern, path in self._paths:
            if pattern.fullmatch(request.url.path) and request.method.lower() in self._document["paths"][path]:
                found: dict[str, Any] = self._document["paths"][path][request.method.lower()]["responses"]
                return found
        return None

    def _codes(self, described: dict[str, Any]) -> list[str]:
        name = described["$ref"].rpartition("/")[2]
        schema = self._document["components"]["responses"][name]["content"][PROBLEM]["schema"]
        codes: list[str] = schema["allOf"][1]["properties"]["code"]["enum"]
        return codes
