"""Identifiers: UUID version 7 (RFC 9562), ordered by creation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uuid_utils.compat import uuid7

if TYPE_CHECKING:
    from uuid import UUID


def new_id() -> UUID:
    """A fresh UUIDv7."""
    return uuid7()
