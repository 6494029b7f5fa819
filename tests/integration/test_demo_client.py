"""The demo's HTTP client against a real server that is busy, forgetful or says no."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from shared.local.demo import client
from shared.local.demo.client import Actor, DemoError, Desk, Exchange, LateError, RefusedError, wait_for

Answer = tuple[int, dict[str, str], Any]
TOKEN: Answer = (200, {}, {"access_token": "t", "expires_in": 900})


@dataclass
class Scripted:
    """A server that gives the next answer of its script to every request but `/token`."""

    script: list[Answer]
    got: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {name.lower(): value for name, _, value in (row.partition(": ") for row in head[1:] if row)}
        await reader.readexactly(int(headers.get("content-length", "0")))
        self.got.append((method, path, headers))
        status, more, body = TOKEN if path == "/token" else self.script.pop(0)
        payload = json.dumps(body).encode()
        extra = "".join(f"{name}: {value}\r\n" for name, value in more.items())
        head_out = f"HTTP/1.1 {status} X\r\n{extra}content-length: {len(payload)}\r\nconnection: close\r\n\r\n"
        writer.write(head_out.encode() + payload)
        await writer.drain()
        writer.close()

    def calls(self, path: str) -> list[dict[str, str]]:
        return [headers for _, asked, headers in self.got if asked.startswith(path)]


@asynccontextmanager
async def exchange(*script: Answer) -> AsyncIterator[tuple[Exchange, Scripted]]:
    scripted = Scripted(list(script))
    server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, httpx.AsyncClient(trust_env=False) as http:
        yield Exchange(dict.fromkeys(("registry", "projects"), url), http), scripted


def operator() -> Actor:
    return Actor("operator", "bdk_operator", "secret")


@pytest.mark.asyncio
async def test_a_busy_service_is_asked_again() -> None:
    busy: Answer = (503, {"Retry-After": "0"}, {"code": "unavailable"})
    async with exchange(busy, (409, {"Retry-After": "0"}, {"code": "idempotency_in_flight"}), (200, {}, {"id": 1})) as (
        ex,
        server,
    ):
        assert await ex.get("registry", "/needs", operator()) == {"id": 1}
        assert len(server.calls("/needs")) == 3


@pytest.mark.asyncio
async def test_a_token_that_is_no_longer_good_is_renewed() -> None:
    async with exchange((401, {}, {"code": "unauthenticated"}), (200, {}, {"id": 1})) as (ex, server):
        assert await ex.get("registry", "/needs", operator()) == {"id": 1}
        assert len(server.calls("/token")) == 2


@pytest.mark.asyncio
async def test_one_token_serves_many_requests() -> None:
    async with exchange((200, {}, {}), (200, {}, {})) as (ex, server):
        actor = operator()
        await asyncio.gather(ex.get("registry", "/a", actor), ex.get("registry", "/b", actor))
        assert len(server.calls("/token")) == 1


@pytest.mark.asyncio
async def test_a_refusal_names_who_asked_what_and_why() -> None:
    problem = {
        "code": "validation_failed",
        "detail": "x",
        "errors": [{"pointer": "/deadline", "message": "Must be after today"}],
    }
    async with exchange((422, {}, problem)) as (ex, _):
        with pytest.raises(
            RefusedError, match=r"operator: POST registry/needs -> 422 validation_failed: /deadline: Must be"
        ) as caught:
            await Desk(ex, "cotton4").make("need", "registry", "/needs", operator(), {})
        assert caught.value.status == 422


@pytest.mark.asyncio
async def test_steps_are_named_and_changes_carry_the_version_they_were_decided_on() -> None:
    async with exchange((201, {}, {"id": 1}), (200, {}, {"id": 1})) as (ex, server):
        desk = Desk(ex, "cotton4")
        await desk.make("need", "registry", "/needs", operator(), {})
        await desk.change("1/start", "projects", "/projects/1/start", operator(), 3, {})
        [made], [changed] = server.calls("/needs"), server.calls("/projects")
        assert (made["idempotency-key"], "if-match" in made) == ("demo/cotton4/need", False)
        assert (changed["idempotency-key"], changed["if-match"]) == ("demo/cotton4/1/start", '"3"')
        assert desk.writes == 2


@pytest.mark.asyncio
async def test_a_replayed_answer_is_no_change() -> None:
    async with exchange((201, {"Idempotency-Replayed": "true"}, {"id": 1})) as (ex, _):
        desk = Desk(ex, "cotton4")
        await desk.make("need", "registry", "/needs", operator(), {})
        assert desk.writes == 0


@pytest.mark.asyncio
async def test_nobody_there_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TRIES", 2)
    async with httpx.AsyncClient(trust_env=False) as http:
        nowhere = Exchange({"registry": "http://127.0.0.1:9"}, http)
        with pytest.raises(DemoError, match=r"no answer after 2 tries.*Is the system up"):
            await nowhere.get("registry", "/needs", operator())


@pytest.mark.asyncio
async def test_pages_are_followed_to_the_end() -> None:
    first, last = {"items": [{"id": 1}], "next": "c"}, {"items": [{"id": 2}], "next": None}
    async with exchange((200, {}, first), (200, {}, last)) as (ex, server):
        found = [item["id"] async for item in ex.items("registry", "/needs", operator(), status="open")]
        assert found == [1, 2]
        assert [path for _, path, _ in server.got if path != "/token"] == [
            "/needs?limit=200&status=open",
            "/needs?limit=200&status=open&cursor=c",
        ]


@pytest.mark.asyncio
async def test_waiting_has_an_end_and_says_for_what(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "WAIT_SECONDS", 0.05)

    async def never() -> None:
        return None

    with pytest.raises(LateError, match="in vain for the match"):
        await wait_for("the match", never)
