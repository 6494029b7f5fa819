"""Who is told of what, whose turn it is, and until when."""

from datetime import date
from uuid import UUID

import pytest

from services.notifications.domain.recipients import Told, institution_recipient, partners_on, told
from shared.events.matching import (
    FacilitatorDeclined,
    FacilitatorInvited,
    FacilitatorJoined,
    MatchAccepted,
    MatchConfirmed,
    MatchDeclined,
    MatchInterestExpressed,
    MatchProposed,
    MatchReminderDue,
    MatchWithdrawn,
)  # fmt: skip
from shared.events.notifications import WebhookDisabled
from shared.events.projects import (
    AgreementProposed,
    ContributionDelivered,
    ContributionDisputed,
    PartnerRoleChanged,
    PracticeReplicated,
    ProjectStarted,
    ReportSubmitted,
)  # fmt: skip
from shared.events.registry import (
    CapabilityExpired,
    CentreStatusChanged,
    InstitutionVerified,
    NeedEngaged,
    NeedPosted,
    VerificationSubmitted,
)  # fmt: skip
from tests.support.samples import (
    CLRI,
    EXPIRES,
    GIZ,
    LIDI,
    OPERATOR,
    SYSTEM,
    TODAY,
    agreement,
    by,
    contribution,
    facilitator,
    match,
    project,
    report,
    role,
    sample,
)  # fmt: skip
from tests.unit.test_notifications_words import happening


def heard(event, present=None) -> dict[str, Told]:
    entries = told(happening(event), present)
    assert len({one.recipient for one in entries}) == len(entries)
    return {one.recipient: one for one in entries}


def recipients(event, present=None) -> set[str]:
    return set(heard(event, present))


def names(*ids: UUID) -> set[str]:
    return {institution_recipient(one) for one in ids}


def test_a_proposal_is_told_to_both_sides_with_its_deadline():
    entries = heard(sample(MatchProposed, SYSTEM))
    assert set(entries) == names(LIDI, CLRI)
    assert {one.hat for one in entries.values()} == {"beneficiary", "provider"}
    assert all(one.action_required and one.due_at == EXPIRES for one in entries.values())


def test_nobody_is_told_of_its_own_act():
    declined = match(status="declined", reason={"code": "timing"})
    assert recipients(sample(MatchDeclined, by(CLRI), match=declined)) == names(LIDI)
    assert recipients(sample(NeedPosted, by(LIDI))) == set()


def test_the_system_tells_all_parties_and_the_owner():
    assert recipients(sample(MatchWithdrawn, SYSTEM, match=match(status="withdrawn"))) == names(LIDI, CLRI)
    assert recipients(sample(NeedEngaged, SYSTEM)) == names(LIDI)
    assert recipients(sample(CapabilityExpired, SYSTEM)) == names(CLRI)


def test_what_an_operator_does_is_told_to_the_institution():
    assert recipients(sample(InstitutionVerified, OPERATOR)) == names(LIDI)


@pytest.mark.parametrize(
    ("event", "state", "turn"),
    [
        (
            MatchInterestExpressed,
            {"status": "interested", "answers": {"provider": "interested", "beneficiary": None}},
            {LIDI},
        ),
        (
            MatchInterestExpressed,
            {"status": "interested", "answers": {"provider": None, "beneficiary": "interested"}},
            {CLRI},
        ),
        (MatchAccepted, {"status": "accepted", "confirmations": []}, {LIDI, CLRI}),
        (MatchConfirmed, {"status": "accepted", "confirmations": ["provider"]}, {LIDI}),
    ],
)
def test_whose_turn_it_is_in_a_match(event, state, turn):
    both = {"provider": "interested", "beneficiary": "interested"}
    entries = heard(sample(event, SYSTEM, match=match(**{"answers": both, **state})))
    asked = {name for name, one in entries.items() if one.action_required}
    assert asked == names(*turn)
    assert all((one.due_at == EXPIRES) == one.action_required for one in entries.values())


@pytest.mark.parametrize(
    ("state", "reminded"),
    [
        ({"status": "proposed"}, {LIDI, CLRI}),
        ({"status": "interested", "answers": {"provider": "interested", "beneficiary": None}}, {LIDI}),
        ({"status": "interested", "answers": {"provider": "interested", "beneficiary": "interested"}}, {LIDI}),
        ({"status": "accepted", "confirmations": ["beneficiary"]}, {CLRI}),
    ],
)
def test_a_reminder_goes_to_the_side_that_has_not_answered(state, reminded):
    assert recipients(sample(MatchReminderDue, SYSTEM, match=match(**state))) == names(*reminded)


def test_an_invitation_is_told_to_the_invited_and_the_other_principal():
    invited = match(status="accepted", facilitators=[facilitator()])
    entries = heard(sample(FacilitatorInvited, by(LIDI), match=invited))
    assert set(entries) == names(CLRI, GIZ)
    assert entries[institution_recipient(GIZ)].hat == "facilitator"
    assert {name for name, one in entries.items() if one.action_required} == names(GIZ)


@pytest.mark.parametrize(("event", "status"), [(FacilitatorJoined, "joined"), (FacilitatorDeclined, "declined")])
def test_both_principals_hear_the_facilitators_answer(event, status):
    answered = match(status="accepted", facilitators=[facilitator(status=status)])
    assert recipients(sample(event, by(GIZ), match=answered)) == names(LIDI, CLRI)


