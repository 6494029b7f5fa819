"""What the engine asks about countries, and its default answer from the reference data.

The service may pass its own `World`, for example with the country changes an operator confirmed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol

from shared.reference import blocs, countries

INCOME_STEPS: Mapping[str, int] = MappingProxyType({"low": 0, "lower_middle": 1, "upper_middle": 2, "high": 3})
"""World Bank income groups as steps; the distance of two countries is the difference of steps."""


class World(Protocol):
    """Dated facts on countries. Every answer holds for the day `on`, codes are ISO alpha-3."""

    def is_south(self, country: str, on: date) -> bool:
        """Whether the country is a developing country on that day."""

    def groups(self, country: str, on: date) -> frozenset[str]:
        """Give the special-situation groups it is in: some of ldc, lldc, sids."""

    def income(self, country: str, on: date) -> int | None:
        """Its income step 0 (low) to 3 (high), None when unclassified."""

    def blocs(self, country: str, on: date) -> frozenset[str]:
        """Give the regional blocs of which it is a member."""

    def trades(self, country: str, on: date) -> bool:
        """Whether trade flows of the country are known."""

    def complementarity(self, exporter: str, importer: str, on: date) -> float | None:
        """Michaely's index in 0..1, None while there are no trade flows for the two."""


@dataclass(frozen=True, slots=True)
class Flows:
    """Imported trade flows: per country the share of each HS chapter, in exports and in imports."""

    exports: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    imports: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def michaely(exports: Mapping[str, float], imports: Mapping[str, float]) -> float:
    """Trade complementarity 1 - sum(|m_i - x_i|) / 2 over HS chapters, in 0..1.

    Source: M. Michaely, Trade Preferential Agreements in Latin America (World Bank, 1996), as in the
    WITS glossary: m_i share of chapter i in the importer's imports, x_i in the exporter's exports.
    """
    chapters = sorted(exports.keys() | imports.keys())
    distance = sum(abs(imports.get(c, 0.0) - exports.get(c, 0.0)) for c in chapters)
    return min(1.0, max(0.0, 1.0 - distance / 2))


@dataclass(frozen=True, slots=True)
class ReferenceWorld:
    """The dated lists of `shared.reference`, what operators confirmed, and imported trade flows.

    `confirmed` is the decision on scheduled graduations, as `shared.reference.countries` takes it.
    """

    confirmed: countries.Confirmations = field(default_factory=lambda: countries.UNCONFIRMED)
    flows: Flows = field(default_factory=Flows)
    # every need of a country asks for the same answers about all others: each is found once
    _groups: dict[tuple[str, date], frozenset[str]] = field(default_factory=dict, repr=False, compare=False)
    _trade: dict[tuple[str, str], float | None] = field(default_factory=dict, repr=False, compare=False)

    def is_south(self, country: str, on: date) -> bool:
        """As `shared.reference.countries.is_south`."""
        return _is_south(country, on)

    def groups(self, country: str, on: date) -> frozenset[str]:
        """As `shared.reference.countries.groups`."""
        if (country, on) not in self._groups:
            found = countries.groups(country, on, self.confirmed)
            self._groups[country, on] = frozenset(str(group) for group in found)
        return self._groups[country, on]

    def income(self, country: str, on: date) -> int | None:
        """Step of `shared.reference.countries.income_group`."""
        return _income(country, on)

    def blocs(self, country: str, on: date) -> frozenset[str]:
        """As `shared.reference.blocs.blocs_of`."""
        return _blocs(country, on)

    def trades(self, country: str, on: date) -> bool:  # noqa: ARG002
        """Whether flows of the country were imported."""
        return country in self.flows.exports or country in self.flows.imports

    def complementarity(self, exporter: str, importer: str, on: date) -> float | None:  # noqa: ARG002
        """Michaely's index of the imported flows."""
        if (exporter, importer) not in self._trade:
            exports, imports = self.flows.exports.get(exporter), self.flows.imports.get(importer)
            known = exports is not None and imports is not None
            self._trade[exporter, importer] = michaely(exports or {}, imports or {}) if known else None
        return self._trade[exporter, importer]


@lru_cache(maxsize=4096)
def _is_south(country: str, on: date) -> bool:
    """Ask once: the rules want it for every pair of a listing."""
    return countries.is_south(country, on)


@lru_cache(maxsize=4096)
def _income(country: str, on: date) -> int | None:
    group = countries.income_group(country, on)
    return None if group is None else INCOME_STEPS[group]


@lru_cache(maxsize=4096)
def _blocs(country: str, on: date) -> frozenset[str]:
    return blocs.blocs_of(country, on)
