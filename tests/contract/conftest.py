"""What the tests of contracts look at."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from services.contracts import services as all_services
from shared.contracting.files import FOLDER

if TYPE_CHECKING:
    from shared.service import Service

NAMES = ("registry", "matching", "projects", "notifications")


@cache
def committed(file: str) -> dict[str, Any]:
    """A document as it stands in the repository."""
    document: dict[str, Any] = json.loads((FOLDER / file).read_text(encoding="utf-8"))
    return document


@pytest.fixture(scope="session")
def services() -> list[Service]:
    """All services, not running."""
    return all_services()


def fits(example: Any, schema: dict[str, Any], whole: dict[str, Any]) -> list[str]:
    """Faults of an example against a schema of the document."""
    validator = Draft202012Validator(
        {**schema, "components": whole["components"]}, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(example)]
