"""The rules of a match, read from the table that enforces them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from services.matching.domain import facilitators, formalising, review
from services.matching.domain.matches import (
    LIFECYCLE,
    OPEN,
    STATUSES,
    MatchFacts,
    acceptance_expires,
    check_reason,
    proposal_expires,
    reminder_due,
)
from services.matching.engine.policy import POLICY_1
from services.matching.store.policies import document_of, policy_of
from services.matching.tables import PolicyRow
from shared.lifecycle import Invalid, Refused

NOBODY = MatchFacts(None, None)
PROVIDER_IN = MatchFacts(None, "interested")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("hat", ["beneficiary:owner", "provider:owner", "beneficiary:editor", "provider:editor"])
def test_nothing_happens_to_a_closed_match(status: str, hat: str) -> None:
    actions = LIFECYCLE.actions(status, PROVIDER_IN, {hat})
    assert bool(actions) == (status in OPEN)


@pytest.mark.parametrize("hat", ["beneficiary:reader", "provider:reader", "operator", "verifier", "facilitator:owner"])
@pytest.mark.parametrize("status", STATUSES)
def test_readers_staff_and_facilitators_answer_nothing(hat: str, status: str) -> None:
    assert LIFECYCLE.actions(status, PROVIDER_IN, {hat}) == []
    for action in ("express-interest", "accept", "decline", "formalise"):
        with pytest.raises(Refused) as refused:
            LIFECYCLE.check(action, status, PROVIDER_IN, {hat})
        assert refused.value.code == "forbidden"


def test_what_each_side_may_do_follows_what_was_said() -> None:
    beneficiary, provider = {"beneficiary:owner"}, {"provider:owner"}
    assert LIFECYCLE.actions("proposed", NOBODY, beneficiary) == ["express-interest", "decline"]
    assert LIFECYCLE.actions("interested", PROVIDER_IN, beneficiary) == ["express-interest", "accept", "decline"]
    assert LIFECYCLE.actions("interested", PROVIDER_IN, provider) == ["decline"]
    both = MatchFacts("interested", "interested")
    assert LIFECYCLE.actions("accepted", both, provider) == ["decline", "formalise"]
    confirmed = MatchFacts("interested", "interested", ("provider",))
    assert LIFECYCLE.actions("accepted", confirmed, provider) == ["decline"]
    assert LIFECYCLE.actions("accepted", both, {"provider:editor"}) == ["decline"]
    assert LIFECYCLE.actions("accepted", both, provider, can_sign=False) == ["decline"]


@pytest.mark.parametrize(("status", "facts"), [("proposed", NOBODY), ("interested", MatchFacts("interested", None))])
def test_accepting_waits_for_the_provider(status: str, facts: MatchFacts) -> None:
    with pytest.raises(Refused) as refused:
        LIFECYCLE.check("accept", status, facts, {"beneficiary:editor"})
    assert refused.value.code == "provider_not_interested"


def test_a_proposal_lasts_21_days_but_not_beyond_the_deadlines_day() -> None:
    assert proposal_expires(NOON, date(2027, 1, 31)) == NOON + timedelta(days=21)
    assert proposal_expires(NOON, date(2026, 11, 26)) == datetime(2026, 11, 27, tzinfo=UTC)
    assert acceptance_expires(NOON, date(2027, 1, 31)) == NOON + timedelta(days=30)
    assert acceptance_expires(NOON, date(2026, 12, 1)) == datetime(2026, 12, 2, tzinfo=UTC)


def test_a_reminder_that_would_lie_in_the_past_is_none() -> None:
    assert reminder_due(NOON, NOON + timedelta(days=21)) == NOON + timedelta(days=14)
    assert reminder_due(NOON, NOON + timedelta(days=7)) is None


def test_other_needs_words() -> None:
    check_reason("timing", None)
    check_reason("other", "We moved")
    for text in (None, "", "  "):
        with pytest.raises(Invalid) as refused:
            check_reason("other", text)
        assert refused.value.members["errors"][0]["pointer"] == "/text"


def situation(**changes: object) -> formalising.Situation:
    values: dict[str, object] = {
        "parties": [("LIDI", "verified"), ("CLRI", "verified")],
        "need_status": "open",
        "partners_wanted": 1,
        "partners_found": 0,
        "capacity": 1,
        "engaged": 0,
    }
    return formalising.Situation(**(values | changes))  # type: ignore[arg-type]


WRONG: list[tuple[str, dict[str, object]]] = [
    ("institution_not_verified", {"parties": [("LIDI", None), ("CLRI", "suspended")]}),
    ("institution_suspended", {"parties": [("LIDI", "verified"), ("CLRI", "suspended")]}),
    ("need_not_open", {"need_status": "withdrawn"}),
    ("need_already_engaged", {"partners_found": 1}),
    ("capacity_exhausted", {"engaged": 1}),
]


@pytest.mark.parametrize("first", range(len(WRONG)))
def test_the_first_fault_in_the_contracts_order_is_the_answer(first: int) -> None:
    faults: dict[str, object] = {}
    for _, changes in reversed(WRONG[first:]):
        faults |= changes
    with pytest.raises(Refused) as refused:
        formalising.check(situation(**faults))
    assert refused.value.code == WRONG[first][0]


@pytest.mark.parametrize("status", ["open", "engaged"])
def test_a_need_with_a_free_place_can_be_engaged_whatever_registry_shows_so_far(status: str) -> None:
    formalising.check(situation(need_status=status))


@pytest.mark.parametrize(
    ("capability", "standings", "excluded", "code"),
    [
        ("withdrawn", ["suspended"], [], "capability_withdrawn"),
        ("expired", ["verified"], [], "capability_expired"),
        ("published", ["verified", "suspended"], ["provider_suspended"], "institution_suspended"),
        ("published", ["verified"], ["renewal_overdue"], "capability_expired"),
        ("published", ["registered"], ["provider_not_verified"], "no_longer_eligible"),
        ("published", ["verified"], ["no_free_capacity"], None),
        ("published", ["verified"], ["no_free_capacity", "country_not_served"], "no_longer_eligible"),
        ("published", ["verified"], [], None),
    ],
)
def test_why_a_pair_can_stand_no_longer(
    capability: str, standings: list[str], excluded: list[str], code: str | None
) -> None:
    assert review.pair_reason(capability, standings, excluded) == code


@pytest.mark.parametrize(
    ("status", "engaged", "code"),
    [
        ("open", False, None),
        ("engaged", False, None),
        ("open", True, "need_engaged"),
        ("withdrawn", True, "need_withdrawn"),
        ("expired", False, "need_expired"),
        ("fulfilled", False, "need_engaged"),
    ],
)
def test_why_a_need_holds_no_open_match_any_more(status: str, engaged: bool, code: str | None) -> None:
    assert review.need_reason(status, engaged=engaged) == code


@pytest.mark.parametrize("match_status", STATUSES)
@pytest.mark.parametrize("invitation", ["invited", "joined", "declined", "lapsed"])
def test_an_invitation_is_answered_once_while_the_match_is_accepted(match_status: str, invitation: str) -> None:
    facts = facilitators.InvitationFacts(match_status)
    expected = ["join", "decline"] if (match_status, invitation) == ("accepted", "invited") else []
    assert facilitators.LIFECYCLE.actions(invitation, facts, {"facilitator:editor"}) == expected


def test_a_policy_is_the_same_after_it_was_stored() -> None:
    assert policy_of(_stored(document_of(POLICY_1))) == POLICY_1


def test_a_criterion_that_came_later_weighs_nothing_in_a_policy_stored_before() -> None:
    document = document_of(POLICY_1)
    weights = dict(document["weights"])
    weights["text"] += weights.pop("goods")
    assert policy_of(_stored(document | {"weights": weights})).weights == weights | {"goods": 0.0}


def _stored(document: dict[str, Any]) -> PolicyRow:
    return PolicyRow(version=1, status="active", document=document, made_at=datetime(2026, 11, 24, tzinfo=UTC))
