"""The revisions of each service as the names of its files tell them, against what Alembic reads in the files."""

import importlib
from pathlib import Path

import pytest

from services import SERVICES
from shared.data import migrate, revising

FOLDERS = [Path(str(importlib.import_module(package).__file__)).parent / "migrations" for package in SERVICES.values()]


@pytest.mark.parametrize("folder", FOLDERS, ids=list(SERVICES))
def test_names_of_files_tell_the_revisions_in_their_order(folder: Path) -> None:
    scripts = revising.scripts(folder)
    assert migrate.revisions(folder) == [each.revision for each in scripts.walk_revisions()][::-1]
    assert migrate.head(folder) == scripts.get_current_head()


def test_a_revision_that_the_code_does_not_have_is_newer(tmp_path: Path) -> None:
    versions = tmp_path / "versions"
    versions.mkdir()
    for name in ("0001_first.py", "0002_then.py", "__init__.py"):
        (versions / name).touch()
    assert migrate.head(tmp_path) == "0002"
    assert [migrate.is_newer(each, tmp_path) for each in (None, "0001", "0002", "0003")] == [False, False, False, True]
