"""One request to one webhook, signed by Standard Webhooks: nothing follows a redirect, nothing lasts, nothing grows.

httpx is imported here as well as in `shared.web.client`, since these requests need a transport of their own: it
connects to the address that the guard has checked, with the certificate name and Host of the URL.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from contextlib import suppress
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING

import httpx

from services.notifications.channels.ssrf import Forbidden, Guard, Target, Unresolvable
from services.notifications.domain.webhooks import secret_bytes
from shared import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

TOTAL_SECONDS = 15.0
EXCERPT_SECONDS = 1.0
EXCERPT_BYTES = 1024
CONTENT_TYPE = "application/cloudevents+json"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt; `http_status` is None when there was no answer, and `excerpt` then says why."""

    http_status: int | None
    duration_ms: int
    excerpt: str
    retry_after: str | None = None


class PinnedTransport(httpx.AsyncBaseTransport):
    """Connects to the address in the request's extension `pinned`, whatever the name resolves to by now."""

    def __init__(self) -> None:
        # a new connection per request: one that is kept could have been checked for another name
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._inner = httpx.AsyncHTTPTransport(verify=httpx.create_ssl_context(), limits=limits, trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises httpx's errors."""
        pinned = request.extensions.pop("pinned")
        request.extensions["sni_hostname"] = request.url.raw_host.decode("ascii")
        request.headers["Host"] = request.url.netloc.decode("ascii")
        request.url = request.url.copy_with(host=pinned)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Closes what is open."""
        await self._inner.aclose()


class WebhookClient:
    """Sends; any number of requests at the same time."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._client = httpx.AsyncClient(
            transport=PinnedTransport(),
            timeout=TOTAL_SECONDS,
            follow_redirects=False,
            trust_env=False,
            # or one webhook's cookies would pile up, and go to other webhooks on the same host
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )

    async def close(self) -> None:
        """Lets go of the transport."""
        await self._client.aclose()

    async def send(self, url: str, message_id: str, body: bytes, secrets: Sequence[str]) -> Outcome:
        """One attempt of 15 seconds at most; never raises for what the other side does."""
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                target = await self._guard.target(url)
                status, excerpt, retry_after = await self._post(target, headers_of(message_id, body, secrets), body)
        except TimeoutError:
            return Outcome(None, _ms(begun), f"no answer within {TOTAL_SECONDS:.0f} s")
        except (Forbidden, Unresolvable) as error:
            return Outcome(None, _ms(begun), str(error))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return Outcome(None, _ms(begun), f"{type(error).__name__}: {error}"[:EXCERPT_BYTES])
        return Outcome(status, _ms(begun), excerpt, retry_after)

    async def _post(self, target: Target, headers: dict[str, str], body: bytes) -> tuple[int, str, str | None]:
        pinned = {"pinned": str(target.address)}
        async with self._client.stream(
            "POST", target.url, headers=headers, content=body, extensions=pinned
        ) as response:
            return response.status_code, await _excerpt(response), response.headers.get("retry-after")


async def _excerpt(response: httpx.Response) -> str:
    """The first KB as it came over the wire (no unpacking), as far as it comes within a second."""
    read = b""
    with suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(EXCERPT_SECONDS):
            async for chunk in response.aiter_raw():  # of a given size it would keep back what has come so far
                read += chunk
                if len(read) >= EXCERPT_BYTES:
                    break
    return read[:EXCERPT_BYTES].decode("utf-8", "replace").replace("\x00", "�")


def headers_of(message_id: str, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """Headers of Standard Webhooks, with one signature per valid secret."""
    timestamp = str(int(time.time()))
    return {
        "content-type": CONTENT_TYPE,
        "user-agent": f"Bandung-Webhooks/{__version__}",
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(sign(secret, message_id, timestamp, body) for secret in secrets),
    }


def sign(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """`v1,<base64 of HMAC-SHA256 over id.timestamp.body>`."""
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.digest(secret_bytes(secret), signed, hashlib.sha256)).decode()


def _ms(begun: float) -> int:
    return round((time.perf_counter() - begun) * 1000)
