"""Dates of limited precision, such as the day a centre opened: `2007`, `2007-01` or `2007-01-18`."""

import re
from datetime import date

FIRST_YEAR, LAST_YEAR = 1900, 2999
"""Years a client may send: wide enough for any plan, and safe to do sums with."""

_PARTIAL = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")


def first_day(text: str) -> date:
    """Give the first day that the date may mean: 2007-01-01 for `2007` and for `2007-01`.

    ValueError when it is not one of the three forms, no day of the calendar or out of range.
    """
    found = _PARTIAL.fullmatch(text)
    if not found:
        raise ValueError("not YYYY, YYYY-MM or YYYY-MM-DD")
    year, month, day = (int(part or 1) for part in found.groups())
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ValueError(f"not a year between {FIRST_YEAR} and {LAST_YEAR}")
    return date(year, month, day)


def precision(text: str) -> str:
    """Give `year`, `month` or `day` for a date that `first_day` accepts."""
    return {4: "year", 7: "month", 10: "day"}[len(text)]
