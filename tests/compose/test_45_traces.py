"""Spans reach whatever answers at the collector's name; until now nobody did, and nothing was the worse for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.compose.containers import PROJECT
from tests.e2e.story import STEPS, Story
from tests.support.system import SERVICES
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.compose.containers import Containers

pytestmark = pytest.mark.asyncio(loop_scope="session")

COLLECTOR = """
import http.server
class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        # the resource says who sends: attribute "service.name", then the length and the text of its value
        names = [name for name in ("registry", "matching", "projects", "notifications")
                 if b"service.name\\x12" + bytes([len(name) + 2]) + b"\\n" + bytes([len(name)]) + name.encode() in body]
        print("spans", self.path, *names, flush=True)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *words):
        pass
http.server.HTTPServer(("", 4318), Collector).serve_forever()
"""


async def test_every_service_sends_its_spans(stack: Containers) -> None:
    where = ("--network", f"{PROJECT}_inner", "--network-alias", "otel-collector")
    image = ("--init", "--entrypoint", "python", "bandung-registry:test", "-c", COLLECTOR)
    name = stack.docker("run", "--detach", *where, *image).strip()
    try:
        await Story(stack).play(*STEPS[:4])
        told = await eventually(lambda: all_told(stack, name))
    finally:
        stack.docker("rm", "--force", name)
    assert "/v1/traces" in told


def all_told(stack: Containers, name: str) -> str:
    """What the collector printed, once every service has sent something of its own."""
    lines = stack.docker("logs", name)
    for service in SERVICES:
        assert any(service in line.split()[2:] for line in lines.splitlines()), service
    return lines