def test_a_joined_facilitator_hears_of_the_match():
    joined = match(status="withdrawn", facilitators=[facilitator(status="joined")])
    assert recipients(sample(MatchWithdrawn, SYSTEM, match=joined)) == names(LIDI, CLRI, GIZ)


def test_all_partners_of_a_project_but_those_that_left():
    partners = [role(LIDI, "beneficiary"), role(CLRI, "pivotal"), role(GIZ, "facilitating", to=TODAY)]
    started = sample(ProjectStarted, by(CLRI), project=project(partners=partners))
    assert recipients(started) == names(LIDI)
    leaving = sample(PartnerRoleChanged, by(CLRI), project=project(partners=partners))
    assert recipients(leaving) == names(LIDI, GIZ)
    staying = [role(LIDI, "beneficiary"), role(GIZ, "facilitating", to=date(2027, 1, 1))]
    assert recipients(sample(ProjectStarted, by(CLRI), project=project(partners=staying))) == names(LIDI, GIZ)


@pytest.mark.parametrize(
    ("event", "actor", "turn"),
    [
        (AgreementProposed, CLRI, {LIDI}),
        (ContributionDelivered, CLRI, {LIDI}),
        (ContributionDisputed, LIDI, {CLRI}),
        (ReportSubmitted, LIDI, {CLRI}),
    ],
)
def test_whose_turn_it_is_in_a_project(event, actor, turn):
    entries = heard(sample(event, by(actor)))
    assert {name for name, one in entries.items() if one.action_required} == names(*turn)


def test_a_progress_report_asks_for_nothing():
    entries = heard(sample(ReportSubmitted, by(LIDI), report=report(kind="progress", signatures=[])))
    assert [one.action_required for one in entries.values()] == [False]


ALL_THREE = [LIDI, CLRI, GIZ]


def asked(event, present=None) -> set[str]:
    return {name for name, one in heard(event, present).items() if one.action_required}


def signatures(signed, missing):
    both = [*((one, TODAY) for one in signed), *((one, None) for one in missing)]
    return [{"institution_id": one, "signed_on": day} for one, day in both]


@pytest.mark.parametrize("missing", [[], [CLRI], [CLRI, GIZ]])
def test_those_are_asked_to_sign_whose_signature_is_missing(missing):
    state = report(partner_ids=ALL_THREE, signatures=signatures([LIDI], missing))
    assert asked(sample(ReportSubmitted, by(LIDI), report=state)) == names(*missing)
    state = agreement(partner_ids=ALL_THREE, parties=signatures([LIDI], missing))
    assert asked(sample(AgreementProposed, by(LIDI), agreement=state)) == names(*missing)


def test_a_partner_that_has_left_hears_no_more_of_the_parts_of_a_project():
    state = report(partner_ids=ALL_THREE)
    submitted = sample(ReportSubmitted, by(LIDI), report=state)
    assert recipients(submitted) == names(CLRI, GIZ)  # nothing is known of the project
    assert recipients(submitted, {state["project_id"]: frozenset({LIDI, CLRI})}) == names(CLRI)
    assert recipients(submitted, {UUID(int=1): frozenset({LIDI, CLRI})}) == names(CLRI, GIZ)


def test_a_partner_that_has_left_is_still_told_what_it_owes():
    delivered = contribution(partner_ids=ALL_THREE, receiver_id=GIZ)
    present = {delivered["project_id"]: frozenset({LIDI, CLRI})}
    event = sample(ContributionDelivered, by(CLRI), contribution=delivered)
    assert recipients(event, present) == names(LIDI, GIZ)
    assert asked(event, present) == names(GIZ)


def test_who_has_left_one_project_may_be_a_partner_of_the_other():
    event = sample(PracticeReplicated, OPERATOR)
    source, reusing = event.practice.project_id, event.replication.project_id
    assert recipients(event, {source: frozenset({CLRI})}) == names(CLRI, GIZ)
    assert recipients(event, {source: frozenset({CLRI}), reusing: frozenset()}) == names(CLRI)


def test_a_role_that_is_over_on_the_day_is_not_held():
    roles = [(LIDI, None), (CLRI, str(TODAY)), (CLRI, None), (GIZ, str(TODAY))]
    partners = [{"institution_id": str(one), "to": to} for one, to in roles]
    assert partners_on({"partners": partners}, TODAY) == {LIDI, CLRI}


def test_a_replication_is_told_to_the_partners_of_both_projects():
    assert recipients(sample(PracticeReplicated, by(GIZ))) == names(LIDI, CLRI)


def test_a_verification_is_told_to_the_verifier_alone():
    entries = heard(sample(VerificationSubmitted, OPERATOR))
    assert set(entries) == {"role:verifier"}
    assert entries["role:verifier"].action_required


def test_a_disabled_webhook_is_told_to_the_operator_and_its_owner():
    assert recipients(sample(WebhookDisabled, SYSTEM)) == {"role:operator"} | names(LIDI)
    assert recipients(sample(WebhookDisabled, by(LIDI))) == {"role:operator"}


def test_a_centre_concerns_nobody_in_particular():
    assert recipients(sample(CentreStatusChanged, OPERATOR)) == set()
