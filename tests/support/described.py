"""Holds every answer that a test gets from a service against the OpenAPI document of that service."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

from shared.contracting import openapi

if TYPE_CHECKING:
    import httpx

    from shared.service import Service

JSON, PROBLEM = "application/json", "application/problem+json"
NOT_ALWAYS = {"Link", "Idempotency-Replayed"}
"""Headers of a success that depend on the request: a last page has no link, a first answer is no replay."""


class Described:
    """A response hook for httpx: what the document does not say of a request fails the test.

    Looked at are the status, the headers, the body of a success against its schema, and the code of a problem.
    """

    def __init__(self, service: Service) -> None:
        self._document = openapi.of_service(service)
        # a path without parameters goes before one with
        paths = sorted(self._document["paths"], key=lambda path: path.count("{"))
        self._paths = [(re.compile(re.sub(r"{\w+}", "[^/]+", path)), path) for path in paths]
        self._validator = cache(self._make_validator)

    async def check(self, response: httpx.Response) -> None:
        """The hook."""
        asked = f"{response.request.method} {response.request.url.path}"
        path = self._path(response.request)
        if path is None:
            return
        method, status = response.request.method.lower(), str(response.status_code)
        described = self._response(path, method, status)
        assert described is not None, f"{asked}: {status} is not in the document"
        kind = response.headers.get("content-type", "").partition(";")[0]
        if kind == PROBLEM:
            code = json.loads(await response.aread())["code"]
            assert code in codes(described), f"{asked}: {code} is not in the document"
        elif kind == JSON and response.is_success:
            named = set(described["headers"]) - NOT_ALWAYS
            assert [name for name in named if name not in response.headers] == [], asked
            faults = self._validator(path, method, status).iter_errors(json.loads(await response.aread()))
            assert [f"{fault.json_path}: {fault.message}" for fault in faults] == [], asked

    def _path(self, request: httpx.Request) -> str | None:
        """The path of the document; None for a path or method that no route has."""
        for pattern, path in self._paths:
            if pattern.fullmatch(request.url.path) and request.method.lower() in self._document["paths"][path]:
                return path
        return None

    def _response(self, path: str, method: str, status: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._document["paths"][path][method]["responses"].get(status)
        if found is None or "$ref" not in found:
            return found
        shared: dict[str, Any] = self._document["components"]["responses"][found["$ref"].rpartition("/")[2]]
        return shared

    def _make_validator(self, path: str, method: str, status: str) -> Draft202012Validator:
        schema = self._document["paths"][path][method]["responses"][status]["content"][JSON]["schema"]
        whole = {**schema, "components": self._document["components"]}
        return Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)


def codes(described: dict[str, Any]) -> list[str]:
    """The problem codes of a response of the document."""
    found: list[str] = described["content"][PROBLEM]["schema"]["allOf"][1]["properties"]["code"]["enum"]
    return found
