"""Starts and stops docker-compose.yml for a person: `make up`, `make down`. Needs Docker and Python alone.

`up` writes the secrets that are missing, builds, starts, waits until every part is healthy, makes the first two
platform keys and prints the addresses. A second `up` changes nothing that is as it should be. Secrets and
`local.json` (addresses and keys, as `bandung up` writes it) lie in `.compose`, or in the folder BANDUNG_STATE.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SERVICES = ("registry", "matching", "projects", "notifications")
ROLES = ("operator", "verifier")
SECRETS = ("postgres_password", *(f"{service}_database_password" for service in SERVICES), "grafana_password")
HEALTHY_SECONDS = 240
POLL_SECONDS = 0.5
TAIL_LINES = 30
CRASHES_SEEN = 6  # looks at a part between two of its starts: it ends again and again
UNAUTHORIZED = 401
Row = dict[str, Any]


class Trouble(Exception):  # noqa: N818 (said to a person as it is)
    """What is wrong and what to do about it."""


def say(line: str = "") -> None:
    """One line, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def environment(state: Path) -> dict[str, str]:
    """What docker-compose.yml is told: the caller's variables, and what follows from them."""
    found = dict(os.environ) | {"BANDUNG_STATE": str(state)}
    if found.get("KAFKA_PORT"):
        found["COMPOSE_FILE"] = found.get("COMPOSE_FILE", "docker-compose.yml") + os.pathsep + "deploy/kafka-port.yml"
    if "observability" in found.get("COMPOSE_PROFILES", "").split(","):
        found.setdefault("BANDUNG_OTLP_ENDPOINT", "http://otel-collector:4318")
    if shutil.which("git") and "BANDUNG_COMMIT" not in found:
        words = ["git", "rev-parse", "--short", "HEAD"]
        revision = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        found["BANDUNG_COMMIT"] = revision.stdout.strip() or "unknown"
    return found


def open_mounted_files() -> None:
    """Lets the containers' users read what is mounted from `deploy`, also in a checkout private to its owner."""
    for name in ("postgres", "prometheus", "grafana", "otel"):
        for path in (ROOT / "deploy" / name, *(ROOT / "deploy" / name).rglob("*")):
            mode = path.stat().st_mode
            if (wanted := mode | (0o555 if path.is_dir() else 0o444)) != mode:
                path.chmod(wanted)


