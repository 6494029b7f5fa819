"""Regional and political blocs with dated membership.

Only members and states party count; signatories, associates, partners, invited and suspended
states do not. Periods are half-open, an unknown bound is open.
Source: `data/blocs.csv`, one source a row.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from types import MappingProxyType

from shared.reference.load import covers, day_or_none, rows

BLOCS: Mapping[str, str] = MappingProxyType(
    {
        "ALADI": "Latin American Integration Association",
        "AMU": "Arab Maghreb Union",
        "ASEAN": "Association of Southeast Asian Nations",
        "AfCFTA": "African Continental Free Trade Area",
        "BIMSTEC": "Bay of Bengal Initiative for Multi-Sectoral Technical and Economic Cooperation",
        "BRICS": "BRICS",
        "CAN": "Andean Community",
        "CARICOM": "Caribbean Community",
        "CEN-SAD": "Community of Sahel-Saharan States",
        "COMESA": "Common Market for Eastern and Southern Africa",
        "D-8": "D-8 Organization for Economic Cooperation",
        "EAC": "East African Community",
        "ECCAS": "Economic Community of Central African States",
        "ECOWAS": "Economic Community of West African States",
        "G77": "Group of 77",
        "GCC": "Gulf Cooperation Council",
        "IBSA": "India, Brazil and South Africa Dialogue Forum",
        "IGAD": "Intergovernmental Authority on Development",
        "LAS": "League of Arab States",
        "MERCOSUR": "Southern Common Market",
        "MSG": "Melanesian Spearhead Group",
        "OACPS": "Organisation of African, Caribbean and Pacific States",
        "OIC": "Organisation of Islamic Cooperation",
        "PIF": "Pacific Islands Forum",
        "Pacific Alliance": "Pacific Alliance",
        "SAARC": "South Asian Association for Regional Cooperation",
        "SACU": "Southern African Customs Union",
        "SADC": "Southern African Development Community",
        "SICA": "Central American Integration System",
    }
)
"""Code to name; the codes are those of the blocs' own short names."""

COUNTED = frozenset({"member", "state_party"})


@dataclass(frozen=True, slots=True)
class Membership:
    """One dated tie of a country to a bloc, with its source."""

    bloc: str
    country: str
    kind: str
    valid_from: date | None
    valid_to: date | None
    from_precision: str
    to_precision: str
    source: str
    note: str

    def counts(self, on: date) -> bool:
        """Tell whether the country is a member on the day."""
        return self.kind in COUNTED and covers(self.valid_from, self.valid_to, on)


@cache
def memberships() -> tuple[Membership, ...]:
    """Give every row, also those of kinds that do not count."""
    return tuple(
        Membership(
            bloc=row["bloc"],
            country=row["country"],
            kind=row["kind"],
            valid_from=day_or_none(row["valid_from"]),
            valid_to=day_or_none(row["valid_to"]),
            from_precision=row["from_precision"],
            to_precision=row["to_precision"],
            source=row["source"],
            note=row["note"],
        )
        for row in rows("blocs.csv")
    )


@cache
def _by_country() -> Mapping[str, tuple[Membership, ...]]:
    found: defaultdict[str, list[Membership]] = defaultdict(list)
    for membership in memberships():
        found[membership.country].append(membership)
    return {code: tuple(its) for code, its in found.items()}


@lru_cache(maxsize=4096)
def blocs_of(country: str, on: date) -> frozenset[str]:
    """Give the blocs a country is a member of on the day; empty for an unknown country."""
    return frozenset(tie.bloc for tie in _by_country().get(country, ()) if tie.counts(on))


@lru_cache(maxsize=1024)
def members(bloc: str, on: date) -> frozenset[str]:
    """Give the member countries of a bloc on the day; empty for an unknown bloc."""
    return frozenset(tie.country for tie in memberships() if tie.bloc == bloc and tie.counts(on))


def is_bloc(code: str) -> bool:
    """Tell whether it is the code of a bloc we hold members of."""
    return code in BLOCS
