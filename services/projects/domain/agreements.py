"""Agreements: every party signs once, the last signature makes the project agreed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from services.projects.domain.roles import Period, lasts
from shared.lifecycle import Guard, Invalid, Lifecycle, Step
from shared.reference.vocabulary import Role


@dataclass(frozen=True, slots=True)
class AgreementFacts:
    """`signed`: the caller's institution has signed; `running`: the project has not ended."""

    signed: bool
    running: bool


_RUNNING: Guard[AgreementFacts] = Guard("invalid_transition", "The project has ended.", lambda facts: facts.running)
_ONCE: Guard[AgreementFacts] = Guard("invalid_transition", "You have signed already.", lambda facts: not facts.signed)

AGREEMENT = Lifecycle[AgreementFacts](
    "agreement",
    (
        Step(
            "sign",
            frozenset({"proposed"}),
            "signed",
            frozenset({"party:owner"}),
            "AgreementSigned",
            signs=True,
            guards=(_RUNNING, _ONCE),
        ),
    ),
)


def check_parties(parties: Sequence[UUID], partners: Collection[UUID]) -> None:
    """At least two parties, all of them partners (422)."""
    for position, party in enumerate(parties):
        if party not in partners:
            raise Invalid(f"/parties/{position}", "Is no partner of the project", "not_partner")


def makes_agreed(periods: Sequence[Period], parties: Collection[UUID], today: date) -> bool:
    """Whether a beneficiary and a pivotal partner are among the parties."""
    roles = {period.role for period in periods if period.institution_id in parties and lasts(period, today)}
    return roles >= {Role.BENEFICIARY, Role.PIVOTAL}
