"""Column shorthands for table classes, so that every service stores the same thing in the same way."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Date, DateTime, Numeric, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field


def key() -> Any:  # noqa: ANN401 (stands where SQLModel wants a Field)
    """The primary key: a UUIDv7 made by the service."""
    return Field(sa_type=Uuid, primary_key=True)


def uuid(*, null: bool = False, index: bool = False, unique: bool = False) -> Any:  # noqa: ANN401
    """A reference by id."""
    return Field(default=None, sa_type=Uuid, nullable=null, index=index, unique=unique)


def text(*, null: bool = False, index: bool = False) -> Any:  # noqa: ANN401
    """Text of any length (lengths are checked at the door)."""
    return Field(default=None, sa_type=Text, nullable=null, index=index)


def texts() -> Any:  # noqa: ANN401
    """A list of codes or words."""
    return Field(default_factory=list, sa_type=ARRAY(Text), nullable=False)


def document(*, null: bool = False) -> Any:  # noqa: ANN401
    """A nested value as JSONB; JSON null is stored as SQL NULL."""
    return Field(default=None, sa_type=JSONB(none_as_null=True), nullable=null)


def moment(*, null: bool = False, index: bool = False) -> Any:  # noqa: ANN401
    """An aware UTC time."""
    return Field(default=None, sa_type=DateTime(timezone=True), nullable=null, index=index)


def day(*, null: bool = False) -> Any:  # noqa: ANN401
    """A date."""
    return Field(default=None, sa_type=Date, nullable=null)


def number(*, null: bool = False) -> Any:  # noqa: ANN401
    """An exact decimal."""
    return Field(default=None, sa_type=Numeric, nullable=null)
