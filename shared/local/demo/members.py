"""What a story is made of: institutions, need, capability, projects, money, checks."""

from __future__ import annotations

import calendar
import unicodedata
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.reference.dates import first_day, precision
from shared.reference.types import PartialDate
from shared.reference.vocabulary import (
    AgreementKind,
    InstitutionType,
    ReplicationOutcome,
    ResourceKind,
    Role,
    Unit,
    Urgency,
)


def last_day(partial: str) -> date:
    """The last day that the date may mean: 2013-12-31 for `2013`, 2014-10-31 for `2014-10`."""
    first = first_day(partial)
    if precision(partial) == "day":
        return first
    month = 12 if precision(partial) == "year" else first.month
    return date(first.year, month, calendar.monthrange(first.year, month)[1])


class Part(BaseModel):
    """Base of all members: unknown ones are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Period(Part):
    """A role and when it is held, as the source dates it."""

    role: Role
    from_: PartialDate | None = Field(alias="from")
    to: PartialDate | None = None


class Institution(Part):
    """One body; `registered_as` where the exchange wants another type than the facts have."""

    name: str
    country: str | None
    type: InstitutionType
    roles: list[Period]
    languages: list[str] = []
    registered_as: InstitutionType | None = None

    @property
    def slug(self) -> str:
        """Its identifier in the demo's scheme, the same in every story."""
        plain = unicodedata.normalize("NFKD", self.name.casefold()).encode("ascii", "ignore").decode()
        letters = "".join(char if char.isalnum() else " " for char in plain)
        return "-".join([*letters.split()[:8], (self.country or "int").casefold()])


class Amount(Part):
    """Money as the contract writes it, without decimals where the source has none."""

    amount: Decimal
    currency: str

    def json_money(self) -> dict[str, str]:
        """For a request."""
        return {"amount": f"{self.amount:.2f}", "currency": self.currency}


class Classified(Part):
    """What needs and capabilities share; `crs` is a fact that the exchange does not ask for."""

    institution: str
    title: str
    resource_kinds: list[ResourceKind]
    isic: list[str]
    hs: list[str]
    sdg: list[str]
    languages: list[str]

    def json_common(self) -> dict[str, Any]:
        """For a request."""
        codes = {"isic": self.isic, "hs": self.hs, "sdg_targets": self.sdg, "languages": self.languages}
        return {"title": self.title, "language": "en", "resource_kinds": [*self.resource_kinds], **codes}


class Need(Classified):
    """What was sought."""

    country: str
    problem: str
    crs: list[str]
    urgency: Urgency
    budget: Amount | None = None
    funding_gap: Amount | None = None


class Capability(Classified):
    """What was offered."""

    summary: str


class Share(Part):
    """Money of a project. Without a giver it is not in the ledger: the payers or the amount are not published."""

    payer: str
    currency: str
    amount: Decimal | None
    kind: str
    status: Literal["agreed", "spent"]
    note: str | None = None
    giver: str | None = None
    receiver: str | None = None
    description: str | None = None


class Partner(Period):
    """An institution in a role of one project."""

    institution: str


class Report(Part):
    """The completion report, in our words."""

    summary: str
    results: str
    lessons: str


class Project(Part):
    """A project; `opening` null means that it is not played (the story's notes say why)."""

    id: str
    title: str
    code: str | None
    start: PartialDate | None
    start_precision: str | None
    end: PartialDate | None
    end_precision: str | None
    planned_end: PartialDate | None
    state: str
    budget: list[Share]
    note: str | None
    opening: Literal["match", "direct"] | None
    partners: list[Partner] = []
    report: Report | None = None
    assumed_end: PartialDate | None = None
    played_state: str | None = None

    @property
    def final_state(self) -> str:
        """The status in which the demo leaves it."""
        return self.played_state or self.state

    @property
    def started_on(self) -> date | None:
        """The first day of the work."""
        return first_day(self.start) if self.start else None

    @property
    def completed_on(self) -> date | None:
        """The last day of the work, if it is over."""
        end = self.end or self.assumed_end
        return last_day(end) if end and self.final_state in {"completed", "closed"} else None

    @property
    def ledger(self) -> list[Share]:
        """The money that is entered: with a giver, a receiver and an amount."""
        return [share for share in self.budget if share.giver and share.amount is not None]

    @property
    def money(self) -> dict[str, Decimal]:
        """What is in the ledger by currency; never added across currencies."""
        currencies = dict.fromkeys(share.currency for share in self.ledger)
        return {c: sum((s.amount or Decimal() for s in self.ledger if s.currency == c), Decimal()) for c in currencies}

    @property
    def budget_total(self) -> Amount | None:
        """Its budget, if it is in one currency."""
        only = list(self.money.items())
        return Amount(amount=only[0][1], currency=only[0][0]) if len(only) == 1 else None

    def names(self, *roles: Role) -> list[str]:
        """Its partners in these roles (all, without any), each once."""
        wanted = roles or tuple(Role)
        return list(dict.fromkeys(partner.institution for partner in self.partners if partner.role in wanted))


class Agreement(Part):
    """An instrument; without a date, or without an `instrument` of the contract, it is not played."""

    kind: str
    date: PartialDate | None
    precision: str | None
    parties: list[str]
    note: str | None = None
    project: str
    title: str
    instrument: AgreementKind | None
    signatories: list[str] | None = None
    ours: bool = False

    @property
    def signing(self) -> list[str]:
        """Who signs it in the exchange."""
        return self.signatories or self.parties


class InKind(Part):
    """A contribution that is not money."""

    party: str
    what: str
    quantity: int
    unit: str
    project: str
    receiver: str
    resource_kind: ResourceKind
    unit_code: Unit
    stage: Literal["committed", "confirmed"]


class Milestone(Part):
    """A dated step; without a date it is not played."""

    title: str
    date: PartialDate | None
    precision: str | None
    state: Literal["reached"]
    project: str


class Indicator(Part):
    """A figure of the source, kept for the checks."""

    name: str
    unit: str
    baseline: Decimal | None
    target: Decimal | None
    actual: Decimal | None
    on: PartialDate | None
    note: str | None = None


class Poverty(Part):
    """What a practice did against poverty."""

    summary: str
    people_reached: int


class Practice(Part):
    """The solution, in our words, of one completed project."""

    project: str
    title: str
    challenge: str
    approach: str
    conditions: str
    results: str
    poverty_reduction: Poverty | None = None


class Replication(Part):
    """How a project of this story reuses the practice of `replication_of`."""

    project: str
    adaptation: str
    outcome: ReplicationOutcome


class Reading(Part):
    """A value that the APIs answer, in the place of one of a check's own values."""

    kind: Literal["totals", "given", "partners", "milestones", "year", "years"]
    project: str
    of: str = ""
    stage: str = "committed"
    by: str = ""
    role: Role = Role.BENEFICIARY
    on: PartialDate | None = None
    containing: str = ""
    since: str = ""
    until: str = ""


class Check(Part):
    """A figure that can be worked out by hand; with `read` the system works it out too."""

    what: str
    op: Literal["sum", "difference", "ratio", "percent", "percent_of", "count", "status"]
    values: list[Any] = []
    decimals: int = 0
    expected: Any
    status: str = ""
    on: PartialDate | None = None
    of: list[str] = []
    read: list[Reading] | None = None
