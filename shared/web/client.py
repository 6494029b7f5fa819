"""Outgoing HTTP: the one importer of httpx in the kernel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx

Fetch = Callable[[str], Awaitable[dict[str, Any]]]
TIMEOUT_SECONDS = 5.0


async def fetch_json(url: str) -> dict[str, Any]:
    """GET a small JSON document; raises OSError when the peer cannot be reached, ValueError when it is no JSON."""
    try:
        # no proxies from the environment: the address is the operator's setting
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            response = await client.get(url)
            response.raise_for_status()
            document: dict[str, Any] = response.json()
            return document
    except httpx.HTTPError as error:
        raise OSError(str(error)) from error
