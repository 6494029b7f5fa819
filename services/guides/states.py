"""State diagrams and rules, from the lifecycle tables of a service's domain."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

from services import SERVICES
from services.catalogue import EVENTS
from services.guides.markdown import table
from shared.lifecycle import Lifecycle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from shared.lifecycle import Step

_TOLD = {event.short_name() for event in EVENTS}


def states(name: str) -> str:
    """Each lifecycle of a service: its diagram, and who may take which step."""
    return "\n\n".join([_lifecycle(found) for found in lifecycles(name)] + list(_steps_only(name)))


def lifecycles(name: str) -> Iterator[Lifecycle[Any]]:
    """The state tables of a service, without those for changes that leave every state as it is."""
    for module in _domain(name):
        found = [member for member in vars(module).values() if isinstance(member, Lifecycle)]
        yield from (lifecycle for lifecycle in found if any(step.target for step in lifecycle.steps))


def _steps_only(name: str) -> Iterator[str]:
    """Where anybody who may change the thing may take every step, there is a diagram and no table of who."""
    for module in _domain(name):
        if hasattr(module, "mermaid"):
            noun = module.__name__.rpartition(".")[2].removesuffix("s")
            yield f"**{noun.capitalize()}**\n```mermaid\n{module.mermaid()}\n```"


def _domain(name: str) -> list[ModuleType]:
    domain = importlib.import_module(f"{SERVICES[name]}.domain")
    names = sorted(module.name for module in pkgutil.iter_modules(domain.__path__))
    return [importlib.import_module(f"{domain.__name__}.{module}") for module in names]


def _lifecycle(lifecycle: Lifecycle[Any]) -> str:
    rows = [_row(step) for step in lifecycle.steps]
    return "\n".join(
        [
            f"**{lifecycle.noun.capitalize()}**",
            f"```mermaid\n{lifecycle.mermaid()}\n```",
            table(("Step", "From", "To", "Who", "Event", "Refused when"), *rows),
        ]
    )


def _row(step: Step[Any]) -> tuple[str, ...]:
    sources, who = ", ".join(sorted(step.sources)), ", ".join(sorted(step.who))
    codes = ", ".join(f"`{guard.code}`" for guard in step.guards if guard.code != "invalid_transition")
    target = step.target or "as its parts say"
    event = step.event if step.event in _TOLD else ""  # the others are names in the audit trail
    return f"`{step.action}`", sources, target, who + (" (may sign)" if step.signs else ""), event, codes
