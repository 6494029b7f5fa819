"""Every event has words in seven languages, made of what the event tells."""

import string
from datetime import date
from uuid import uuid4

import pytest

from services.notifications.commands.intake import happening_of
from services.notifications.domain.facts import facts_of, percent, placeholders_of
from services.notifications.domain.happening import Happening
from services.notifications.domain.words import LANGUAGES, choose, locale, render, template_of
from shared.messaging.envelope import CloudEvent, Event
from shared.reference import vocabulary
from tests.support import samples as story

HATS = ("beneficiary", "provider", "facilitator")


def happening(event: Event) -> Happening:
    record = CloudEvent(
        id=uuid4(), source="urn:bandung:test:x", type=event.wire, subject=event.subject(), time=story.NOW,
        sequence="0001-0000000001", partitionkey=str(event.key()), correlationid=str(event.correlation()),
        causationid=None, dataschema="", traceparent=None, data=event.model_dump_json().encode(),
    )  # fmt: skip
    return happening_of(record, event)


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("event", story.ALL_EVENTS, ids=lambda event: event.short_name())
def test_every_event_type_has_words_that_its_facts_can_fill(event):
    made = happening(story.sample(event))
    for language in LANGUAGES:
        for template in {template_of(made.name, hat) for hat in ("", *HATS)}:
            assert template != "_other"
            title, text = locale(language)["events"][template]
            assert title
            assert text
            assert placeholders(title + text) <= placeholders_of(made)


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_languages_name_the_same_things(language):
    english, other = locale("en"), locale(language)
    assert other["events"].keys() == english["events"].keys()
    assert other["reasons"].keys() == english["reasons"].keys()
    for name, (title, text) in english["events"].items():
        assert placeholders(other["events"][name][0]) == placeholders(title), name
        assert placeholders(other["events"][name][1]) == placeholders(text), name


def test_every_reason_code_has_words():
    lists = [
        vocabulary.MatchDeclineReason, vocabulary.MatchWithdrawReason, vocabulary.WithdrawReason,
        vocabulary.SuspendReason, vocabulary.SystemReason, vocabulary.VerificationRejectReason,
        vocabulary.DisputeReason, vocabulary.WaiveReason,
    ]  # fmt: skip
    codes = {str(code) for codes in lists for code in codes}
    assert codes <= locale("en")["reasons"].keys()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("event", story.ALL_EVENTS, ids=lambda event: event.short_name())
def test_rendering_leaves_no_hole(event, language):
    made = happening(story.sample(event))
    title, text = render(language, template_of(made.name), facts_of(made), {})
    assert "{" not in title + text
    assert "None" not in title + text


def test_the_words_of_the_contract():
    made = happening(story.sample(story.matching.MatchProposed, story.SYSTEM))
    assert render("en", template_of("MatchProposed", "beneficiary"), facts_of(made), {}) == (
        "New match for your need",
        "Central Leather Research Institute (IND) matches your need with 74 %.",
    )


def test_a_name_learnt_later_replaces_the_one_in_the_event():
    made = happening(story.sample(story.matching.MatchProposed, story.SYSTEM))
    names = {str(story.CLRI): ("CSIR-CLRI", "IND")}
    assert "CSIR-CLRI (IND)" in render("en", "MatchProposed.beneficiary", facts_of(made), names)[1]


def test_an_unknown_institution_shows_as_its_id():
    made = happening(story.sample(story.projects.ContributionPledged, story.by(story.CLRI)))
    assert str(story.CLRI) in render("en", "ContributionPledged", facts_of(made), {})[1]


def test_a_reason_is_said_in_words():
    declined = story.match(status="declined", reason={"code": "capacity_unavailable"})
    made = happening(story.sample(story.matching.MatchDeclined, story.by(story.CLRI), match=declined))
    assert "capacité indisponible" in render("fr", "MatchDeclined", facts_of(made), {})[1]


@pytest.mark.parametrize(
    ("languages", "chosen"), [(["fr", "en"], "fr"), (["am", "fr"], "en"), ([], "en"), (["zh"], "zh")]
)
def test_the_first_language_counts_when_there_are_words_in_it(languages, chosen):
    assert choose(languages) == chosen


@pytest.mark.parametrize(("score", "shown"), [(0.742318, "74"), (0.745, "75"), (1.0, "100"), (0.0, "0")])
def test_percent(score, shown):
    assert percent(score) == shown


def test_an_unknown_event_has_words_too():
    made = Happening("NewThing", "things/1", "public", frozenset(), None, "api", date(2026, 11, 24), {})
    assert render("en", template_of("NewThing"), facts_of(made), {})[1] == "There is news of the type NewThing."
