"""Optimistic concurrency: `ETag: "<version>"` and `If-Match`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header

from shared.web.problems import refuse

_TAGS = re.compile(r'^"(\d{1,18})"(?:\s*,\s*"(\d{1,18})")*$')


@dataclass(frozen=True, slots=True)
class Precondition:
    """What the caller knows of the resource; checked once the row is locked."""

    versions: frozenset[int] | None
    sent: bool

    def check(self, version: int) -> None:
        """Raises `precondition_required` or `version_mismatch`."""
        if not self.sent:
            raise refuse(
                "precondition_required", "Send If-Match with the ETag you read, or If-Match: * for any version."
            )
        if self.versions is not None and version not in self.versions:
            raise refuse(
                "version_mismatch",
                f"The resource is at version {version}; read it again, then decide.",
                headers={"ETag": etag(version)},
            )


ANY_VERSION = Precondition(None, sent=True)


def etag(version: int) -> str:
    """The strong entity tag of a version."""
    return f'"{version}"'


def parse_if_match(value: str | None) -> Precondition:
    """Raises `invalid_header` for weak or malformed tags."""
    if value is None:
        return Precondition(None, sent=False)
    if value.strip() == "*":
        return ANY_VERSION
    if not _TAGS.match(value.strip()):
        raise refuse("invalid_header", 'If-Match must be a strong ETag such as "3", or *.')
    return Precondition(frozenset(int(tag) for tag in re.findall(r"\d+", value)), sent=True)


async def _if_match(
    if_match: Annotated[str | None, Header(description='The ETag you read, e.g. `"3"`, or `*`')] = None,
) -> Precondition:
    return parse_if_match(if_match)


IfMatch = Annotated[Precondition, Depends(_if_match)]
