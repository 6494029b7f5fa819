"""Dated roles: modality, overlaps, leaving, and the South."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.projects.domain import roles
from shared.lifecycle import Invalid, Refused

A, B, C, D = (UUID(int=number) for number in range(1, 5))
DAY = date(2014, 8, 1)


@dataclass
class Role:
    institution_id: UUID
    role: str
    from_on: date
    to_on: date | None = None


def test_a_project_is_triangular_while_all_three_roles_are_held() -> None:
    held = [
        Role(A, "pivotal", date(2014, 1, 1)),
        Role(B, "beneficiary", date(2014, 1, 1)),
        Role(C, "facilitating", date(2014, 8, 1), date(2018, 1, 1)),
    ]
    assert roles.modality(held, date(2014, 7, 31), None) == "south_south"
    assert roles.modality(held, date(2014, 8, 1), None) == "triangular"
    assert roles.modality(held, date(2017, 12, 31), None) == "triangular"
    assert roles.modality(held, date(2018, 1, 1), None) == "south_south"
    assert roles.modality(held, date(2026, 1, 1), date(2017, 6, 30)) == "triangular"
    assert roles.modality(held, date(2014, 7, 31), date(2017, 6, 30)) == "south_south"


def test_one_institution_may_hold_two_roles_but_each_once_at_a_time() -> None:
    held = [Role(A, "pivotal", date(2014, 1, 1), date(2015, 1, 1))]
    roles.check_no_overlap(held, A, "facilitating", date(2014, 6, 1), None)
    roles.check_no_overlap(held, B, "pivotal", date(2014, 6, 1), None)
    roles.check_no_overlap(held, A, "pivotal", date(2015, 1, 1), None)
    roles.check_no_overlap(held, A, "pivotal", date(2013, 1, 1), date(2014, 1, 1))
    with pytest.raises(Refused) as refused:
        roles.check_no_overlap(held, A, "pivotal", date(2014, 12, 31), None)
    assert refused.value.code == "invalid_transition"


days = st.dates(date(2020, 1, 1), date(2020, 1, 20))


@given(days, st.none() | days, days, st.none() | days)
def test_two_periods_overlap_exactly_when_they_share_a_day(
    from_a: date, to_a: date | None, from_b: date, to_b: date | None
) -> None:
    if (to_a and to_a < from_a) or (to_b and to_b < from_b):
        return
    one, other = Role(A, "pivotal", from_a, to_a), Role(A, "pivotal", from_b, to_b)
    share = any(roles.holds(one, date(2020, 1, day)) and roles.holds(other, date(2020, 1, day)) for day in range(1, 31))
    try:
        roles.check_no_overlap([one], A, "pivotal", from_b, to_b)
    except Refused:
        assert share
    else:
        assert not share


def test_leaving_ends_the_role_that_still_lasts() -> None:
    ended, lasting = Role(A, "pivotal", DAY, date(2015, 1, 1)), Role(A, "pivotal", date(2016, 1, 1))
    assert roles.leaving([ended, lasting], A, "pivotal", date(2016, 6, 1)) is lasting
    with pytest.raises(Invalid):
        roles.leaving([ended], A, "beneficiary", DAY)
    with pytest.raises(Refused) as refused:
        roles.leaving([ended], A, "pivotal", date(2015, 1, 1))
    assert refused.value.code == "invalid_transition"
    roles.check_leave(lasting, date(2016, 1, 1))
    with pytest.raises(Invalid):
        roles.check_leave(lasting, date(2015, 12, 31))


def test_the_south_is_judged_by_the_list_of_the_day_on_which_the_role_begins() -> None:
    roles.check_pivotal("pivotal", "BRA", date(2009, 1, 1), "/role")
    roles.check_pivotal("pivotal", "KOR", date(2009, 1, 1), "/role")
    roles.check_pivotal("facilitating", "DEU", DAY, "/role")
    roles.check_pivotal("pivotal", None, DAY, "/role")
    for country, day in (("DEU", DAY), ("KOR", date(2026, 1, 1))):
        with pytest.raises(Invalid):
            roles.check_pivotal("pivotal", country, day, "/role")


def test_who_counts_on_a_day() -> None:
    held = [Role(A, "pivotal", DAY, date(2015, 1, 1)), Role(B, "beneficiary", date(2030, 1, 1)), Role(A, "pivotal", D1)]
    assert roles.everybody(held) == [A, B]
    assert roles.holders_on(held, DAY) == {A}
    assert roles.standing(held, DAY, ["beneficiary"]) == {B}
    assert roles.held_on(held, DAY) == {"pivotal"}


D1 = date(2016, 1, 1)


def test_a_project_has_at_most_a_hundred_periods() -> None:
    roles.check_room([Role(A, "pivotal", DAY)] * 99)
    with pytest.raises(Invalid):
        roles.check_room([Role(A, "pivotal", DAY)] * 100)
