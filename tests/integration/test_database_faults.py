"""What an operator reads when a service cannot have its database: one line that names what to change."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import asyncpg
import pytest
from pydantic import SecretStr

from services import SERVICES
from services.up import migrate_all
from shared.data import migrate
from shared.local.errors import LocalPartError
from tests.support.stack import running_service
from tests.support.system import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from shared.service import Service
    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio

COMMANDS = [["migrate"], ["run"], ["outbox"], ["keys", "create", "--role", "operator"]]
NEWER = "the database is newer than this code (it is at revision 9999, unknown here)"


async def refused(home: Path, *words: str, **env: str) -> str:
    """The one line that registry's own command says before it ends with code 1."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BANDUNG_", "REGISTRY_"))}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "services.registry", *words],
        cwd=ROOT,
        env=kept | {"BANDUNG_HOME": str(home), "BANDUNG_PORT": "0"} | env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    [line] = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
async def test_a_missing_address_is_named(tmp_path: Path, words: list[str]) -> None:
    line = await refused(tmp_path, *words)
    assert line.startswith("REGISTRY_DATABASE_URL is not set. It looks like postgresql+asyncpg://")


@pytest.mark.parametrize("url", ["nonsense", "postgresql://a:hidden@b/c", "postgresql+asyncpg://a:hidden@b:port/c"])
async def test_an_address_of_another_kind_is_named_and_not_shown(tmp_path: Path, url: str) -> None:
    line = await refused(tmp_path, "migrate", REGISTRY_DATABASE_URL=url)
    assert line.startswith("REGISTRY_DATABASE_URL is not the address of a database.")
    assert "hidden" not in line


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
async def test_a_wrong_password_is_one_line_with_the_setting(parts: Parts, tmp_path: Path, words: list[str]) -> None:
    url = re.sub(r":[^:@/]+@", ":wrong@", parts.url("postgres"))
    line = await refused(tmp_path, *words, REGISTRY_DATABASE_URL=url)
    assert line.startswith("The database does not let registry in: password authentication failed for user")
    assert "REGISTRY_DATABASE_PASSWORD" in line


async def test_a_database_that_is_not_there_is_one_line(parts: Parts, tmp_path: Path) -> None:
    line = await refused(tmp_path, "migrate", REGISTRY_DATABASE_URL=parts.url("nowhere"))
    assert line.startswith('The database does not let registry in: database "nowhere" does not exist.')


async def newer(parts: Parts, name: str) -> Service:
    """A service whose database newer code has migrated."""
    url = await parts.new_database(name)
    settings = import_module(f"{SERVICES[name]}.settings").Settings(database_url=SecretStr(url))
    service: Service = import_module(f"{SERVICES[name]}.app").build(settings)
    await migrate.upgrade(url, service.migrations)
    await set_revision(url)
    return service


async def set_revision(url: str) -> None:
    """As a later version leaves it."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    await connection.execute("update alembic_version set version_num = '9999'")
    await connection.close()


async def test_migrate_says_that_the_database_is_newer(parts: Parts, tmp_path: Path) -> None:
    url = (await newer(parts, "registry")).settings.database_url.get_secret_value()
    line = await refused(tmp_path, "migrate", REGISTRY_DATABASE_URL=url)
    assert line.startswith(f"registry: {NEWER}. Run the newer code, or restore the backup")


async def test_the_embedded_start_says_that_a_database_is_newer(parts: Parts) -> None:
    with pytest.raises(LocalPartError, match=re.escape(f"projects: {NEWER}")):
        await migrate_all([await newer(parts, "projects")])


async def test_readiness_says_that_the_database_is_newer(parts: Parts) -> None:
    url = await parts.new_database("projects")
    async with running_service(parts, "projects", database_url=url) as running:
        await set_revision(url)
        answer = await running.client.get("/readyz")
    said = answer.json()["checks"]["migrations"]["detail"]
    assert (answer.status_code, said) == (
        503,
        "database is at 9999, newer than this code: run the newer code, or restore the backup",
    )
