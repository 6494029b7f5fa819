"""Centres known from public pages, to be seeded by the registry (contract, section 17).

Source: `data/centre_seeds.csv`, chosen from the evidence in `data/centres.csv`: rows without a date
and rows that sources contradict are left to an operator (`data/README.md` lists them).
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from uuid import UUID

from shared.reference.load import rows
from shared.reference.vocabulary import CentreKind, CentreStatus

SEEDED_AT_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z in milliseconds: the time part of every seeded id."""


@dataclass(frozen=True, slots=True)
class CentreStep:
    """One status of a centre; `since` is `YYYY`, `YYYY-MM` or `YYYY-MM-DD`, as exact as the source."""

    status: CentreStatus
    since: str
    source: str
    note: str


@dataclass(frozen=True, slots=True)
class CentreSeed:
    """A centre with its dated history, oldest first, never empty."""

    id: UUID
    name: str
    kind: CentreKind
    host_country: str
    host_institution: str
    focus_isic: tuple[str, ...]
    history: tuple[CentreStep, ...]

    @property
    def current(self) -> CentreStep:
        """The latest known status."""
        return self.history[-1]


@cache
def centres() -> tuple[CentreSeed, ...]:
    """Give all seeds; the same ids on every machine."""
    by_name = groupby(rows("centre_seeds.csv"), key=lambda row: row["centre"])
    return tuple(_seed(name, list(steps)) for name, steps in by_name)


def _seed(name: str, steps: list[dict[str, str]]) -> CentreSeed:
    first = steps[0]
    return CentreSeed(
        id=seed_id(name),
        name=name,
        kind=CentreKind(first["kind"]),
        host_country=first["host_country"],
        host_institution=first["host_institution"],
        focus_isic=tuple(first["focus_isic"].split()),
        history=tuple(_step(row) for row in steps),
    )


def _step(row: dict[str, str]) -> CentreStep:
    return CentreStep(CentreStatus(row["status"]), row["since"], row["source"], row["note"])


def seed_id(name: str) -> UUID:
    """Give a UUIDv7 (RFC 9562) that depends on the name alone: fixed time, hash in place of chance."""
    chance = int.from_bytes(hashlib.sha256(name.encode()).digest()[:10], "big")
    chance_a, chance_b = chance >> 68, chance & (1 << 62) - 1
    return UUID(int=SEEDED_AT_MS << 80 | 7 << 76 | chance_a << 64 | 0b10 << 62 | chance_b)
