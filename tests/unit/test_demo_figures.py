"""Figures are worked out from what the APIs answered, and from nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import pytest

from shared.local.demo.client import Actor, Desk, Exchange
from shared.local.demo.figures import Figure, number, of_check, of_project, of_thread, read
from shared.local.demo.institutions import Directory
from shared.local.demo.members import Reading
from shared.local.demo.observed import Observed, Seen
from shared.local.demo.opening import Scene
from shared.local.demo.story import load_all
from shared.reference.vocabulary import Role

FAO = load_all()["fao_uganda"]
TODAY = date(2026, 11, 24)
NOBODY = Actor("nobody", "", "")


@pytest.fixture
def scene() -> Scene:
    """The Uganda story with made-up ids; no request is ever made."""
    exchange = Exchange({}, httpx.AsyncClient(trust_env=False))
    directory = Directory(exchange, NOBODY, NOBODY, ids={one.slug: one.slug for one in FAO.institutions})
    return Scene(FAO, Desk(exchange, FAO.id), directory, TODAY)


def project(**members: Any) -> dict[str, Any]:
    plain = {"id": "p", "correlation_id": "p", "status": "active", "modality": "triangular", "title": "Phase III"}
    days = dict.fromkeys(("started_on", "completed_on", "planned_start_on", "planned_end_on"))
    return plain | days | {"partners": [], "budget": None} | members


def partner(role: str, country: str | None, since: str, until: str | None = None) -> dict[str, Any]:
    return {"institution_id": "i", "name": "n", "country": country, "role": role, "from": since, "to": until}


def cash(giver: str, amount: str, currency: str = "USD", status: str = "committed") -> dict[str, Any]:
    value = {"amount": amount, "currency": currency}
    return {"id": giver, "giver_id": giver, "kind": "cash", "value": value, "status": status, "deliveries": []}


def seen(plan_id: str = "phase_3", totals: dict[str, Any] | None = None, **below: list[dict[str, Any]]) -> Seen:
    children: dict[str, list[dict[str, Any]]] = {
        "agreements": [],
        "contributions": [],
        "milestones": [],
        "reports": [],
        "practices": [],
    } | below
    plan = next(plan for plan in FAO.projects if plan.id == plan_id)
    return Seen(plan, project(), totals or {"cash": [], "in_kind": []}, children)


def usd(committed: str, confirmed: str = "0.00") -> dict[str, Any]:
    row = {
        "currency": "USD",
        "pledged": committed,
        "committed": committed,
        "delivered": confirmed,
        "confirmed": confirmed,
    }
    return {"cash": [row], "in_kind": []}


def phase_3() -> Iterator[Seen]:
    mof, mara = (
        FAO.institution("Ministry of Finance").slug,
        FAO.institution("Ministry of Agriculture and Rural Affairs").slug,
    )
    given = [cash(mof, "9623703.00"), cash(mara, "2389138.00"), cash(mof, "5.00", currency="EUR")]
    yield seen(totals=usd("12012841.00"), contributions=given)


def check(what: str) -> Any:
    return next(check for check in FAO.checks if check.what.startswith(what))


def test_the_share_of_the_beneficiary_is_worked_out_from_the_ledger(scene: Scene) -> None:
    figure = of_check(scene, Observed([*phase_3()]), check("share paid"))
    assert figure == Figure("share paid by the beneficiary, %", "80.1", "80.1")
    assert figure.equal


def test_a_ledger_that_differs_makes_a_red_figure(scene: Scene) -> None:
    figure = of_check(scene, Observed([seen(totals=usd("12012840.00"))]), check("phase III total"))
    assert (figure.expected, figure.computed) == ("12,012,841", "12,012,840")
    assert not figure.equal


def test_money_that_is_not_in_the_ledger_counts_as_nothing(scene: Scene) -> None:
    figure = of_check(scene, Observed([seen()]), check("phase III total"))
    assert figure.computed == "0"


def test_a_check_that_the_system_cannot_work_out_is_marked(scene: Scene) -> None:
    figure = of_check(scene, Observed([*phase_3()]), check("women among farmers"))
    assert figure == Figure("women among farmers", "2,880", "2,880", "source")


def test_partners_are_counted_on_the_day_half_open(scene: Scene) -> None:
    held = [
        partner("beneficiary", "BEN", "2009-01-01"),
        partner("beneficiary", "TGO", "2014-01-01"),
        partner("beneficiary", "MLI", "2009-01-01", "2014-01-01"),
        partner("beneficiary", None, "2009-01-01"),
        partner("pivotal", "BRA", "2009-01-01"),
        partner("beneficiary", "BEN", "2026-11-24", "2026-11-24"),
    ]
    one = seen()
    one.project = project(partners=held)

    def on(day: str) -> Any:
        reading = Reading(kind="partners", project="phase_3", role=Role.BENEFICIARY, on=day)
        return read(scene, Observed([one]), reading)

    assert on("2013-12-31") == ["BEN", "MLI"]
    assert on("2014-01-01") == ["BEN", "TGO"]
    assert on("2008-12-31") == []


def test_only_reached_milestones_of_that_name_count(scene: Scene) -> None:
    milestones = [
        {"title": "Office in Lusaka", "status": "reached"},
        {"title": "Third office", "status": "planned"},
        {"title": "Launch", "status": "reached"},
    ]
    reading = Reading(kind="milestones", project="phase_3", containing="office")
    found = read(scene, Observed([seen(milestones=milestones)]), reading)
    assert [one["title"] for one in found] == ["Office in Lusaka"]


def test_years_are_whole_years_between_two_days_of_the_project(scene: Scene) -> None:
    one = seen()
    one.project = project(started_on="2006-06-01", completed_on="2013-05-31")
    years = Reading(kind="years", project="phase_3", since="started_on", until="completed_on")
    year = Reading(kind="year", project="phase_3", of="completed_on")
    assert (read(scene, Observed([one]), years), read(scene, Observed([one]), year)) == (7, 2013)


def test_a_project_is_compared_with_the_facts(scene: Scene) -> None:
    roles = ("beneficiary", "beneficiary", "pivotal", "facilitating")
    one = seen(totals=usd("12012841.00"), milestones=[{"title": "a", "status": "reached"}] * 4)
    one.project = project(started_on="2022-06-01", partners=[partner(role, None, "2022-06-01") for role in roles])
    assert [figure for figure in of_project(scene, one, several=True) if not figure.equal] == []
    one.project = project(started_on="2022-06-02", status="suspended")
    wrong = [figure.what for figure in of_project(scene, one, several=True) if not figure.equal]
    assert wrong == ["Phase 3: state", "Phase 3: work began", "Phase 3: beneficiary, pivotal, facilitating partners"]


def test_an_event_that_is_missing_is_named(scene: Scene) -> None:
    observed = Observed([seen(agreements=[{"status": "signed"}])])
    observed.threads = {"p": [{"type": "ProjectOpened"}, {"type": "AgreementProposed"}, {"type": "PartnerRoleChanged"}]}
    events = next(figure for figure in of_thread(scene, observed) if figure.what == "Events in the threads")
    assert (events.expected, events.computed) == ("3", "2, 0 AgreementSigned")


def test_an_event_that_stands_twice_is_named(scene: Scene) -> None:
    observed = Observed([seen()])
    observed.threads = {"p": [{"type": "ProjectOpened"}] * 2}
    events = next(figure for figure in of_thread(scene, observed) if figure.what == "Events in the threads")
    assert not events.equal
    assert "2 ProjectOpened" in events.computed


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Decimal("12012841.00"), "12,012,841"),
        (Decimal("80.1"), "80.1"),
        (Decimal(100), "100"),
        (7, "7"),
        (Decimal("1E+3"), "1,000"),
        (1200, "1,200"),
    ],
)
def test_a_number_looks_the_same_however_it_was_written(value: Decimal | int, shown: str) -> None:
    assert number(value) == shown
