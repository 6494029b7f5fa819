"""What the fates of its matches make of a need, in whatever order they become known."""

from __future__ import annotations

from datetime import date
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.registry.domain.common import Standing, years_later
from services.registry.domain.needs import (
    EDITS,
    LIFECYCLE,
    Place,
    check_deadline,
    check_partners_wanted,
    is_over,
    status_after,
)
from shared.lifecycle import Invalid, Refused
from shared.web.auth import Caller

TODAY = date(2026, 11, 24)
GOOD, SUSPENDED = Standing(suspended=False), Standing(suspended=True)
OWNER = frozenset({"owner:owner"})


class Projection:
    """A need with its engagement rows, as commands/engagements.py moves them."""

    def __init__(self, wanted: int, *, over: bool = False, status: str = "open") -> None:
        self.wanted, self.over, self.status = wanted, over, status
        self.rows: dict[str, Place] = {}

    def formalised(self, match: str) -> None:
        if match not in self.rows:
            self.rows[match] = Place("running")
            self._settle(reopened=False)

    def ended(self, match: str, state: str, *, reopens: bool = False) -> None:
        if match not in self.rows or self.rows[match].state == "running":
            self.rows[match] = Place(state, reopens)
            self._settle(reopened=reopens)

    def _settle(self, *, reopened: bool) -> None:
        places = list(self.rows.values())
        self.status = status_after(self.status, places, self.wanted, over=self.over, reopened=reopened)


def test_a_need_is_engaged_when_all_wanted_partners_are_formalised() -> None:
    need = Projection(2)
    need.formalised("a")
    assert need.status == "open"
    need.formalised("b")
    assert need.status == "engaged"


def test_a_need_is_fulfilled_by_the_last_of_its_projects() -> None:
    need = Projection(2)
    need.formalised("a")
    need.formalised("b")
    need.ended("a", "completed")
    assert need.status == "engaged"
    need.ended("b", "completed")
    assert need.status == "fulfilled"


def test_a_completed_project_keeps_its_place_while_the_other_place_is_still_open() -> None:
    need = Projection(2)
    need.formalised("a")
    need.ended("a", "completed")
    assert need.status == "open"


@pytest.mark.parametrize(("over", "status"), [(False, "open"), (True, "expired")])
def test_a_cancelled_project_reopens_its_need_unless_the_deadline_is_over(over: bool, status: str) -> None:
    need = Projection(1, over=over)
    need.formalised("a")
    need.ended("a", "cancelled", reopens=True)
    assert need.status == status


def test_cancelled_without_reopening_withdraws_the_need() -> None:
    need = Projection(1)
    need.formalised("a")
    need.ended("a", "cancelled", reopens=False)
    assert need.status == "withdrawn"


def test_a_formalised_match_wins_over_a_withdrawal_and_over_the_deadline() -> None:
    for crossed in ("withdrawn", "expired"):
        need = Projection(1, status=crossed)
        need.formalised("a")
        assert need.status == "engaged"


def test_a_late_formalisation_does_not_undo_a_withdrawal_after_the_project_was_cancelled() -> None:
    need = Projection(1)
    need.ended("a", "cancelled", reopens=True)
    need.status = "withdrawn"  # by its owner, in between
    need.formalised("a")
    assert need.status == "withdrawn"


FATES = {
    "completed": lambda need, match: need.ended(match, "completed"),
    "reopens": lambda need, match: need.ended(match, "cancelled", reopens=True),
    "closes": lambda need, match: need.ended(match, "cancelled", reopens=False),
}


@given(
    fates=st.lists(st.sampled_from(["running", *FATES]), min_size=1, max_size=3),
    wanted=st.integers(1, 3),
    over=st.booleans(),
    start=st.sampled_from(["open", "withdrawn"]),
)
def test_the_end_does_not_depend_on_the_order_of_the_news(
    fates: list[str], wanted: int, over: bool, start: str
) -> None:
    news = [(str(n), "formalised") for n in range(len(fates))]
    news += [(str(n), fate) for n, fate in enumerate(fates) if fate != "running"]
    start = "expired" if over and start == "open" else start
    ends = set()
    for order in permutations(news):
        need = Projection(wanted, over=over, status=start)
        for match, what in order:
            need.formalised(match) if what == "formalised" else FATES[what](need, match)
        ends.add(need.status)
    assert len(ends) == 1, ends


@pytest.mark.parametrize("day", ["2026-11-24", "2026-11-23", "2028-11-25"])
def test_a_deadline_is_after_today_and_at_most_two_years_away(day: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_deadline(date.fromisoformat(day), TODAY)
    assert refused.value.members["errors"][0]["pointer"] == "/deadline"
    check_deadline(date(2026, 11, 25), TODAY)
    check_deadline(date(2028, 11, 24), TODAY)


def test_a_need_is_open_until_the_end_of_its_deadline_day() -> None:
    assert not is_over(TODAY, TODAY)
    assert is_over(date(2026, 11, 23), TODAY)


def test_an_open_need_cannot_be_patched_to_fewer_partners_than_it_has() -> None:
    places = [Place("running"), Place("cancelled", reopens=True)]
    check_partners_wanted(2, places)
    with pytest.raises(Invalid):
        check_partners_wanted(1, places)


@pytest.mark.parametrize("status", ["engaged", "fulfilled", "withdrawn", "expired"])
def test_only_drafts_and_open_needs_change(status: str) -> None:
    for table, action in ((LIFECYCLE, "withdraw"), (EDITS, "change")):
        with pytest.raises(Refused) as refused:
            table.check(action, status, GOOD, OWNER)
        assert refused.value.code == "invalid_transition"
        assert refused.value.members["current_status"] == status


def test_a_suspended_institution_posts_nothing_and_is_offered_no_button_for_it() -> None:
    with pytest.raises(Refused) as refused:
        LIFECYCLE.check("post", "draft", SUSPENDED, OWNER)
    assert refused.value.code == "institution_suspended"
    assert LIFECYCLE.actions("draft", SUSPENDED, OWNER) == []
    assert LIFECYCLE.actions("draft", GOOD, OWNER) == ["post"]
    assert LIFECYCLE.actions("open", SUSPENDED, OWNER) == ["withdraw"]


def test_a_reader_and_a_stranger_may_do_nothing() -> None:
    reader = Caller("key:1", frozenset({"reader"}))
    for hats in (frozenset({"owner:reader"}), reader.hats()):
        with pytest.raises(Refused) as refused:
            LIFECYCLE.permit("withdraw", hats)
        assert refused.value.code == "forbidden"


def test_nobody_but_the_system_may_move_what_follows_from_events() -> None:
    everybody = frozenset({"owner:owner", "owner:editor", "operator", "verifier"})
    for status in ("open", "engaged", "withdrawn"):
        assert not {"engage", "fulfil", "reopen", "expire"} & set(LIFECYCLE.actions(status, GOOD, everybody))


def test_years_are_counted_by_the_calendar() -> None:
    assert years_later(date(2028, 2, 29), 1) == date(2029, 2, 28)
    assert years_later(TODAY, 5) == date(2031, 11, 24)
