"""One stack for all tests of this folder, started as an operator starts it and removed at the end."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.compose.containers import Containers

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

HERE = Path(__file__).parent
RUNNING: list[Containers] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs an engine, and runs by `make test-compose` only."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.compose)


def require_engine() -> None:
    """Ends the run, red, when there is no Docker engine: a stack that was not started shows nothing."""
    try:
        done = subprocess.run(["docker", "version"], capture_output=True, text=True, check=False)
        words = done.stderr.strip() if done.returncode else ""
    except OSError as error:
        words = str(error)
    if words:
        pytest.exit(f"No Docker engine, so the containers were NOT tested: {words}", returncode=1)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    """The running stack."""
    require_engine()
    stack = Containers(tmp_path_factory.mktemp("compose") / "state")
    stack.down()  # what a run that was broken off has left
    stack.compose("build", "registry", "matching", "projects", "notifications")
    begun = time.monotonic()
    try:
        said = stack.up("--no-build")
        RUNNING.append(stack)
        print(f"\nhealthy {time.monotonic() - begun:.1f} s after `up`\n{_healthy_lines(said)}")
        yield stack
    finally:
        stack.down()


def _healthy_lines(said: str) -> str:
    return "\n".join(line for line in said.splitlines() if "healthy after" in line)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Shows the end of every container's log with a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.failed and item.path.is_relative_to(HERE):
        report.sections += [("logs of the containers", stack.logs("--tail", "40")) for stack in RUNNING]
