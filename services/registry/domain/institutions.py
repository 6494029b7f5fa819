"""Institutions: `registered -> verified <-> suspended`, and what ends a verification."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from services.registry.domain.common import OPERATOR, WRITERS_OR_OPERATOR, years_later
from shared.lifecycle import SYSTEM, Invalid, Lifecycle, Step
from shared.reference.vocabulary import COUNTRYLESS_TYPES

VERIFIED_YEARS = 5
IDENTITY = ("name", "country", "external_ids")

LIFECYCLE = Lifecycle[None](
    "institution",
    (
        Step("suspend", frozenset({"registered", "verified"}), "suspended", OPERATOR, "InstitutionSuspended"),
        # two rows: the status before the suspension decides, see `status_when_reinstated`
        Step("reinstate", frozenset({"suspended"}), "verified", OPERATOR, "InstitutionReinstated"),
        Step("reinstate", frozenset({"suspended"}), "registered", OPERATOR, "InstitutionReinstated"),
        Step("verify", frozenset({"registered", "verified"}), "verified", frozenset({SYSTEM}), "InstitutionVerified"),
        Step("lapse", frozenset({"verified"}), "registered", frozenset({SYSTEM}), "InstitutionVerificationExpired"),
    ),
)
EDITS = Lifecycle[None](
    "institution",
    (
        Step(
            "change",
            frozenset({"registered", "verified", "suspended"}),
            None,
            WRITERS_OR_OPERATOR,
            "InstitutionUpdated",
        ),
    ),
)


def verified_until(today: date) -> date:
    """The day on which a verification approved today ends."""
    return years_later(today, VERIFIED_YEARS)


def status_when_reinstated(before: str | None, until: date | None, today: date) -> str:
    """Back to what it was, unless the verification ended in the meantime."""
    return "verified" if before == "verified" and until is not None and today < until else "registered"


def changes_identity(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a change makes the due diligence done on the institution worthless."""
    return any(before[name] != after[name] for name in IDENTITY)


def check_country(kind: str, country: str | None) -> None:
    """Only multilaterals and financial institutions may have no country."""
    if country is None and kind not in COUNTRYLESS_TYPES:
        raise Invalid("/country", "Only a multilateral or a financial institution may have no country", "missing")


def south_on(country: str | None, today: date, is_south: Callable[[str, date], bool]) -> bool | None:
    """Whether it is of the South on the day; None for an institution of no country."""
    return None if country is None else is_south(country, today)
