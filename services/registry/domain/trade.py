"""Trade flows as CSV: which rows are taken, and which cells are wrong, where and why.

Figures are those of the exporting country (the reporter); what a country imports is what others say they sold to it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from shared.lifecycle import Refused
from shared.reference import classifications, countries

COLUMNS = ("reporter", "partner", "hs", "year", "value")
MOST_BYTES = 10 * 1024 * 1024
MOST_ROWS = 200_000
MOST_LISTED = 50
"""Bad cells named in one answer; how many there are in all stands in its words."""
MOST_SHOWN = 40
"""Characters of a bad cell that are shown again."""
FIRST_YEAR = 1988
"""The Harmonized System is in force since 1 January 1988."""
CHAPTER_DIGITS = 2
_CODE = re.compile(r"[0-9]{2}(?:[0-9]{2}){0,2}")
_YEAR = re.compile(r"[0-9]{4}")
_VALUE = re.compile(r"(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,6})?")


class Place(NamedTuple):
    """Between whom, when, and in which goods by HS chapter."""

    year: int
    reporter: str
    partner: str
    hs: str


@dataclass(frozen=True, slots=True)
class Flows:
    """The rows of a file, added up by chapter."""

    rows: int
    values: Mapping[Place, Decimal]

    @property
    def covered(self) -> frozenset[tuple[str, int]]:
        """Reporters with the years of which the file tells everything."""
        return frozenset((place.reporter, place.year) for place in self.values)

    @property
    def countries(self) -> frozenset[str]:
        """Everybody named in it."""
        return frozenset(code for place in self.values for code in (place.reporter, place.partner))


class _CellError(ValueError):
    """What is wrong with a cell, by code and in words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class _Faults:
    """The first bad places, and how many there are."""

    listed: list[dict[str, str]] = field(default_factory=list)
    count: int = 0

    def add(self, line: int, column: str | None, bad: _CellError, shown: str | None = None) -> None:
        self.count += 1
        if len(self.listed) < MOST_LISTED:
            where = f"Line {line}" + (f", column {column}" if column else "")
            cell = "" if shown is None else f' "{shown[:MOST_SHOWN]}"'
            pointer = f"/{line}/{column}" if column else f"/{line}"
            self.listed.append({"pointer": pointer, "code": bad.code, "message": f"{where}{cell}: {bad}"})

    def check(self) -> None:
        """Raises `validation_failed` when there is any."""
        if self.count:
            some = "; ".join(fault["message"] for fault in self.listed[:5])
            faults = "fault" if self.count == 1 else "faults"
            raise Refused(
                "validation_failed",
                f"{self.count} {faults} in the file, nothing was stored. {some}",
                errors=self.listed,
            )


def read_csv(raw: bytes, today: date) -> Flows:
    """The flows of a UTF-8 file with a header line; `today` bounds the years.

    Raises `validation_failed` with line and column of every bad cell, and `body_too_large` beyond MOST_ROWS.
    """
    faults = _Faults()
    lines = csv.reader(io.StringIO(_decoded(raw, faults), newline=""), strict=True)
    reading = _Reading(today, faults)
    try:
        reading.columns = _columns(next(lines, []), faults)
        for cells in lines:
            reading.take(lines.line_num, cells)
    except csv.Error as error:
        faults.add(
            lines.line_num, None, _CellError("csv_invalid", f"Is no CSV ({error}); quote texts as RFC 4180 says")
        )
    return reading.finished()


def _decoded(raw: bytes, faults: _Faults) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        faults.add(line, None, _CellError("not_utf8", "Is not UTF-8; save the file in this encoding"))
        faults.check()
        raise


def _columns(header: Sequence[str], faults: _Faults) -> Sequence[str]:
    """Names by position. Without the right ones no row can be read, so their faults end the reading."""
    for name in COLUMNS:
        if header.count(name) != 1:
            wrong = "is missing" if name not in header else "is there twice"
            words = f"This column {wrong}; the first line is {','.join(COLUMNS)} in any order, with commas"
            faults.add(1, name, _CellError("column_missing" if name not in header else "column_twice", words))
    for name in sorted(set(header) - set(COLUMNS)):
        faults.add(1, name[:MOST_SHOWN], _CellError("column_unknown", "This column is not known here; leave it out"))
    faults.check()
    return header


