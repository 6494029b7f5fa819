"""Traces when nobody takes them."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from tests.support.stack import free_port

# a process of its own: the exporter's thread goes on trying beside the tests that follow
ENDING = """
import asyncio
from shared.ops.settings import ServiceSettings
from shared.ops.telemetry import shut_down, tracer_provider
provider = tracer_provider(ServiceSettings())
with provider.get_tracer("test").start_as_current_span("work") as span:
    print("recording", span.is_recording(), flush=True)
asyncio.run(shut_down(provider))
print("ended", flush=True)
"""


def test_an_absent_collector_does_not_hold_up_the_end() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ENDING],
        env=os.environ | {"BANDUNG_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "recording True\n"  # or there would be nothing to send
        begun = time.monotonic()
        assert process.stdout.readline() == "ended\n"
        assert process.wait() == 0
        assert time.monotonic() - begun < 3
