"""Every setting, from the settings classes."""

from __future__ import annotations

import importlib
from textwrap import wrap
from typing import TYPE_CHECKING

from pydantic import SecretStr

from services import SERVICES
from services.guides.markdown import table
from services.up import UpSettings
from shared.ops.settings import ServiceSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo
    from pydantic_settings import BaseSettings

COMMON, UP = "common", "up"
ENVIRONMENT_WIDTH = 118


def settings(whose: str) -> str:
    """A table: of one service's own settings, of the `common` ones, or of `up`."""
    rows = [(f"`{name}`", _default(field), field.description or "") for name, field in fields_of(whose)]
    return table(("Variable", "Default", "Meaning"), *rows) if rows else "None of its own."


def environment() -> str:
    """Every setting as a commented line of an environment file."""
    lines = []
    for whose in (COMMON, *SERVICES):
        fields = list(fields_of(whose))
        lines += ["", f"# --- {'all services' if whose == COMMON else whose}"] if fields else []
        for name, field in fields:
            default = _plain(field)
            lines += [f"# {line}" for line in wrap(field.description or "", ENVIRONMENT_WIDTH)]
            lines += [f"#{name}={default}"]
    return "\n".join(lines)


def fields_of(whose: str) -> Iterator[tuple[str, FieldInfo]]:
    """Variables with what is known of them."""
    if whose in (COMMON, UP):
        made: type[BaseSettings] = ServiceSettings if whose == COMMON else UpSettings
        return ((f"BANDUNG_{name.upper()}", field) for name, field in made.model_fields.items())
    own: type[ServiceSettings] = importlib.import_module(f"{SERVICES[whose]}.settings").Settings
    added = own.model_fields.keys() - ServiceSettings.model_fields.keys()
    return ((f"{whose.upper()}_{name.upper()}", f) for name, f in own.model_fields.items() if name in added)


def _default(field: FieldInfo) -> str:
    plain = _plain(field)
    return f"`{plain}`" if plain else ""


def _plain(field: FieldInfo) -> str:
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value == ():
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
