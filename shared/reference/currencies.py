"""Currencies: active codes of ISO 4217, without metals, bond units, `XTS` and `XXX`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from shared.reference.load import rows


@dataclass(frozen=True, slots=True)
class Currency:
    """One currency; `decimals` is 0 or 2 (three and four in ISO 4217 count as 2: contract, section 1)."""

    code: str
    name: str
    decimals: int


@cache
def currencies() -> Mapping[str, Currency]:
    """Give all currencies by code."""
    found = (Currency(row["code"], row["name"], int(row["decimals"])) for row in rows("currencies.csv"))
    return MappingProxyType({currency.code: currency for currency in found})


def is_currency(code: str) -> bool:
    """Tell whether amounts may be given in it."""
    return code in currencies()


def decimals(code: str) -> int:
    """Give the decimals an amount has in this currency: 0 or 2. KeyError when unknown."""
    return currencies()[code].decimals
