"""Who gets and who gives: proposals by special-situation group of the need's country, and how providers share them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.matching.engine.shares import GROUPS, concentration, share

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

ALL = "all"


@dataclass(frozen=True, slots=True)
class OfCountry:
    """What happened to the needs of one country."""

    country: str
    needs: int
    served: int
    proposed: int
    formalised: int


@dataclass(frozen=True, slots=True)
class OfGroup:
    """The same of a group of countries; shares are of the figures of all countries, 0 where there are none."""

    group: str
    countries: int
    needs: int
    served: int
    proposed: int
    formalised: int
    proposed_share: float
    formalised_share: float


@dataclass(frozen=True, slots=True)
class Spread:
    """How many providers share the proposals: the part of the one with most, and of the tenth of them with most."""

    providers: int
    countries: int
    largest_share: float
    tenth_share: float


def by_group(rows: Sequence[OfCountry], groups: Callable[[str], Collection[str]]) -> list[OfGroup]:
    """All countries first, then each group; `groups` says in which ones a country is."""
    members = {ALL: list(rows)} | {group: [row for row in rows if group in groups(row.country)] for group in GROUPS}
    proposed, formalised = sum(row.proposed for row in rows), sum(row.formalised for row in rows)
    return [_sum(group, some, proposed, formalised) for group, some in members.items()]


def _sum(group: str, rows: Sequence[OfCountry], all_proposed: int, all_formalised: int) -> OfGroup:
    proposed, formalised = sum(row.proposed for row in rows), sum(row.formalised for row in rows)
    return OfGroup(
        group=group,
        countries=len(rows),
        needs=sum(row.needs for row in rows),
        served=sum(row.served for row in rows),
        proposed=proposed,
        formalised=formalised,
        proposed_share=share(proposed, all_proposed),
        formalised_share=share(formalised, all_formalised),
    )


def spread(proposals: Sequence[int], countries: int) -> Spread:
    """From each provider's number of proposals, most first, and the number of their countries."""
    largest, tenth = concentration(proposals)
    return Spread(len(proposals), countries, largest, tenth)
