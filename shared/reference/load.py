"""Reading the data files of this package; nobody outside `shared.reference` needs it."""

import csv
from datetime import date
from pathlib import Path

DATA = Path(__file__).parent / "data"


def rows(name: str) -> list[dict[str, str]]:
    """Read a CSV file of `data/`, one mapping of column to text a row."""
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def day_or_none(text: str) -> date | None:
    """Read a date of the data files; empty means unknown, which is treated as open."""
    return date.fromisoformat(text) if text else None


def covers(start: date | None, end: date | None, on: date) -> bool:
    """Tell whether the half-open period `start <= on < end` holds the day."""
    return (start is None or start <= on) and (end is None or on < end)
