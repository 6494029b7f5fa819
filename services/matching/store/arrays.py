"""Array operators of PostgreSQL that the type stubs of the ORM do not know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement


def overlaps(column: Any, values: Iterable[Any]) -> ColumnElement[bool]:  # noqa: ANN401 (an array column)
    """Whether the array holds at least one of the values."""
    found: ColumnElement[bool] = column.overlap(list(values))
    return found
