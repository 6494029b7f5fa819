"""`.ci/run` tests the containers where there is an engine, and says so where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[2] / ".ci" / "run"
NOTES_ITS_WORDS = '#!/bin/sh\necho "$*" >>made\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with `.ci/run` alone, and programs that note that they were called."""
    root = tmp_path / "checkout"
    (root / ".ci").mkdir(parents=True)
    shutil.copy(RUN, root / ".ci" / "run")
    program(root, "make", NOTES_ITS_WORDS)
    for name in ("bash", "dirname"):
        (root / "bin" / name).symlink_to(str(shutil.which(name)))
    return root


def program(checkout: Path, name: str, text: str, folder: str = "bin") -> None:
    """Puts a program where the script finds it."""
    file = checkout / folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)


def run(checkout: Path) -> tuple[int, list[str], str]:
    """Exit code, what was made, and what was said."""
    path = {"PATH": str(checkout / "bin")}
    done = subprocess.run(
        [checkout / ".ci" / "run"], env=os.environ | path, capture_output=True, text=True, check=False
    )
    return done.returncode, (checkout / "made").read_text().splitlines(), done.stderr


def test_without_an_engine_it_says_what_was_not_tested(checkout: Path) -> None:
    code, made, said = run(checkout)
    assert (code, made) == (0, ["lint", "test"])
    assert said.startswith("NOT TESTED: the containers.")


def test_an_engine_that_does_not_start_is_said(checkout: Path) -> None:
    program(checkout.parent, "engine.sh", "#!/bin/sh\nexit 1\n", "shared/tools/containers")
    code, made, said = run(checkout)
    assert (code, made) == (0, ["lint", "test"])
    assert "does not start" in said
    assert "NOT TESTED: the containers." in said


def test_with_an_engine_the_containers_are_tested(checkout: Path) -> None:
    program(checkout, "docker", "#!/bin/sh\n")
    assert run(checkout) == (0, ["lint", "test", "test-compose"], "")


def test_it_is_red_when_the_containers_are(checkout: Path) -> None:
    program(checkout, "docker", "#!/bin/sh\n")
    program(checkout, "make", NOTES_ITS_WORDS + '[ "$1" != test-compose ]\n')
    assert run(checkout)[0] != 0
