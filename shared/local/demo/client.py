"""The public HTTP APIs of the four services, as any partner's program would call them.

A POST carries an Idempotency-Key made from the story's step, a change the version it was decided on (If-Match).
What is refused is a `DemoError` in words; what is busy, or not there for a moment, is asked again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

Found = TypeVar("Found")
Json = dict[str, Any]

POLL_SECONDS = 0.08
WAIT_SECONDS = 20.0
TRIES = 8
RETRIED = frozenset({429, 503})
TOKEN_MARGIN = 0.1
"""Share of a token's life in which it is no longer used."""


class DemoError(Exception):
    """The demo cannot go on; the message says why, in words for a person."""


class LateError(DemoError):
    """An effect that should have followed did not show in time."""


class RefusedError(DemoError):
    """A service said no; `status` and `problem` are its answer."""

    def __init__(self, call: str, status: int, problem: Json) -> None:
        detail = problem.get("detail") or problem.get("error") or "no problem document"
        faults = [f"{error.get('pointer')}: {error.get('message')}" for error in problem.get("errors", [])]
        super().__init__(f"{call} -> {status} {problem.get('code', '')}: {'; '.join(faults) or detail}")
        self.status, self.problem = status, problem


@dataclass
class Actor:
    """Somebody with an API key; `institution_id` is None for the platform's own."""

    name: str
    client_id: str
    client_secret: str = field(repr=False)
    institution_id: str | None = None
    token: str = field(default="", repr=False)
    renew_at: float = 0.0
    renewing: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)


@dataclass(frozen=True)
class Call:
    """One request."""

    method: str
    service: str
    path: str
    actor: Actor
    json: Json | None = None
    params: Json | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """How it is named in a message."""
        return f"{self.actor.name}: {self.method} {self.service}{self.path}"


@dataclass
class Exchange:
    """The running system."""

    endpoints: dict[str, str]
    http: httpx.AsyncClient

    async def get(self, service: str, path: str, actor: Actor, **params: Any) -> Json:  # noqa: ANN401 (query values)
        """One resource or page."""
        return (await self.call(Call("GET", service, path, actor, params=params or None))).json()  # type: ignore[no-any-return]

    async def items(self, service: str, path: str, actor: Actor, **params: Any) -> AsyncIterator[Json]:  # noqa: ANN401
        """All items of a list, page by page."""
        cursor: dict[str, str] = {}
        while True:
            page = await self.get(service, path, actor, limit=200, **params, **cursor)
            for item in page["items"]:
                yield item
            if not page["next"]:
                return
            cursor = {"cursor": page["next"]}

    async def call(self, call: Call) -> httpx.Response:
        """The answer, if it is a good one; raises `RefusedError` for a no, `DemoError` when nobody answers."""
        why = ""
        for attempt in range(TRIES):
            try:
                response = await self._send(call)
            except httpx.TransportError as error:
                why, pause = repr(error), 0.1 * 2**attempt
            else:
                if not _passing(response):
                    return _good(call, response)
                why, pause = f"{response.status_code}", float(response.headers.get("Retry-After", 1))
                if response.status_code == httpx.codes.UNAUTHORIZED:
                    call.actor.renew_at = pause = 0.0
            await asyncio.sleep(min(pause, 5.0))
        raise DemoError(f"{call}: no answer after {TRIES} tries ({why}). Is the system up? `bandung doctor` tells.")

    async def _send(self, call: Call) -> httpx.Response:
        headers = {"Authorization": f"Bearer {await self._token(call.actor)}", **call.headers}
        url = f"{self.endpoints[call.service]}{call.path}"
        return await self.http.request(call.method, url, json=call.json, params=call.params, headers=headers)

    async def _token(self, actor: Actor) -> str:
        async with actor.renewing:
            if time.monotonic() >= actor.renew_at:
                form = {"grant_type": "client_credentials", "client_id": actor.client_id}
                form["client_secret"] = actor.client_secret
                response = await self.http.post(f"{self.endpoints['registry']}/token", data=form)
                if response.is_server_error or response.status_code in RETRIED:
                    raise httpx.TransportError(f"no token: {response.status_code}")
                answer = _good(_token_call(actor), response).json()
                actor.token = answer["access_token"]
                actor.renew_at = time.monotonic() + answer["expires_in"] * (1 - TOKEN_MARGIN)
            return actor.token


def _token_call(actor: Actor) -> Call:
    return Call("POST", "registry", "/token", actor)


def _passing(response: httpx.Response) -> bool:
    """Whether the same request may fare better in a moment."""
    if response.status_code in RETRIED or response.status_code == httpx.codes.UNAUTHORIZED:
        return True
    return response.status_code == httpx.codes.CONFLICT and _problem(response).get("code") == "idempotency_in_flight"


def _good(call: Call, response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    raise RefusedError(str(call), response.status_code, _problem(response))


def _problem(response: httpx.Response) -> Json:
    try:
        document = response.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


@dataclass
class Desk:
    """Where one story's requests are made, so that they can be named and counted.

    `writes` stays 0 when everything was there already.
    """

    exchange: Exchange
    name: str
    writes: int = 0

    async def make(self, step: str, service: str, path: str, actor: Actor, body: Json, **params: Any) -> Json:  # noqa: ANN401
        """POST something new, once: the step names it for ever."""
        headers = {"Idempotency-Key": f"demo/{self.name}/{step}"}
        return await self._write(Call("POST", service, path, actor, body, params or None, headers))

    async def change(self, step: str, service: str, path: str, actor: Actor, version: int, body: Json) -> Json:
        """POST a state change of a resource that was seen in this version."""
        headers = {"Idempotency-Key": f"demo/{self.name}/{step}", "If-Match": f'"{version}"'}
        return await self._write(Call("POST", service, path, actor, body, headers=headers))

    async def patch(self, service: str, path: str, actor: Actor, version: int, body: Json) -> Json:
        """PATCH what was seen in this version."""
        return await self._write(Call("PATCH", service, path, actor, body, headers={"If-Match": f'"{version}"'}))

    async def _write(self, call: Call) -> Json:
        response = await self.exchange.call(call)
        self.writes += "Idempotency-Replayed" not in response.headers
        return response.json()  # type: ignore[no-any-return]


async def wait_for(what: str, look: Callable[[], Awaitable[Found | None]]) -> Found:
    """What `look` gives once it gives something; `LateError` when that takes too long."""
    deadline = time.monotonic() + WAIT_SECONDS
    while (found := await look()) is None:
        if time.monotonic() > deadline:
            raise LateError(f"waited {WAIT_SECONDS:g} s in vain for {what}")
        await asyncio.sleep(POLL_SECONDS)
    return found