@dataclass
class Stack:
    """One stack: the compose project, and the folder with its secrets."""

    state: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.env = environment(self.state)

    @property
    def local_json(self) -> Path:
        """Addresses and first credentials."""
        return self.state / "local.json"

    # docker

    def compose(self, *words: str, shown: bool = False) -> str:
        """Runs `docker compose ...`; shown to the person, or read. Raises Trouble with what it complained about."""
        done = subprocess.run(
            ["docker", "compose", *words],
            cwd=ROOT,
            env=self.env,
            text=True,
            stdout=None if shown else subprocess.PIPE,
            stderr=None if shown else subprocess.PIPE,
            check=False,
        )
        if done.returncode:
            raise Trouble((done.stderr or f"`docker compose {words[0]}` failed.").strip())
        return done.stdout or ""

    def require_docker(self) -> None:
        """Raises Trouble when there is no engine to talk to."""
        if shutil.which("docker") is None:
            raise Trouble("There is no `docker` here. Install Docker Engine with Compose v2, or use `make run`.")
        for words, trouble in (
            (["docker", "compose", "version"], "`docker compose` is missing: install the Compose v2 plugin."),
            (["docker", "info"], "The Docker engine does not answer. Is it running, and may you use it?"),
        ):
            done = subprocess.run(words, env=self.env, capture_output=True, text=True, check=False)
            if done.returncode:
                raise Trouble(f"{trouble}\n{done.stderr.strip()}")

    def containers(self) -> list[Row]:
        """What `docker compose ps --all` knows; newer versions print one object a line, older ones a list."""
        text = self.compose("ps", "--all", "--format", "json").strip()
        if text.startswith("["):
            return list(json.loads(text))
        return [json.loads(line) for line in text.splitlines()]

    def configuration(self) -> Row:
        """The compose file with every variable filled in."""
        return dict(json.loads(self.compose("config", "--format", "json")))

    # secrets

    def write_secrets(self, project: str) -> None:
        """Makes the missing ones. The folder lets nobody in; the files are readable, as containers' users differ."""
        folder = self.state / "secrets"
        folder.mkdir(parents=True, exist_ok=True)
        for private in (self.state, folder):
            private.chmod(0o700)
        missing = [name for name in SECRETS if not (folder / name).exists()]
        if set(missing) - {"grafana_password"} and self._volume_exists(f"{project}_postgres"):
            raise Trouble(
                f"The database volume {project}_postgres exists, but {', '.join(missing)} in {folder} does not. "
                "Put the secrets back, or remove the data with `make down VOLUMES=1`."
            )
        for name in missing:
            (folder / name).write_text(secrets.token_urlsafe(32))
            (folder / name).chmod(0o444)

    def _volume_exists(self, name: str) -> bool:
        words = ["docker", "volume", "inspect", name]
        return subprocess.run(words, env=self.env, capture_output=True, check=False).returncode == 0

    # start

    def up(self, *, build: bool) -> None:
        """Everything from nothing to a printed sign-in."""
        begun = time.monotonic()
        self.require_docker()
        (self.state / "secrets").mkdir(parents=True, exist_ok=True)
        configuration = self.configuration()
        self.write_secrets(configuration["name"])
        open_mounted_files()
        self.require_free_ports(configuration["services"])
        if build:
            say("Building the images ...")
            self.compose("build", *SERVICES, shown=True)
        started = time.monotonic()
        self.start()
        self.wait_healthy(set(configuration["services"]), started)
        say(
            f"All parts are healthy after {time.monotonic() - started:.1f} s ({time.monotonic() - begun:.1f} s in all)."
        )
        self.write_local(configuration)
        self.say_where(configuration["services"])

    def require_free_ports(self, services: Row) -> None:
        """Raises Trouble when a port that this stack would publish is somebody else's."""
        ours = {int(each["PublishedPort"]) for row in self.containers() for each in row.get("Publishers") or ()}
        for name, service in services.items():
            for port in (int(each["published"]) for each in service.get("ports", ())):
                if port not in ours and not _is_free(port):
                    hint = f"{name.upper()}_PORT={port + 1000}"
                    raise Trouble(f"Port {port}, wanted for {name}, is taken. Free it, or move: make up {hint}")

    def start(self) -> None:
        """`docker compose up`; a one-shot or a part that fails is shown with the end of its log."""
        try:
            self.compose("up", "--detach", "--no-build", "--remove-orphans", shown=True)
        except Trouble as trouble:
            failed = [row for row in self.containers() if row["State"] == "exited" and row["ExitCode"]]
            failed = failed or [row for row in self.containers() if _is_unhealthy(row)]
            raise self.with_logs(str(trouble), [row["Service"] for row in failed]) from trouble

    def wait_healthy(self, wanted: set[str], started: float) -> None:
        """Says when each part is healthy; raises Trouble when one is not in time."""
        waiting, crashes = set(wanted), Counter[str]()
        while waiting:
            rows = self.containers()
            crashes.update(row["Service"] for row in rows if row["State"] == "restarting")
            for row in rows:
                if row["Service"] in waiting and _is_well(row):
                    waiting.discard(row["Service"])
                    if row["State"] == "running":
                        say(f"  {row['Service']:<16} healthy after {time.monotonic() - started:5.1f} s")
            late = time.monotonic() - started > HEALTHY_SECONDS
            sick = {row["Service"] for row in rows if _is_unhealthy(row)} & waiting
            sick |= {service for service, seen in crashes.items() if seen >= CRASHES_SEEN}
            if waiting and (late or sick):
                raise self.with_logs("Not healthy: " + ", ".join(sorted(sick or waiting)), sorted(sick or waiting))
            time.sleep(POLL_SECONDS if waiting else 0)

    def with_logs(self, words: str, services: list[str]) -> Trouble:
        """The trouble and the last lines of those that have it."""
        tails = [self.compose("logs", "--no-color", "--tail", str(TAIL_LINES), service) for service in services]
        return Trouble("\n".join([words, *tails, "`docker compose logs SERVICE` shows more."]))

    # sign-in

    def write_local(self, configuration: Row) -> None:
        """`local.json` with the first platform keys: kept while they work, made once otherwise."""
        services = configuration["services"]
        endpoints = {name: f"http://127.0.0.1:{services[name]['ports'][0]['published']}" for name in SERVICES}
        known = json.loads(self.local_json.read_text())["keys"] if self.local_json.exists() else []
        kept = {key["name"]: key for key in known if _signs_in(endpoints["registry"], key)}
        kafka = list(services["kafka"].get("ports", ()))
        document = {
            "instance": services["registry"]["environment"]["BANDUNG_INSTANCE"],
            "endpoints": endpoints,
            "kafka": f"127.0.0.1:{kafka[0]['published']}" if kafka else "kafka:9092",
            "keys": [kept.get(role) or self.make_key(role) for role in ROLES],
        }
        temporary = self.local_json.with_suffix(".tmp")
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps(document, indent=2))
        temporary.replace(self.local_json)

    def make_key(self, role: str) -> Row:
        """A new platform key; registry shows its secret this once."""
        answer = self.compose("exec", "-T", "registry", "bandung", "keys", "create", "--role", role, "--json")
        [made] = json.loads(answer.strip().splitlines()[-1])
        return {"name": role, "client_id": made["client_id"], "client_secret": made["client_secret"], "roles": [role]}

    def say_where(self, services: Row) -> None:
        """Addresses, and the first operator's sign-in."""
        document = json.loads(self.local_json.read_text())
        say()
        for name, url in document["endpoints"].items():
            say(f"  {name:<14} {url}/docs")
        say(f"  {'kafka':<14} {document['kafka']}")
        for name in ("prometheus", "grafana", "mailpit"):
            for each in services.get(name, {}).get("ports", ()):
                hint = "   admin, password in secrets/grafana_password" if name == "grafana" else ""
                say(f"  {name:<14} http://127.0.0.1:{each['published']}{hint}")
        for key in document["keys"]:
            say(f"  {key['name']:<14} client_id={key['client_id']} client_secret={key['client_secret']}")
        say(f"\nThe same stands in {self.local_json}. `make down` stops everything and keeps the data.")

    # stop

    def down(self, *, volumes: bool) -> None:
        """Stops and removes the containers; with `volumes` the data too, and the keys that went with it."""
        self.require_docker()
        everything = ("--profile", "*")
        self.compose(*everything, "down", "--remove-orphans", *(["--volumes"] if volumes else []), shown=True)
        if volumes:
            self.local_json.unlink(missing_ok=True)


