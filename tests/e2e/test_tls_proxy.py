"""deploy/README.md, "Behind TLS": the proxy of deploy/tls, really run before the running system."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.e2e.world import World
from tests.support import guides
from tests.support.own_parts import BIN
from tests.support.system import ROOT, SERVICES, System, free_ports
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio

[COMMAND] = [block.text for block in guides.blocks("deploy/README.md") if block.name == "caddy"]


@dataclass
class Proxy:
    """Caddy as the guide starts it, for `localhost`."""

    folder: Path
    http_port: int
    https_port: int

    @property
    def authority(self) -> Path:
        """The certificate of the authority that Caddy made for itself."""
        return self.folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    def client(self) -> httpx.AsyncClient:
        """A client that trusts this authority and no other."""
        context = ssl.create_default_context(cafile=str(self.authority))
        return httpx.AsyncClient(verify=context, trust_env=False, timeout=30)

    def ask(self, client: httpx.AsyncClient, service: str, method: str, path: str, **more: Any) -> httpx.Request:
        """A request to the service's public name, which is asked for in TLS and HTTP."""
        request = client.build_request(method, f"https://127.0.0.1:{self.https_port}{path}", **more)
        request.headers["Host"] = request.extensions["sni_hostname"] = f"{service}.localhost"
        return request

    async def request(self, service: str, method: str, path: str, **more: Any) -> httpx.Response:
        """The answer through the proxy; the certificate is checked."""
        async with self.client() as client:
            return await client.send(self.ask(client, service, method, path, **more))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def proxy(system: System, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Proxy]:
    folder = tmp_path_factory.mktemp("tls")
    made = Proxy(folder, *free_ports(2))
    ports = {f"{name.upper()}_PORT": system.local["endpoints"][name].rpartition(":")[2] for name in SERVICES}
    env = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "HTTP_PORT": str(made.http_port),
        "HTTPS_PORT": str(made.https_port),
    }
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", f"exec {COMMAND}"), cwd=ROOT, env=os.environ | env | ports, stdout=log, stderr=log
        )

    async def answers() -> bool:
        assert process.returncode is None, (folder / "log").read_text()
        try:
            return all([(await made.request(name, "GET", "/livez")).status_code == 200 for name in SERVICES])
        except (httpx.TransportError, OSError):
            return False

    try:
        await eventually(answers)
        yield made
    finally:
        process.terminate()
        await process.wait()


async def test_tokens_and_requests_pass_each_by_its_own_name(system: System, proxy: Proxy) -> None:
    key = system.local["keys"][0]
    form = {"grant_type": "client_credentials", "client_id": key["client_id"], "client_secret": key["client_secret"]}
    answer = await proxy.request("registry", "POST", "/token", data=form)
    token = answer.json()["access_token"]
    for service, path in (("registry", "/needs"), ("matching", "/matches"), ("projects", "/projects")):
        found = await proxy.request(service, "GET", path, headers={"Authorization": f"Bearer {token}"})
        assert found.status_code == 200
        assert found.headers["strict-transport-security"]
    assert (await proxy.request("matching", "GET", "/matches")).status_code == 401


async def test_a_large_file_of_trade_flows_comes_through_and_a_large_body_elsewhere_does_not(
    system: System, proxy: Proxy
) -> None:
    headers = await system.operator.headers() | {"Content-Type": "text/csv"}
    file = b"reporter,partner,hs,year,value\n" + b"\n" * 2_000_000 + b"IND,ETH,41,2024,1\n"
    taken = await proxy.request("registry", "POST", "/trade-flows", content=file, headers=headers)
    assert taken.status_code == 200, taken.text
    elsewhere = await proxy.request("registry", "POST", "/needs", content=file, headers=headers)
    assert elsewhere.status_code == 413


async def test_what_operators_look_at_stays_inside(proxy: Proxy) -> None:
    for service in SERVICES:
        for path in ("/metrics", "/readyz"):
            assert (await proxy.request(service, "GET", path)).status_code == 404


async def test_plain_http_leads_to_https(proxy: Proxy) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{proxy.http_port}/needs"
        answer = await client.get(url, headers={"Host": "registry.localhost"})
    assert answer.status_code in (301, 308)
    assert answer.headers["location"].startswith("https://registry.localhost")


async def test_event_streams_come_through_as_they_happen(world: World, proxy: Proxy) -> None:
    member = await world.member()
    headers = await member.headers() | {"Accept": "text/event-stream"}
    async with proxy.client() as client:
        request = proxy.ask(client, "notifications", "GET", "/events", headers=headers)
        response = await client.send(request, stream=True)
        try:
            need = await member.need()
            async with asyncio.timeout(30):
                async for line in response.aiter_lines():
                    if line.startswith("data:") and need["id"] in line:
                        return
            pytest.fail("the stream ended without the event")
        finally:
            await response.aclose()
