"""The language: wire types are pinned, each event has a declared topic, nobody sees what is private."""

from __future__ import annotations

import pytest

from shared.events import matching, notifications, projects, registry
from shared.events.topics import TOPICS
from shared.messaging.envelope import Event, Visibility

EVENTS = (*registry.EVENTS, *matching.EVENTS, *projects.EVENTS, *notifications.EVENTS)

# topic -> events of contract section 15; renaming a class must break this test, not a partner
PINNED = {
    "registry.institutions": "InstitutionRegistered InstitutionUpdated InstitutionVerified "
    "InstitutionVerificationExpired InstitutionSuspended InstitutionReinstated",
    "registry.capabilities": "CapabilityPublished CapabilityUpdated CapabilityWithdrawn CapabilityExpired",
    "registry.needs": "NeedPosted NeedUpdated NeedWithdrawn NeedExpired NeedEngaged NeedReopened NeedFulfilled",
    "registry.centres": "CentreStatusChanged",
    "registry.countries": "CountryStatusChanged",
    "registry.trade": "TradeProfileChanged",
    "registry.reviews": "VerificationSubmitted",
    "matching.matches": "MatchProposed MatchInterestExpressed MatchAccepted MatchDeclined MatchConfirmed "
    "MatchFormalised MatchExpired MatchWithdrawn MatchReminderDue MatchMessageSent "
    "MatchQuestionAsked MatchQuestionAnswered FacilitatorInvited FacilitatorJoined FacilitatorDeclined",
    "matching.policies": "PolicyActivated RoundCompleted",
    "projects.projects": "ProjectOpened PartnerRoleChanged ProjectStarted ProjectSuspended ProjectResumed "
    "ProjectCancelled ProjectCompleted ProjectClosed AgreementProposed AgreementSigned ContributionPledged "
    "ContributionCommitted ContributionDelivered ContributionConfirmed ContributionDisputed MilestonePlanned "
    "MilestoneReached MilestoneWaived ReportSubmitted ReportSigned",
    "projects.practices": "PracticePublished PracticeReplicated",
    "notifications.webhooks": "WebhookDisabled",
}


def test_wire_types_are_pinned() -> None:
    found: dict[str, set[str]] = {}
    for event in EVENTS:
        found.setdefault(event.topic, set()).add(event.wire)
    assert found == {t: {f"org.bandung.{name}.v1" for name in names.split()} for t, names in PINNED.items()}


def test_no_wire_type_stands_twice() -> None:
    assert len({event.wire for event in EVENTS}) == len(EVENTS)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.short_name())
def test_every_event_has_a_declared_topic_and_says_who_did_it(event: type[Event]) -> None:
    assert event.topic in {topic.name for topic in TOPICS}
    assert "by" in event.model_fields
    assert event.__name__ == event.short_name()


def test_what_is_public_is_what_the_contract_says() -> None:
    public_topics = ("registry.institutions", "registry.capabilities", "registry.needs", "registry.centres")
    public_topics += ("registry.countries", "registry.trade", "projects.practices", "matching.policies")
    public = {event.short_name() for event in EVENTS if event.visibility is Visibility.PUBLIC}
    wanted = {name for topic in public_topics for name in PINNED[topic].split()}
    assert public == wanted | {"ProjectStarted", "ProjectCompleted"}


def test_reviews_are_private() -> None:
    assert {e.short_name() for e in EVENTS if e.visibility is Visibility.PRIVATE} == {"VerificationSubmitted"}


def test_topics_have_the_cleanup_of_the_contract() -> None:
    by_name = {topic.name: topic for topic in TOPICS}
    assert all(topic.partitions == 6 for topic in TOPICS)
    assert by_name["registry.institutions"].config() == {
        "cleanup.policy": "compact",
        "min.compaction.lag.ms": str(14 * 86_400_000),
    }
    assert by_name["registry.needs"].config()["retention.ms"] == "-1"
    assert by_name["registry.reviews"].config()["retention.ms"] == str(14 * 86_400_000)
