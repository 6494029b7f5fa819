"""Dated roles of partners: who holds what on which day, and what that makes of the project."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Protocol, TypeVar
from uuid import UUID

from shared.lifecycle import Invalid, NotNow
from shared.reference.countries import is_south
from shared.reference.vocabulary import Modality, Role

LEADING = (Role.BENEFICIARY, Role.PIVOTAL)
MAX_PERIODS = 100  # an event carries all of them and must stay below 256 KiB


class Period(Protocol):
    """A role of an institution from `from_on` until before `to_on`; open while `to_on` is None."""

    institution_id: UUID
    role: str
    from_on: date
    to_on: date | None


P = TypeVar("P", bound=Period)


def holds(period: Period, day: date) -> bool:
    """Whether the role is held on the day."""
    return period.from_on <= day and lasts(period, day)


def lasts(period: Period, day: date) -> bool:
    """Whether the role is not over on the day; it may still be ahead."""
    return period.to_on is None or day < period.to_on


def held_on(periods: Iterable[Period], day: date) -> frozenset[str]:
    """The roles that somebody holds on the day."""
    return frozenset(period.role for period in periods if holds(period, day))


def holders_on(periods: Iterable[Period], day: date) -> frozenset[UUID]:
    """The institutions in any role on the day."""
    return frozenset(period.institution_id for period in periods if holds(period, day))


def standing(periods: Iterable[Period], day: date, roles: Iterable[str] = Role) -> frozenset[UUID]:
    """The institutions whose role is not over on the day."""
    wanted = frozenset(roles)
    return frozenset(period.institution_id for period in periods if period.role in wanted and lasts(period, day))


def everybody(periods: Iterable[Period]) -> list[UUID]:
    """All partners past and present, each once, in order of arrival."""
    return list(dict.fromkeys(period.institution_id for period in periods))


def modality(periods: Iterable[Period], today: date, completed_on: date | None) -> Modality:
    """`triangular` when all three roles are held as of the earlier of today and the day of completion."""
    day = min(today, completed_on) if completed_on else today
    return Modality.TRIANGULAR if held_on(periods, day) >= frozenset(Role) else Modality.SOUTH_SOUTH


def check_room(periods: Sequence[Period]) -> None:
    """Refuse more periods than an event can carry."""
    if len(periods) >= MAX_PERIODS:
        raise Invalid("/role", f"A project has at most {MAX_PERIODS} roles, past ones included", "too_long")


def check_no_overlap(
    periods: Iterable[Period], institution_id: UUID, role: str, from_on: date, to_on: date | None
) -> None:
    """409 when the institution holds the role on a day of [from_on, to_on) already."""
    for period in periods:
        same = period.institution_id == institution_id and period.role == role
        if same and _overlap(period, from_on, to_on):
            until = f" to {period.to_on}" if period.to_on else " on"
            detail = f"This partner already holds the role {role} from {period.from_on}{until}."
            raise NotNow(detail, "held", [], title="The periods of a role may not overlap")


def _overlap(period: Period, from_on: date, to_on: date | None) -> bool:
    if from_on == to_on or period.from_on == period.to_on:
        return False  # `to` is exclusive: such a period has no day
    return (to_on is None or period.from_on < to_on) and (period.to_on is None or from_on < period.to_on)


def check_pivotal(role: str, country: str | None, day: date, pointer: str) -> None:
    """422 for a pivotal partner of the North, judged by the list of the day on which its role begins.

    An institution that is not known yet, or has no country (a multilateral), passes.
    """
    if role == Role.PIVOTAL and country is not None and not is_south(country, day):
        message = f"A pivotal partner is of the South; {country} was not on {day}. It may be facilitating."
        raise Invalid(pointer, message, "not_south")


def leaving(periods: Iterable[P], institution_id: UUID, role: str, today: date) -> P:
    """The period that a partner may still end; 409 when it is over, 422 when there never was one."""
    its = [period for period in periods if period.institution_id == institution_id and period.role == role]
    if not its:
        raise Invalid("/role", f"This partner has no role {role}", "not_held")
    lasting = [period for period in its if lasts(period, today)]
    if not lasting:
        raise NotNow(f"This partner's role {role} ended on {its[-1].to_on}.", "ended", [])
    return lasting[-1]


def check_leave(period: Period, to_on: date) -> None:
    """A role cannot end before it begins; it may end on its first day and then was held on none."""
    if to_on < period.from_on:
        raise Invalid("/to", f"The role began on {period.from_on}; it cannot end before")