def _is_well(row: Row) -> bool:
    """Healthy, or running without a health check, or a one-shot that did its work."""
    if row["State"] == "exited":
        return bool(row["ExitCode"] == 0)
    return row["State"] == "running" and row["Health"] in ("healthy", "")


def _is_unhealthy(row: Row) -> bool:
    return bool(row["State"] != "exited" and row["Health"] == "unhealthy")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _signs_in(registry: str, key: Row) -> bool:
    """Whether registry knows this key: a removed volume takes its keys with it."""
    basic = base64.b64encode(f"{key['client_id']}:{key['client_secret']}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310 (http, an address of our own)
        f"{registry}/token", b"grant_type=client_credentials", {"Authorization": f"Basic {basic}"}
    )
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10):
            return True
    except urllib.error.HTTPError as error:
        if error.code == UNAUTHORIZED:
            return False
        raise Trouble(f"registry answers {error.code} to a sign-in: {error.read()[:300]!r}") from error
    except urllib.error.URLError as error:
        raise Trouble(f"registry does not answer a sign-in at {registry}: {error.reason}") from error


def main(words: list[str]) -> int:
    """0 done, 1 trouble (said on standard error), 2 wrong usage."""
    parser = argparse.ArgumentParser(
        prog="deploy/stack.py", description="Start and stop the stack of docker-compose.yml."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="build, start, wait, print addresses and the first sign-in")
    up.add_argument("--no-build", action="store_true", help="take the images as they are")
    down = commands.add_parser("down", help="stop and remove the containers")
    down.add_argument("--volumes", action="store_true", help="remove the data too")
    asked = parser.parse_args(words)
    stack = Stack(Path(os.environ.get("BANDUNG_STATE") or ROOT / ".compose").resolve())
    try:
        if asked.command == "up":
            stack.up(build=not asked.no_build)
        else:
            stack.down(volumes=asked.volumes)
    except Trouble as trouble:
        sys.stderr.write(f"{trouble}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
