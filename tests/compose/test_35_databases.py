"""Every start makes the databases and roles that are missing, and gives the roles their passwords."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.compose.containers import Containers
from tests.support.system import ROOT, SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OWNERS = "select datname || ' ' || pg_get_userbyid(datdba) from pg_database where datname !~ '^(postgres|template)'"


@pytest.fixture
def half(stack: Containers, tmp_path: Path) -> Iterator[Containers]:
    """PostgreSQL alone, as a first start leaves it that ends after one role of four."""
    made = Containers(tmp_path / "state", COMPOSE_PROJECT_NAME=f"{stack.env['COMPOSE_PROJECT_NAME']}-half")
    shutil.copytree(stack.home / "secrets", made.home / "secrets")
    try:
        made.compose("up", "--detach", "--wait", "postgres")
        psql(made, "create role registry login")
        yield made
    finally:
        made.down()


def psql(stack: Containers, statement: str) -> str:
    """What psql prints to the superuser inside the database's container."""
    return stack.compose("exec", "-T", "postgres", "psql", "-U", "postgres", "--tuples-only", "-c", statement)


def signs_in(stack: Containers, service: str, password: str) -> bool:
    """Whether the service's role is let in over the network with this password."""
    words = ["docker", "compose", "exec", "-T", "--env", f"PGPASSWORD={password}", "postgres"]
    words += ["psql", "--no-password", "-h", "postgres", "-U", service, "-d", service, "-c", "select 1"]
    done = subprocess.run(words, cwd=ROOT, env=stack.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "password authentication failed" in done.stderr, done.stderr
    return done.returncode == 0


def test_a_start_finishes_what_an_earlier_one_began(half: Containers) -> None:
    for _ in range(2):
        half.compose("run", "--rm", "-T", "databases")
        assert {line.strip() for line in psql(half, OWNERS).splitlines() if line.strip()} == {
            f"{service} {service}" for service in SERVICES
        }
    for service in SERVICES:
        assert signs_in(half, service, (half.home / "secrets" / f"{service}_database_password").read_text())


def test_a_password_is_changed_by_changing_the_secret(half: Containers) -> None:
    half.compose("run", "--rm", "-T", "databases")
    file = half.home / "secrets" / "matching_database_password"
    old, new = file.read_text(), secrets.token_urlsafe(32)
    file.unlink()
    file.write_text(new)
    file.chmod(0o444)
    half.compose("run", "--rm", "-T", "databases")
    assert (signs_in(half, "matching", old), signs_in(half, "matching", new)) == (False, True)


def test_a_wrong_superuser_password_is_said_and_nothing_goes_on(half: Containers) -> None:
    file = half.home / "secrets" / "postgres_password"
    file.unlink()
    file.write_text("something else")
    file.chmod(0o444)
    words = ["docker", "compose", "run", "--rm", "-T", "databases"]
    done = subprocess.run(words, cwd=ROOT, env=half.env, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert 'password authentication failed for user "postgres"' in done.stderr + done.stdout


@pytest.mark.asyncio(loop_scope="session")
async def test_a_secret_that_is_missing_beside_data_is_made_and_serves(stack: Containers) -> None:
    """As after a version that has one more service."""
    file = stack.home / "secrets" / "notifications_database_password"
    before = file.read_text()
    file.unlink()
    stack.up("--no-build")
    assert file.read_text() != before
    stack.compose("restart", "notifications")
    await stack.all_ready()
