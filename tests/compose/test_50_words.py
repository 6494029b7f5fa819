"""What `make up` says when it cannot."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from tests.compose.containers import Containers

QUICK_SECONDS = 15


def test_without_docker(stack: Containers, tmp_path: Path) -> None:
    done = stack.run("up", PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("There is no `docker` here.")


def test_without_an_engine(stack: Containers, tmp_path: Path) -> None:
    done = stack.run("up", DOCKER_HOST=f"unix://{tmp_path}/docker.sock")
    assert done.returncode == 1
    assert done.stderr.startswith("The Docker engine does not answer.")


@pytest.mark.usefixtures("stack")
def test_a_port_that_is_taken_is_named_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        other = Containers(tmp_path / "state", COMPOSE_PROJECT_NAME="bandung-other", REGISTRY_PORT=str(port))
        begun = time.monotonic()
        done = other.run("up", "--no-build")
    assert done.returncode == 1
    assert f"Port {port}, wanted for registry, is taken." in done.stderr
    assert time.monotonic() - begun < QUICK_SECONDS
    assert other.compose("ps", "--all", "--quiet") == ""


def test_lost_secrets_of_an_existing_database_are_not_made_anew(stack: Containers, tmp_path: Path) -> None:
    done = stack.run("up", "--no-build", BANDUNG_STATE=str(tmp_path / "empty"))
    assert done.returncode == 1
    assert "The database volume bandung-test_postgres exists, but postgres_password" in done.stderr
    assert list((tmp_path / "empty" / "secrets").iterdir()) == []


@pytest.mark.usefixtures("stack")
def test_a_part_that_fails_is_shown_with_the_end_of_its_log(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    broken = Containers(
        tmp_path / "state", COMPOSE_PROJECT_NAME="bandung-broken", NOTIFICATIONS_WEBHOOK_ALLOW_NETS="nonsense"
    )
    request.addfinalizer(broken.down)
    done = broken.run("up", "--no-build")
    assert done.returncode == 1
    assert "migrate-notifications" in done.stderr
    assert "'nonsense' does not appear to be an IPv4 or IPv6 network" in done.stderr


def test_an_unknown_word_is_wrong_usage(stack: Containers) -> None:
    assert stack.run("sideways").returncode == 2
