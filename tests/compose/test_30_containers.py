"""What a running container may do, and what it shows of its secrets."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.system import ROOT, SERVICES
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.compose.containers import Containers

MIGRATIONS = tuple(f"migrate-{service}" for service in SERVICES)
INSIDE = """
import json, os
status = dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
def refused(path):
    try:
        open(path, "w").close()
    except OSError as error:
        return error.strerror
print(json.dumps({
    "ids": [os.getuid(), os.getgid(), os.getgroups()],
    "capabilities": [status[name] for name in ("CapEff", "CapPrm", "CapInh", "CapBnd")],
    "no_new_privileges": status["NoNewPrivs"],
    "root": refused("/app/x"), "tmp": refused("/tmp/x"), "home": refused("/var/lib/bandung/x"),
}))
"""
FOREIGN_DATABASE = """
import asyncio, asyncpg, pathlib, sys
own, other = sys.argv[1:]
password = pathlib.Path(f"/run/secrets/{own}_database_password").read_text()
async def connect(database):
    await (await asyncpg.connect(host="postgres", user=own, password=password, database=database)).close()
asyncio.run(connect(own))
try:
    asyncio.run(connect(other))
except asyncpg.InsufficientPrivilegeError as error:
    print("refused:", error)
"""


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_is_held_as_the_file_says(stack: Containers, service: str) -> None:
    document = stack.inspect(service)
    host = document["HostConfig"]
    assert document["Config"]["User"] == "10001:10001"
    assert host["ReadonlyRootfs"] is True
    assert host["Privileged"] is False
    assert (host["CapDrop"], host["CapAdd"]) == (["ALL"], None)
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Memory"] == (768 if service == "matching" else 384) * 1024**2
    assert host["PidsLimit"] == 128
    assert host["Init"] is True
    assert list(host["Tmpfs"]) == ["/tmp"]  # noqa: S108 (a folder of the container)
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}
    assert document["State"]["Health"]["Status"] == "healthy"


@pytest.mark.parametrize("service", SERVICES)
def test_a_process_inside_can_change_nothing_but_its_own_folder(stack: Containers, service: str) -> None:
    said = json.loads(stack.compose("exec", "-T", service, "python", "-c", INSIDE))
    assert said["ids"][:2] == [10001, 10001]
    assert set(said["ids"][2]) <= {10001}
    assert {int(mask, 16) for mask in said["capabilities"]} == {0}
    assert said["no_new_privileges"] == "1"
    assert (said["root"], said["tmp"], said["home"]) == ("Read-only file system", None, None)


def test_ports_are_open_on_loopback_only(stack: Containers) -> None:
    for service in (*SERVICES, "kafka", "postgres"):
        bound = [each for found in stack.inspect(service)["NetworkSettings"]["Ports"].values() for each in found or ()]
        assert {each["HostIp"] for each in bound} == ({"127.0.0.1"} if service != "postgres" else set()), service


def test_postgres_is_on_the_network_without_a_way_out(stack: Containers) -> None:
    [network] = stack.inspect("postgres")["NetworkSettings"]["Networks"]
    assert json.loads(stack.docker("network", "inspect", network))[0]["Internal"] is True


@pytest.mark.parametrize(("service", "other"), list(zip(SERVICES, (*SERVICES[1:], SERVICES[0]), strict=True)))
def test_a_service_may_connect_to_no_other_database(stack: Containers, service: str, other: str) -> None:
    said = stack.compose("exec", "-T", service, "python", "-c", FOREIGN_DATABASE, service, other)
    assert said.startswith("refused: permission denied for database"), said


@pytest.mark.parametrize("service", SERVICES)
def test_metrics_are_not_on_the_published_port(stack: Containers, service: str) -> None:
    answer = httpx.get(f"{stack.local['endpoints'][service]}/metrics", trust_env=False)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("once", [*MIGRATIONS, "topics"])
def test_one_shots_have_done_their_work(stack: Containers, once: str) -> None:
    state = stack.inspect(once)["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 0)


def test_no_secret_stands_in_an_environment_a_label_or_a_log(stack: Containers) -> None:
    names = stack.compose("ps", "--all", "--quiet").split()
    assert len(names) == len(SERVICES) + len(MIGRATIONS) + 3
    stack.holds_no_secret(stack.docker("inspect", *names))
    logs = stack.logs()
    assert len(logs.splitlines()) > 100
    stack.holds_no_secret(logs)


def test_secrets_are_for_the_operator_alone(stack: Containers) -> None:
    folder = stack.home / "secrets"
    assert (stack.home.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o700, 0o700)
    assert stack.local_file.stat().st_mode & 0o777 == 0o600
    assert {len(file.read_text()) for file in folder.iterdir()} == {43}  # 256 bits
    assert len({file.read_text() for file in folder.iterdir()}) == 6


STUCK = """
import http.server
class Stuck(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if self.path == "/livez" else 200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 8001), Stuck).serve_forever()
"""


@pytest.mark.asyncio(loop_scope="session")
async def test_the_health_check_ends_a_process_that_says_it_is_stuck(stack: Containers) -> None:
    """Docker starts nothing again that is merely unhealthy."""
    words = (
        "--init",
        "--read-only",
        "--cap-drop",
        "ALL",
        "--entrypoint",
        "python",
        "bandung-registry:test",
        "-c",
        STUCK,
    )
    name = stack.docker("run", "--detach", *words).strip()
    try:
        await eventually(lambda: probed(stack, name))
        assert stack.docker("inspect", "-f", "{{.State.ExitCode}}", name).strip() == "143"
    finally:
        stack.docker("rm", "--force", name)


def probed(stack: Containers, name: str) -> bool:
    """Runs the health check; whether the process has ended."""
    words = ["docker", "exec", name, "python", "-I", "-S", "/app/probe.py", "8001"]
    subprocess.run(words, env=stack.env, capture_output=True, check=False)
    return stack.docker("inspect", "-f", "{{.State.Status}}", name).strip() == "exited"


@pytest.mark.parametrize("service", SERVICES)
def test_the_health_check_fails_where_nobody_listens(stack: Containers, service: str) -> None:
    words = ["docker", "compose", "exec", "-T", service, "python", "-I", "-S", "/app/probe.py", "8009"]
    assert subprocess.run(words, cwd=ROOT, env=stack.env, capture_output=True, check=False).returncode == 1