class _Reading:
    """Takes rows one by one, and goes on behind a bad one so that all are named at once."""

    def __init__(self, today: date, faults: _Faults) -> None:
        self._today, self._faults = today, faults
        self._values: dict[Place, Decimal] = {}
        self._seen: dict[tuple[int, str, str], dict[str, int]] = {}
        self._rows = 0
        self.columns: Sequence[str] = COLUMNS

    def take(self, line: int, cells: Sequence[str]) -> None:
        """One row; an empty line is none."""
        if not cells:
            return
        self._rows += 1
        if self._rows > MOST_ROWS:
            raise Refused("body_too_large", f"A file may have {MOST_ROWS} rows at most; import it in parts, by year.")
        if len(cells) != len(self.columns):
            words = f"Has {len(cells)} cells where the first line names {len(self.columns)}; give each column its cell"
            self._faults.add(line, None, _CellError("cells_differ", words))
            return
        row = dict(zip(self.columns, cells, strict=True))
        if self._good(line, row):
            self._add(line, row)

    def _good(self, line: int, row: Mapping[str, str]) -> bool:
        before = self._faults.count
        for column in COLUMNS:
            try:
                CHECKS[column](row[column], self._today)
            except _CellError as error:
                self._faults.add(line, column, error, row[column])
        if self._faults.count == before and row["reporter"] == row["partner"]:
            bad = _CellError(
                "partner_is_reporter", "A country exports to others; name another partner or leave the row out"
            )
            self._faults.add(line, "partner", bad, row["partner"])
        return self._faults.count == before

    def _add(self, line: int, row: Mapping[str, str]) -> None:
        year, reporter, partner, code = int(row["year"]), row["reporter"], row["partner"], row["hs"]
        seen = self._seen.setdefault((year, reporter, partner), {})
        if code in seen:
            words = f"Stands in line {seen[code]} already, of the same countries and year; give it once"
            self._faults.add(line, "hs", _CellError("duplicate", words), code)
            return
        seen[code] = line
        place = Place(year, reporter, partner, code[:CHAPTER_DIGITS])
        self._values[place] = self._values.get(place, Decimal(0)) + Decimal(row["value"])

    def finished(self) -> Flows:
        """All flows; raises `validation_failed`."""
        if not self._rows and not self._faults.count:
            self._faults.add(2, None, _CellError("missing", "There is no row; give at least one flow"))
        self._faults.check()
        for seen in self._seen.values():
            self._check_overlap(seen)
        self._faults.check()
        return Flows(self._rows, self._values)

    def _check_overlap(self, seen: Mapping[str, int]) -> None:
        """A chapter beside its own headings would count twice."""
        for code, line in seen.items():
            wider = next((code[:n] for n in range(CHAPTER_DIGITS, len(code), 2) if code[:n] in seen), None)
            if wider is not None:
                words = f"Is part of {wider} in line {seen[wider]} and would count twice; give one of the two levels"
                self._faults.add(line, "hs", _CellError("overlap", words), code)


def _check_country(text: str, today: date) -> None:  # noqa: ARG001
    if not countries.is_country(text):
        raise _CellError("country_unknown", "Must be a country code of ISO 3166-1 alpha-3, such as ETH")


def _check_hs(text: str, today: date) -> None:  # noqa: ARG001
    """Headings and subheadings are taken by their form: a year's figures use the edition of HS of that year."""
    if not _CODE.fullmatch(text) or text[:CHAPTER_DIGITS] not in classifications.hs_chapters():
        raise _CellError(
            "hs_unknown", "Must be an HS chapter, or a code of 4 or 6 digits, with its leading zero, such as 09"
        )


def _check_year(text: str, today: date) -> None:
    if not _YEAR.fullmatch(text) or not FIRST_YEAR <= int(text) <= today.year:
        raise _CellError("year_invalid", f"Must be a year of four digits from {FIRST_YEAR} to {today.year}")


def _check_value(text: str, today: date) -> None:  # noqa: ARG001
    if not _VALUE.fullmatch(text):
        words = "Must be US dollars as a plain decimal number, 0 or more, such as 1250000.50: at most 15 digits and"
        raise _CellError("value_invalid", f"{words} 6 decimals, without separators")


CHECKS: Mapping[str, Callable[[str, date], None]] = {
    "reporter": _check_country,
    "partner": _check_country,
    "hs": _check_hs,
    "year": _check_year,
    "value": _check_value,
}
"""By column: raises when a cell is wrong."""
