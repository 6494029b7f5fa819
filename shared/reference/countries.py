"""Countries (ISO 3166-1 alpha-3) and their dated status: LDC, LLDC, SIDS, South, income group.

A decision is judged by the list of its own day, so every question takes the day. Periods are
half-open. The end of a `scheduled` row changes nothing until an operator confirms or amends it:
the registry keeps these confirmations and passes them in as `confirmed`.
Source: `data/country_status.csv`, one source a row; names and licences in `data/README.md`.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from types import MappingProxyType

from shared.reference.load import covers, day_or_none, rows


class Group(StrEnum):
    """Groups of the United Nations that give a country special attention."""

    LDC = "ldc"
    LLDC = "lldc"
    SIDS = "sids"


Confirmations = Mapping[tuple[str, str], date | None]
"""An operator's word on scheduled ends: (country, group) to the day it leaves; None = the end is off."""

UNCONFIRMED: Confirmations = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Country:
    """A country or territory of ISO 3166-1 with its usual English short name."""

    code: str
    alpha2: str
    name: str


@dataclass(frozen=True, slots=True)
class StatusRow:
    """One dated fact: `status` is `ldc`, `lldc`, `sids`, `south` or `income:<group>`.

    `state`: `in_force`, `scheduled` (its end is planned, not confirmed) or `deferred` (in force).
    Precisions are `day`, `month`, `year`, `covered` (first day our data covers) or empty.
    """

    country: str
    status: str
    valid_from: date | None
    valid_to: date | None
    state: str
    from_precision: str
    to_precision: str
    source: str
    note: str

    @property
    def scheduled(self) -> bool:
        """Whether the end is planned only."""
        return self.state == "scheduled"

    @property
    def end_source(self) -> str:
        """The source of the end alone, such as `A/RES/76/8`; the whole source where none is named."""
        return self.source.rpartition("end: ")[2].split("; ")[0]

    def leaves_on(self, confirmed: Confirmations) -> date | None:
        """Give the day the status ends for certain, None while it is open or only scheduled."""
        return confirmed.get((self.country, self.status)) if self.scheduled else self.valid_to

    def holds(self, on: date, confirmed: Confirmations) -> bool:
        """Tell whether the status is in force on the day."""
        return covers(self.valid_from, self.leaves_on(confirmed), on)


@dataclass(frozen=True, slots=True)
class ScheduledChange:
    """A planned end of a status; until it is `confirmed` nothing changes on `leaves_on`.

    `precision` (`day`, `month`, `year`) says how exactly the source gives the day.
    """

    group: str
    leaves_on: date
    source: str
    confirmed: bool = False
    precision: str = "day"


@cache
def countries() -> Mapping[str, Country]:
    """Give all countries by alpha-3 code."""
    found = (Country(row["code"], row["alpha2"], row["name"]) for row in rows("countries.csv"))
    return MappingProxyType({country.code: country for country in found})


def country(code: str) -> Country:
    """Give one country. KeyError when the code is not in ISO 3166-1 alpha-3."""
    return countries()[code]


def is_country(code: str) -> bool:
    """Tell whether it is a code of ISO 3166-1 alpha-3, upper case."""
    return code in countries()


@cache
def _statuses() -> Mapping[str, tuple[StatusRow, ...]]:
    found: defaultdict[str, list[StatusRow]] = defaultdict(list)
    for row in rows("country_status.csv"):
        found[row["country"]].append(_status_row(row))
    return {code: tuple(its) for code, its in found.items()}


def _status_row(row: dict[str, str]) -> StatusRow:
    return StatusRow(
        country=row["country"],
        status=row["status"].lower(),
        valid_from=day_or_none(row["valid_from"]),
        valid_to=day_or_none(row["valid_to"]),
        state=row["state"],
        from_precision=row["from_precision"],
        to_precision=row["to_precision"],
        source=row["source"],
        note=row["note"],
    )


def statuses(code: str, on: date, confirmed: Confirmations = UNCONFIRMED) -> tuple[StatusRow, ...]:
    """Give every row in force for a country on the day, with sources; empty for an unknown country."""
    return tuple(row for row in _statuses().get(code, ()) if row.holds(on, confirmed))


def history(code: str) -> tuple[StatusRow, ...]:
    """Give all rows of a country, past and scheduled ones too."""
    return _statuses().get(code, ())


def groups(code: str, on: date, confirmed: Confirmations = UNCONFIRMED) -> frozenset[Group]:
    """Give the groups a country belongs to on the day; empty for an unknown country."""
    held = {row.status for row in statuses(code, on, confirmed)}
    return frozenset(group for group in Group if group in held)


def is_south(code: str, on: date) -> bool:
    """Tell whether it is a developing country (UNCTAD grouping) on the day; all others are the North."""
    return any(row.status == "south" for row in statuses(code, on))


def income_group(code: str, on: date) -> str | None:
    """Give the World Bank group: `low`, `lower_middle`, `upper_middle`, `high`.

    None when unclassified, and before 2023-07-01, where our data begins.
    """
    held = (row.status for row in statuses(code, on))
    return next((status.removeprefix("income:") for status in held if status.startswith("income:")), None)


def members_of(group: str, on: date, confirmed: Confirmations = UNCONFIRMED) -> tuple[str, ...]:
    """Give the countries in a group (`ldc`, `lldc`, `sids`, also `south`) on the day, sorted."""
    return tuple(
        sorted(
            row.country
            for its in _statuses().values()
            for row in its
            if row.status == group and row.holds(on, confirmed)
        )
    )


def scheduled(code: str, on: date, confirmed: Confirmations = UNCONFIRMED) -> list[ScheduledChange]:
    """List the planned ends of a status in force on the day.

    An unconfirmed one stays listed after its date (somebody has to decide); a confirmed one is
    listed until it has happened; one that an operator called off is not listed.
    """
    current = (row for row in statuses(code, on, confirmed) if row.scheduled)
    changes = (_change(row, confirmed) for row in current)
    return [change for change in changes if change is not None]


def _change(row: StatusRow, confirmed: Confirmations) -> ScheduledChange | None:
    decided = (row.country, row.status) in confirmed
    leaves_on = row.leaves_on(confirmed) if decided else row.valid_to
    if leaves_on is None:
        return None
    precision = "day" if decided else row.to_precision
    return ScheduledChange(row.status, leaves_on, row.end_source, decided, precision)


def scheduled_rows() -> tuple[StatusRow, ...]:
    """Give every row whose end is planned only: what an operator will be asked to confirm."""
    return tuple(row for its in _statuses().values() for row in its if row.scheduled)
