"""What a person sees: short lines, no colour needed, red figures in words, progress in one line."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from shared.local.demo.figures import Figure
from shared.local.demo.observed import Seen
from shared.local.demo.play import DemoResult, StoryResult
from shared.local.demo.show import WIDTH, Progress, document, pages
from shared.local.demo.story import load_all
from shared.local.demo.timeline import Line, Timeline, merged, short, without_actor, without_titles

STORY = load_all()["leather_eth"]
LONG = "Leather Industry Development Institute (LIDI)"


def line(what: str, kind: str = "MatchAccepted", who: str = LONG, day: str | None = None) -> Line:
    return Line("2026-11-24T09:20:01Z", day, who, what, what, kind)


def result(*figures: Figure, error: str | None = None, writes: int = 3) -> StoryResult:
    lines = [line("accepted the match [for] once.", day="2011-07-01"), line("word " * 60)]
    made = StoryResult(STORY, 1.5, writes, STORY.countries, error=error, figures=list(figures))
    made.timelines = [Timeline("01a20cda-0b06-7006-8006-000000000006", STORY.played[0].title, lines)]
    made.projects = [seen()]
    made.names = {"a": LONG, "b": "Central Leather Research Institute"}
    return made


def seen() -> Seen:
    value = {"amount": "5896000.00", "currency": "USD"}
    gift = {"giver_id": "a", "receiver_id": "b", "description": "Loan", "value": value, "status": "committed"}
    partner = {"institution_id": "a", "name": LONG, "country": "ETH", "role": "beneficiary"}
    partners = [partner | {"from": "2011-07-01", "to": None}, partner | {"from": "2026-11-24", "to": "2026-11-24"}]
    project = {
        "modality": "triangular",
        "status": "completed",
        "started_on": "2011-07-01",
        "completed_on": "2014-12-31",
    }
    children: dict[str, list[dict[str, Any]]] = {"contributions": [gift | {"quantity": None, "unit": None}]}
    return Seen(STORY.played[0], {**project, "partners": partners}, {"cash": [], "in_kind": []}, children)


def printed(outcome: DemoResult) -> str:
    out = io.StringIO()
    console = Console(file=out, width=WIDTH, highlight=False)
    for part in pages(outcome):
        console.print(part)
    return out.getvalue()


def test_no_line_is_wider_than_a_hundred_columns() -> None:
    text = printed(DemoResult([result(Figure("a figure " * 20, "1", "1"))], 2.0))
    assert max(len(row) for row in text.splitlines()) <= 100


def test_without_colour_a_red_figure_says_so_in_words() -> None:
    text = printed(DemoResult([result(Figure("Total, USD", "12,012,841", "12,012,840"))], 2.0))
    [row] = [row for row in text.splitlines() if "Total, USD" in row]
    assert "12,012,841" in row
    assert "12,012,840" in row
    assert "DIFFERS" in row
    assert "\x1b" not in text


def test_a_figure_of_the_source_stands_apart_and_is_not_counted_as_computed() -> None:
    outcome = DemoResult([result(Figure("total", "1", "1"), Figure("women, %", "30", "30", "source"))], 2.0)
    text = printed(outcome)
    assert text.index("Figures: by hand") < text.index("Total") < text.index("Figures from the source alone")
    assert text.index("Figures from the source alone") < text.index("Women, %")
    assert "1 figures computed, 0 red" in outcome.summary


def test_one_red_figure_makes_the_whole_red() -> None:
    good, bad = Figure("a", "1", "1"), Figure("b", "1", "2")
    assert DemoResult([result(good)], 1.0).green
    assert not DemoResult([result(good), result(good, bad)], 1.0).green


def test_a_story_that_did_not_get_through_is_red_and_says_why() -> None:
    outcome = DemoResult([result(error="LIDI: POST matching/matches -> 409 need_not_open")], 1.0)
    assert not outcome.green
    assert "need_not_open" in printed(outcome)


def test_a_second_run_is_recognised() -> None:
    outcome = DemoResult([result(Figure("a", "1", "1"), writes=0)], 1.0)
    assert "nothing changed" in outcome.summary
    assert "nothing changed" in printed(outcome)


def test_roles_that_were_held_on_no_day_are_not_shown() -> None:
    rows = [row for row in printed(DemoResult([result()], 1.0)).splitlines() if row.strip().startswith("beneficiary")]
    assert len(rows) == 1
    assert rows[0].rstrip().endswith("2011-07-01")


def test_text_with_brackets_is_shown_as_it_is() -> None:
    assert "accepted the match [for] once." in printed(DemoResult([result()], 1.0))


def test_the_document_holds_what_the_pages_show() -> None:
    told = json.loads(json.dumps(document(DemoResult([result(Figure("a", "1", "2"))], 1.0))))
    assert told["green"] is False
    [story] = told["stories"]
    assert story["figures"] == [{"what": "a", "expected": "1", "computed": "2", "kind": "computed", "equal": False}]
    assert story["threads"][0]["lines"][0]["happened_on"] == "2011-07-01"
    assert story["sources"] == STORY.sources


def test_progress_is_one_line_of_what_happens_now() -> None:
    progress = Progress()
    progress.tell("", "registering and verifying 53 institutions")
    assert "registering" in str(progress.line())
    progress.tell("rett", "capability and need")
    progress.tell("sita", "done")
    assert str(progress.line()) == "1 stories played · rett: capability and need"


@pytest.mark.parametrize(
    ("summary", "short_form"),
    [
        (
            "A (ETH) accepted the match for “Need N”. Both may formalise it.",
            "A (ETH) accepted the match. Both may formalise it.",
        ),
        ("The project “Phase I” is completed.", "The project is completed."),
        ("A (ETH) pledged “Grant” to B for the project “Phase I”.", "A (ETH) pledged “Grant” to B."),
        ("A delivered “Grant”. B is to confirm it. Project: “Phase I”.", "A delivered “Grant”. B is to confirm it."),
        ("The need “Need N” of A (ETH) is fulfilled.", "The need of A (ETH) is fulfilled."),
        ("The practice “Phase I” was published.", "The practice “Phase I” was published."),
    ],
)
def test_a_line_does_not_repeat_the_titles_of_its_thread(summary: str, short_form: str) -> None:
    assert without_titles(summary, ["Phase I", "Need N"]) == short_form


@pytest.mark.parametrize(
    ("summary", "rest"),
    [
        ("INEFOP (AGO) accepted the match.", "accepted the match."),
        ("UNDP joined the match.", "joined the match."),
        ("INEFOP (AGO) and SENAI (BRA) formalised the match.", "INEFOP (AGO) and SENAI (BRA) formalised the match."),
        ("The project is completed.", "The project is completed."),
        ("INEFOP (AGO)", "INEFOP (AGO)"),
    ],
)
def test_a_line_does_not_repeat_its_actor(summary: str, rest: str) -> None:
    assert without_actor(summary, "UNDP" if summary.startswith("UNDP") else "INEFOP") == rest


def test_many_dated_roles_become_one_line_but_steps_of_the_story_never_do() -> None:
    role, pledge = line("changed", "PartnerRoleChanged"), line("pledged", "ContributionPledged")
    made = merged([role, role, role, pledge, pledge, role])
    assert [(one.type, one.times) for one in made] == [
        ("PartnerRoleChanged", 3),
        ("ContributionPledged", 1),
        ("ContributionPledged", 1),
        ("PartnerRoleChanged", 1),
    ]


def test_long_names_are_shown_by_their_acronym() -> None:
    assert short(LONG) == "LIDI"
    assert short("UNDP") == "UNDP"
    assert short("IBSA Fund (India, Brazil, South Africa)") == "IBSA Fund (India, Brazil, South Africa)"
