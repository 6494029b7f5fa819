"""Array operators of PostgreSQL that the type stubs of the ORM do not know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Uuid, any_, literal
from sqlalchemy.dialects.postgresql import ARRAY

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from sqlalchemy import ColumnElement


def overlaps(column: Any, values: Iterable[Any]) -> ColumnElement[bool]:  # noqa: ANN401 (an array column)
    """Whether the array holds at least one of the values."""
    found: ColumnElement[bool] = column.overlap(list(values))
    return found


def among(column: Any, ids: Iterable[UUID]) -> ColumnElement[bool]:  # noqa: ANN401 (a column of ids)
    """Whether the id is one of these, however many they are: `in` takes a parameter each, 32,767 at most."""
    found: ColumnElement[bool] = column == any_(literal(list(ids), ARRAY(Uuid)))
    return found
