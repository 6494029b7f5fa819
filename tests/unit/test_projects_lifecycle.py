"""The state tables of projects, and the small rules beside them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.projects import snapshot
from services.projects.domain import agreements, practices, projects, reports
from services.projects.domain.contributions import CONTRIBUTION
from services.projects.domain.milestones import MILESTONE
from services.projects.domain.projects import PROJECT, ProjectFacts, ProjectStatus
from shared.events.projects import EVENTS
from shared.lifecycle import SYSTEM, Invalid, Lifecycle, Refused
from shared.reference import classifications

READY = ProjectFacts(
    agreed=True,
    roles=frozenset({"beneficiary", "pivotal"}),
    partner_suspended=False,
    milestones_open=False,
    report_signed=True,
)
TODAY = date(2026, 11, 24)
A, B = UUID(int=1), UUID(int=2)


def test_the_life_of_a_project_is_that_of_the_contract() -> None:
    moves = {(source, step.target) for step in PROJECT.steps for source in step.sources}
    assert moves - {("pipeline", "active")} == {
        ("pipeline", "agreed"), ("agreed", "active"), ("active", "suspended"), ("suspended", "active"),
        ("active", "completed"), ("completed", "closed"), ("pipeline", "cancelled"), ("agreed", "cancelled"),
        ("active", "cancelled"), ("suspended", "cancelled"),
    }  # fmt: skip
    # start from the pipeline exists only to be refused with its own code
    with pytest.raises(Refused) as refused:
        PROJECT.check("start", "pipeline", replace(READY, agreed=False), {"leader:owner"})
    assert refused.value.code == "agreement_not_signed"


@pytest.mark.parametrize(
    ("action", "status", "facts", "code"),
    [
        ("start", "agreed", replace(READY, roles=frozenset({"beneficiary"})), "partners_incomplete"),
        ("start", "agreed", replace(READY, partner_suspended=True), "institution_suspended"),
        ("start", "active", READY, "invalid_transition"),
        ("resume", "suspended", replace(READY, partner_suspended=True), "institution_suspended"),
        ("complete", "active", replace(READY, milestones_open=True, report_signed=False), "milestones_open"),
        ("complete", "active", replace(READY, report_signed=False), "completion_report_not_signed"),
        ("complete", "suspended", READY, "invalid_transition"),
        ("close", "active", READY, "invalid_transition"),
        ("cancel", "completed", READY, "invalid_transition"),
    ],
)
def test_each_refusal_has_its_code(action: str, status: str, facts: ProjectFacts, code: str) -> None:
    with pytest.raises(Refused) as refused:
        PROJECT.check(action, status, facts, {"leader:owner"})
    assert refused.value.code == code
    assert action not in PROJECT.actions(status, facts, {"leader:owner"})


@pytest.mark.parametrize("status", ProjectStatus)
def test_facilitators_verifiers_and_editors_move_nothing(status: str) -> None:
    assert PROJECT.actions(status, READY, {"partner:owner", "leader:editor", "verifier", "ever:owner", SYSTEM}) == []


def test_operators_do_not_start_or_complete() -> None:
    assert PROJECT.actions("agreed", READY, {"operator"}) == ["cancel"]
    assert PROJECT.actions("active", READY, {"operator"}) == ["suspend", "cancel"]
    assert PROJECT.actions("active", READY, {"leader:owner"}) == ["suspend", "complete", "cancel"]


def test_every_step_names_an_event_of_projects() -> None:
    known = {event.short_name() for event in EVENTS}
    tables = (PROJECT, agreements.AGREEMENT, CONTRIBUTION, MILESTONE, reports.REPORT, practices.PRACTICE)
    assert {step.event for table in tables for step in table.steps} <= known


def test_the_snapshot_knows_an_event_for_every_status() -> None:
    assert set(snapshot.PROJECT) == set(ProjectStatus)
    assert {"committed", *(s for step in CONTRIBUTION.steps for s in step.sources)} <= set(snapshot.CONTRIBUTION)
    assert {"planned", *(step.target for step in MILESTONE.steps)} == set(snapshot.MILESTONE)


def test_other_needs_words() -> None:
    assert projects.check_reason("funding_lost", None) == {"code": "funding_lost", "text": None}
    assert projects.check_reason("other", "Flood")["text"] == "Flood"
    for text in (None, "", "  "):
        with pytest.raises(Invalid) as invalid:
            projects.check_reason("other", text)
        assert invalid.value.members["errors"][0]["pointer"] == "/text"


def test_days_of_the_project() -> None:
    projects.check_completion_day(TODAY, TODAY, TODAY)
    for completed_on, started_on in ((date(2026, 11, 25), None), (date(2026, 1, 1), date(2026, 2, 1))):
        with pytest.raises(Invalid):
            projects.check_completion_day(completed_on, started_on, TODAY)
    projects.check_plan(TODAY, TODAY)
    projects.check_plan(None, TODAY)
    with pytest.raises(Invalid):
        projects.check_plan(TODAY, date(2026, 11, 23))


def test_a_report_covers_those_who_were_there() -> None:
    assert reports.covers([A, B], [A])
    assert not reports.covers([A], [A, B])
    assert not reports.covers([A], [])


def test_words_are_folded_for_the_search() -> None:
    assert practices.fold(["Séchage  SOLAIRE", None, "\n100 %"]) == "sechage solaire 100 %"
    assert practices.fold(["STRASSE Straße"]) == "strasse strasse"
    assert practices.fold(["የቆዳ"]) == "የቆዳ"
    assert practices.fold([None]) == ""


def test_a_sector_filter_takes_all_below_it() -> None:
    assert practices.isic_below("1511") == ["1511"]
    assert set(practices.isic_below("15")) == {"15", "151", "1511", "1512", "152", "1520"}
    section = practices.isic_below("C")
    assert {"C", "10", "1511", "3320"} <= set(section)
    assert all(classifications.isic_section_of(code) == "C" for code in section)


def test_who_may_replicate_what() -> None:
    practices.check_replication(A, B, "pipeline")
    for source, project, status in ((A, A, "active"), (A, B, "cancelled")):
        with pytest.raises(Invalid):
            practices.check_replication(source, project, status)
    with pytest.raises(Refused) as refused:
        practices.check_source("active")
    assert refused.value.code == "project_not_completed"


@pytest.mark.parametrize("table", [PROJECT, CONTRIBUTION])
def test_the_readme_shows_the_tables_as_they_are(table: Lifecycle[Any]) -> None:
    readme = Path(projects.__file__).parents[1] / "README.md"
    assert table.mermaid() in readme.read_text(encoding="utf-8")
