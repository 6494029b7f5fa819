"""The lock files hold what `pyproject.toml` asks for: of each the version that all agree on."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.system import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
SERVICE: list[str] = PROJECT["project"]["dependencies"]
LOCAL = SERVICE + PROJECT["project"]["optional-dependencies"]["local"]
ASKED = {
    "requirements-service.lock": SERVICE,
    "requirements.lock": LOCAL,
    "requirements-dev.lock": LOCAL + PROJECT["dependency-groups"]["dev"],
}


def locked(file: str) -> dict[str, set[str]]:
    """Versions by name; there are several where Python versions need different ones."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)(?:\[\S+\])?==(\S+)", (ROOT / file).read_text(), re.MULTILINE):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


@pytest.mark.parametrize("file", ASKED)
def test_whatever_is_asked_for_is_locked_within_its_bounds(file: str) -> None:
    versions = locked(file)
    for wanted in map(Requirement, ASKED[file]):
        found = versions.get(canonicalize_name(wanted.name), set())
        assert found, f"{wanted.name} is not in {file}: make lock"
        assert all(wanted.specifier.contains(version, prereleases=True) for version in found), (wanted, found)


@pytest.mark.parametrize("file", ["requirements-service.lock", "requirements-dev.lock"])
def test_the_images_and_the_tests_have_the_versions_of_the_installation(file: str) -> None:
    installation = locked("requirements.lock")
    other = {name: found for name, found in locked(file).items() if name in installation}
    assert other == {name: installation[name] for name in other}
    assert len(other) > 20
