"""The hook that holds answers against the document notices what is not described."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.contract.conftest import committed
from tests.support.described import Described

if TYPE_CHECKING:
    from shared.service import Service

NEED = "/needs/01a20cda-0b06-7006-8006-000000000006"
HEADERS = {"ETag": '"1"', "X-Request-Id": "x", "X-Correlation-Id": "x"}
pytestmark = pytest.mark.asyncio


@pytest.fixture
def hook(services: list[Service]) -> Described:
    return Described(services[0])


def shown(**changes: Any) -> dict[str, Any]:
    """The example answer of the document."""
    operation = committed("openapi/registry.json")["paths"]["/needs/{need_id}"]["get"]
    return operation["responses"]["200"]["content"]["application/json"]["example"] | changes


def answer(status: int, body: Any, kind: str = "application/json", path: str = NEED, **headers: str) -> httpx.Response:
    request = httpx.Request("GET", f"http://127.0.0.1{path}")
    return httpx.Response(
        status, headers={"content-type": kind, **HEADERS, **headers}, content=json.dumps(body), request=request
    )


def problem(status: int, code: str) -> httpx.Response:
    return answer(status, {"code": code}, "application/problem+json")


async def test_what_is_described_passes(hook: Described) -> None:
    await hook.check(answer(200, shown()))
    await hook.check(problem(404, "not_found"))
    await hook.check(answer(200, {}, path="/nowhere"))


@pytest.mark.parametrize(
    "strange",
    [
        answer(206, shown()),
        answer(200, shown(version="one")),
        answer(200, {name: value for name, value in shown().items() if name != "actions"}),
        problem(404, "cursor_expired"),
        problem(409, "invalid_transition"),
    ],
    ids=["status", "type", "member", "code", "status of a problem"],
)
async def test_what_is_not_described_fails(hook: Described, strange: httpx.Response) -> None:
    with pytest.raises(AssertionError):
        await hook.check(strange)


async def test_a_header_that_is_promised_and_not_sent_fails(hook: Described) -> None:
    bare = answer(200, shown())
    del bare.headers["etag"]
    with pytest.raises(AssertionError):
        await hook.check(bare)
