"""`bandung contracts` on a copy of the project whose code was changed, as a developer meets it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.contracting.files import FOLDER

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the code and its committed contracts."""
    for name in ("services", "shared"):
        # bytecode that another process is just writing has such a name, and is gone a moment later
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.pyc.*"))
    return tmp_path


def contracts(project: Path, *words: str, code: int = 0) -> tuple[list[dict[str, Any]], str]:
    """The rows that it prints, and what it says."""
    command = [sys.executable, "-m", "services", "contracts", *words, "--json"]
    ended = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return json.loads(ended.stdout), ended.stderr


def edit(project: Path, file: str, old: str, new: str) -> None:
    path = project / file
    whole = path.read_text()
    assert old in whole
    path.write_text(whole.replace(old, new))


def test_stale_contracts_fail_with_the_names_of_the_files_and_the_way_out(project: Path) -> None:
    (project / "shared/contracts/schemas/NeedPosted.v1.json").unlink()
    (project / "shared/contracts/asyncapi/more.json").write_text("{}")
    edit(project, "shared/events/registry.py", '"""Its deadline passed."""', '"""Its day has come."""')
    rows, said = contracts(project, "check", code=1)
    assert {(row["file"], row["what"]) for row in rows} >= {
        ("schemas/NeedPosted.v1.json", "missing"),
        ("asyncapi/more.json", "superfluous"),
        ("schemas/NeedExpired.v1.json", "stale"),
    }
    assert "make contracts" in said
    contracts(project, "write")
    assert contracts(project, "check") == ([], "")


def test_an_optional_member_is_clean_and_gets_samples(project: Path) -> None:
    edit(
        project,
        "shared/events/registry.py",
        "    partners_wanted: int\n",
        "    partners_wanted: int\n    shade: str | None = None\n",
    )
    written, _ = contracts(project, "write")
    assert "samples/NeedPosted.v1/003.json" in {row["file"] for row in written}
    assert contracts(project, "check") == ([], "")
    kept = project / "shared/contracts/samples/NeedPosted.v1/001.json"
    assert kept.read_bytes() == (FOLDER / "samples/NeedPosted.v1/001.json").read_bytes()


def test_a_breaking_change_is_refused_until_somebody_stands_for_it(project: Path) -> None:
    edit(project, "shared/events/registry.py", "    partners_wanted: int\n", "    partners_wanted: str\n")
    edit(project, "services/registry/api/needs.py", '"/needs/{need_id}/withdraw"', '"/needs/{need_id}/take-back"')
    contracts(project, "write")
    wanted = {
        ("schemas/NeedPosted.v1.json", "retyped", "/components/schemas/NeedState/properties/partners_wanted"),
        ("openapi/registry.json", "operation_removed", "/paths/~1needs~1{need_id}~1withdraw/post"),
    }
    for command in ("check", "release"):
        rows, _ = contracts(project, command, code=1)
        assert wanted <= {(row["file"], row["what"], row["where"]) for row in rows}
    _, said = contracts(project, "release", "--accept-breaks", code=1)
    assert "higher version" in said
    edit(project, "shared/__init__.py", '__version__ = "', '__version__ = "1')
    contracts(project, "write")
    contracts(project, "release", "--accept-breaks")
    assert contracts(project, "check") == ([], "")


def test_without_a_released_set_nothing_is_called_clean(project: Path) -> None:
    (project / "shared/contracts/released.json").unlink()
    command = [sys.executable, "-m", "services", "contracts", "check"]
    ended = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 1
    assert "There is no released set" in ended.stderr
