"""Traces when nobody takes them."""

from __future__ import annotations

import time

import pytest

from shared.ops.settings import ServiceSettings
from shared.ops.telemetry import shut_down, tracer_provider
from tests.support.stack import free_port


@pytest.mark.asyncio
async def test_an_absent_collector_does_not_hold_up_the_end() -> None:
    provider = tracer_provider(ServiceSettings(otlp_endpoint=f"http://127.0.0.1:{free_port()}"))
    with provider.get_tracer("test").start_as_current_span("work") as span:
        assert span.is_recording()  # or there would be nothing to send
    begun = time.monotonic()
    await shut_down(provider)
    assert time.monotonic() - begun < 3
