"""What a route and all that it depends on ask for."""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.dependencies.models import Dependant


def query_names(dependant: Dependant) -> Iterator[str]:
    """The query parameters of a route and of all that it depends on."""
    yield from (param.alias for param in dependant.query_params)
    for inner in dependant.dependencies:
        yield from query_names(inner)


def refuse_threads(path: str, dependant: Dependant) -> None:
    """Raises TypeError for a dependency that is no coroutine function.

    FastAPI runs it in a thread: that takes longer than all that ours do, and a process waits for its threads for ever.
    """
    for inner in dependant.dependencies:
        if not iscoroutinefunction(inner.call):
            msg = f"{path} depends on {inner.call}, which must be `async def`"
            raise TypeError(msg)
        refuse_threads(path, inner)
