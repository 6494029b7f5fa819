"""`.ci/run` is green only when everything was tested, or when somebody says that the containers were not."""

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
    (tmp_path / ".ci").mkdir()
    shutil.copy(RUN, tmp_path / ".ci" / "run")
    program(tmp_path, "make", NOTES_ITS_WORDS)
    for name in ("bash", "dirname"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    return tmp_path


def program(checkout: Path, name: str, text: str) -> None:
    """Puts a program where the script finds it."""
    file = checkout / "bin" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)


def run(checkout: Path, **env: str) -> tuple[int, list[str], str]:
    """Exit code, what was made, and what was said."""
    path = {"PATH": str(checkout / "bin")}
    kept = {name: value for name, value in os.environ.items() if name != "WITHOUT_CONTAINERS"}
    done = subprocess.run(
        [checkout / ".ci" / "run"], env=kept | path | env, capture_output=True, text=True, check=False
    )
    return done.returncode, (checkout / "made").read_text().splitlines(), done.stderr


def test_without_an_engine_it_is_red(checkout: Path) -> None:
    code, made, said = run(checkout)
    assert (code, made) == (1, ["lint", "test"])
    assert said.startswith("NOT TESTED: the containers.")


def test_containers_are_left_out_when_somebody_says_so(checkout: Path) -> None:
    code, made, said = run(checkout, WITHOUT_CONTAINERS="1")
    assert (code, made) == (0, ["lint", "test"])
    assert said.startswith("NOT TESTED: the containers")


def test_with_an_engine_the_containers_are_tested(checkout: Path) -> None:
    program(checkout, "docker", "#!/bin/sh\n")
    assert run(checkout) == (0, ["lint", "test", "test-compose"], "")


def test_it_is_red_when_the_containers_are(checkout: Path) -> None:
    program(checkout, "docker", "#!/bin/sh\n")
    program(checkout, "make", NOTES_ITS_WORDS + '[ "$1" != test-compose ]\n')
    assert run(checkout)[0] != 0
