"""Contributions, milestones, reports and the completion."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from shared.ops.ids import new_id
from tests.support.projects import Institution, Twinning, desk, today, twinning
from tests.support.stack import RunningService, running_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(parts: Parts) -> AsyncIterator[RunningService]:
    async with running_service(parts, "projects") as running:
        yield running


def refused(answer: httpx.Response, status: int, code: str, pointer: str | None = None) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json()["code"] == code, answer.text
    if pointer is not None:
        assert pointer in [error["pointer"] for error in answer.json()["errors"]], answer.text


async def test_a_pledge_shows_what_the_contract_shows(service: RunningService) -> None:
    pair = twinning(service)
    await pair.opened()
    made = await pair.pivotal.post(f"{pair.path}/contributions", pair.experts(), None)
    assert made.headers["x-correlation-id"] == str(pair.match.need_id)
    assert made.headers["etag"] == '"1"'
    given = made.json()
    assert given == {
        "id": given["id"], "version": 1, "status": "pledged", "project_id": str(pair.match.project_id),
        "giver_id": str(pair.clri.id), "receiver_id": str(pair.lidi.id), "resource_kind": "technical",
        "kind": "in_kind", "unit": "expert_day", "quantity": "120",
        "value": {"amount": "48000.00", "currency": "USD"}, "valuation_method": "daily_rate",
        "description": "Two effluent specialists", "due_on": "2027-06-30", "deliveries": [], "actions": ["commit"],
    }  # fmt: skip
    assert (await pair.pivotal.get(made.headers["location"])).json() == given
    seen = (await pair.beneficiary.get(f"{pair.path}/contributions")).json()["items"]
    assert seen == [given | {"actions": []}]


@pytest.mark.parametrize(
    ("kind", "change", "pointer"),
    [
        ("cash", {"unit": "expert_day"}, "/unit"),
        ("cash", {"quantity": "1"}, "/quantity"),
        ("cash", {"value": None}, "/value"),
        ("cash", {"value": {"amount": 5, "currency": "USD"}}, "/value/amount"),
        ("cash", {"value": {"amount": "5.5", "currency": "JPY"}}, "/value/amount"),
        ("experts", {"unit": None}, "/unit"),
        ("experts", {"quantity": None}, "/quantity"),
        ("experts", {"quantity": "0"}, "/quantity"),
        ("experts", {"quantity": 120}, "/quantity"),
        ("experts", {"valuation_method": None}, "/valuation_method"),
        ("experts", {"value": None}, "/valuation_method"),
        ("experts", {"unit": "hour"}, "/unit"),
        ("experts", {"receiver_id": "01a20cda-0a01-7001-8001-000000000001"}, "/receiver_id"),
        ("experts", {"description": "   "}, "/description"),
        ("experts", {"giver_id": "01a20cda-0a01-7001-8001-000000000001"}, "/giver_id"),
    ],
)
async def test_a_pledge_that_does_not_fit_its_kind(
    service: RunningService, kind: str, change: dict[str, object], pointer: str
) -> None:
    pair = twinning(service)
    await pair.opened()
    body = getattr(pair, kind)() | change
    refused(await pair.pivotal.post(f"{pair.path}/contributions", body, None), 422, "validation_failed", pointer)


async def test_the_giver_is_not_the_receiver(service: RunningService) -> None:
    pair = twinning(service)
    await pair.opened()
    path = f"{pair.path}/contributions"
    mine = pair.experts(receiver_id=str(pair.clri.id))
    refused(await pair.pivotal.post(path, mine, None), 422, "validation_failed", "/receiver_id")
    without_value = pair.experts(value=None, valuation_method=None)
    assert (await pair.pivotal.post(path, without_value, None)).json()["value"] is None
    refused(await desk(service, pair.clri, "reader").post(path, pair.experts(), None), 403, "forbidden")


async def test_cash_is_delivered_in_parts_and_added_up_exactly(service: RunningService) -> None:
    pair = twinning(service)
    await pair.opened()
    path = f"{pair.path}/contributions"
    # the figures of the technology transfer to Zambia
    sums = ["280084.00", "239565.00", "197046.00", "292701.00"]
    made = [await pair.pivotal.made(path, pair.cash(amount)) for amount in sums]
    yen = await pair.pivotal.made(path, pair.cash("1000", "JPY"))
    assert yen["value"] == {"amount": "1000", "currency": "JPY"}
    assert (await pair.pivotal.get(f"{pair.path}/totals")).json()["cash"] == [
        {"currency": "JPY", "pledged": "1000", "committed": "0", "delivered": "0", "confirmed": "0"},
        {"currency": "USD", "pledged": "1009396.00", "committed": "0.00", "delivered": "0.00", "confirmed": "0.00"},
    ]
    deliver = f"/contributions/{made[0]['id']}/deliver"
    refused(await pair.pivotal.post(deliver, {"delivered_on": today()}), 409, "invalid_transition")
    await pair.pivotal.done(f"/contributions/{made[0]['id']}/commit")
    refused(await pair.pivotal.post(deliver, {"delivered_on": today()}), 409, "invalid_transition")  # not active yet
    await _activate(pair)
    part = {"delivered_on": today(), "amount": "80084.5"}
    refused(await pair.pivotal.post(deliver, part | {"amount": "280084.01"}), 422, "validation_failed", "/amount")
    refused(await pair.pivotal.post(deliver, part | {"amount": "0"}), 422, "validation_failed", "/amount")
    wrong = {"delivered_on": today(), "quantity": "1"}
    refused(await pair.pivotal.post(deliver, wrong), 422, "validation_failed", "/quantity")
    late = {"delivered_on": today(1)}
    refused(await pair.pivotal.post(deliver, late), 422, "validation_failed", "/delivered_on")
    partly = await pair.pivotal.done(deliver, part)
    assert (partly["status"], partly["deliveries"][0]["amount"]) == ("committed", "80084.50")
    whole = await pair.pivotal.done(deliver, {"delivered_on": today()})
    assert (whole["status"], whole["deliveries"][1]["amount"]) == ("delivered", "199999.50")
    refused(await pair.pivotal.post(deliver, {"delivered_on": today()}), 409, "invalid_transition")
    first = {"delivery_id": whole["deliveries"][0]["id"]}
    assert (await pair.beneficiary.done(f"/contributions/{made[0]['id']}/confirm", first))["status"] == "delivered"
    totals = (await pair.pivotal.get(f"{pair.path}/totals")).json()["cash"][1]
    assert totals == {
        "currency": "USD", "pledged": "1009396.00", "committed": "280084.00", "delivered": "280084.00",
        "confirmed": "80084.50",
    }  # fmt: skip


async def _activate(pair: Twinning) -> None:
    agreement = await pair.beneficiary.made(f"{pair.path}/agreements", pair.agreement())
    for partner in (pair.beneficiary, pair.pivotal):
        await partner.done(f"/agreements/{agreement['id']}/sign", {"signed_on": today()})
    await pair.pivotal.done(f"{pair.path}/start", {"started_on": today()})


async def test_a_disputed_delivery_is_delivered_again_or_confirmed_later(service: RunningService) -> None:
    pair = twinning(service)
    await pair.active()
    given = await pair.pivotal.made(f"{pair.path}/contributions", pair.experts())
    path = f"/contributions/{given['id']}"
    await pair.pivotal.done(f"{path}/commit")
    refused(await pair.beneficiary.post(f"{path}/confirm"), 409, "invalid_transition")
    first = (await pair.pivotal.done(f"{path}/deliver", {"delivered_on": today(), "quantity": "50"}))["deliveries"][0]
    assert (await pair.pivotal.done(f"{path}/deliver"))["deliveries"][1]["delivered_on"] == today()
    refused(await pair.pivotal.post(f"{path}/confirm"), 403, "forbidden")
    refused(await desk(service, None, "operator").post(f"{path}/confirm"), 403, "forbidden")
    refused(await desk(service, pair.lidi, "owner", can_sign=False).post(f"{path}/confirm"), 403, "forbidden")
    refused(await desk(service, pair.lidi, "editor").post(f"{path}/confirm"), 403, "forbidden")
    dispute = {"delivery_id": first["id"], "reason_code": "not_received"}
    refused(
        await pair.beneficiary.post(f"{path}/dispute", dispute | {"delivery_id": str(new_id())}),
        422, "validation_failed", "/delivery_id",
    )  # fmt: skip
    other = dispute | {"reason_code": "other"}
    refused(await pair.beneficiary.post(f"{path}/dispute", other), 422, "validation_failed", "/text")
    disputed = await pair.beneficiary.done(f"{path}/dispute", dispute)
    assert disputed["status"] == "committed"
    totals = (await pair.pivotal.get(f"{pair.path}/totals")).json()["in_kind"][0]
    assert (totals["delivered"], totals["confirmed"]) == ("70", "0")
    refused(await pair.beneficiary.post(f"{path}/dispute", dispute), 409, "invalid_transition")
    again = await pair.pivotal.done(f"{path}/deliver", {"delivered_on": today(), "quantity": "30"})
    assert again["status"] == "committed"
    refused(await pair.beneficiary.post(f"{path}/confirm", {"delivery_id": first["id"]}), 409, "invalid_transition")
    await pair.pivotal.done(f"{path}/deliver", {"delivered_on": today()})
    confirmed = await pair.beneficiary.done(f"{path}/confirm")
    assert confirmed["status"] == "confirmed"
    assert [delivery["status"] for delivery in confirmed["deliveries"]] == ["disputed", *["confirmed"] * 3]
    assert confirmed["actions"] == []

    second = await pair.pivotal.made(f"{pair.path}/contributions", pair.experts())
    path = f"/contributions/{second['id']}"
    await pair.pivotal.done(f"{path}/commit")
    whole = (await pair.pivotal.done(f"{path}/deliver", {"delivered_on": today()}))["deliveries"][0]
    await pair.beneficiary.done(f"{path}/dispute", dispute | {"delivery_id": whole["id"]})
    assert (await pair.beneficiary.done(f"{path}/confirm", {"delivery_id": whole["id"]}))["status"] == "confirmed"


async def test_two_deliveries_at_once_never_exceed_what_was_promised(service: RunningService) -> None:
    pair = twinning(service)
    await pair.active()
    given = await pair.pivotal.made(f"{pair.path}/contributions", pair.experts())
    path = f"/contributions/{given['id']}"
    await pair.pivotal.done(f"{path}/commit")
    body = {"delivered_on": today(), "quantity": "70"}
    answers = await asyncio.gather(*(pair.pivotal.post(f"{path}/deliver", body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 422, 422, 422]


async def test_milestones_hold_up_the_completion(service: RunningService) -> None:
    pair = twinning(service)
    await pair.active()
    path = f"{pair.path}/milestones"
    plan = {"title": "First plant runs", "due_on": "2027-03-31"}
    refused(await desk(service, pair.lidi, "editor").post(path, plan, None), 403, "forbidden")
    made = await pair.beneficiary.post(path, plan, None)
    milestone = made.json()
    assert milestone == {
        "id": milestone["id"], "version": 1, "status": "planned", "project_id": str(pair.match.project_id),
        "title": "First plant runs", "due_on": "2027-03-31", "reached_on": None, "reason": None,
        "actions": ["reach", "waive"],
    }  # fmt: skip
    assert (await pair.beneficiary.get(made.headers["location"])).json() == milestone
    second = await desk(service, None, "operator").made(path, {"title": "Second"})
    report = await pair.beneficiary.made(f"{pair.path}/reports", pair.report())
    for partner in (pair.beneficiary, pair.pivotal):
        await partner.done(f"/reports/{report['id']}/sign")
    complete = (f"{pair.path}/complete", {"completed_on": today()})
    refused(await pair.pivotal.post(*complete), 409, "milestones_open")
    reach = f"/milestones/{milestone['id']}/reach"
    refused(await pair.pivotal.post(reach, {"reached_on": today(1)}), 422, "validation_failed", "/reached_on")
    refused(await pair.pivotal.post(reach, {"reached_on": today()}, None), 428, "precondition_required")
    assert (await pair.pivotal.done(reach, {"reached_on": today()}))["status"] == "reached"
    refused(await pair.pivotal.post(reach, {"reached_on": today()}), 409, "invalid_transition")
    refused(await pair.pivotal.post(*complete), 409, "milestones_open")
    waive = f"/milestones/{second['id']}/waive"
    refused(await pair.pivotal.post(waive, {}), 422, "validation_failed", "/reason_code")
    refused(await pair.pivotal.post(waive, {"reason_code": "other"}), 422, "validation_failed", "/text")
    waived = await pair.pivotal.done(waive, {"reason_code": "superseded", "text": "One plant is enough"})
    assert waived["reason"] == {"code": "superseded", "text": "One plant is enough"}
    assert "complete" in (await pair.pivotal.get(pair.path)).json()["actions"]
    assert (await pair.pivotal.done(*complete))["status"] == "completed"
    refused(await pair.pivotal.post(path, plan, None), 409, "invalid_transition")


async def test_the_completion_report_is_signed_by_all_partners_of_that_day(service: RunningService) -> None:
    giz = Institution("Giz", "DEU")
    pair = twinning(service, facilitators=[(giz, "joined")])
    await pair.active()
    facilitator = desk(service, giz, "owner")
    complete = (f"{pair.path}/complete", {"completed_on": today()})
    refused(await pair.pivotal.post(*complete), 409, "completion_report_not_signed")
    refused(await facilitator.post(*complete), 403, "forbidden")
    progress = await facilitator.made(f"{pair.path}/reports", {"kind": "progress", "summary": "Half way"})
    assert (progress["signatures"], progress["actions"]) == ([], [])
    refused(await facilitator.post(f"/reports/{progress['id']}/sign"), 409, "invalid_transition")
    report = await desk(service, giz, "editor").made(f"{pair.path}/reports", pair.report())
    assert (report["status"], report["submitted_by"]) == ("submitted", str(giz.id))
    sign = f"/reports/{report['id']}/sign"
    for partner in (pair.beneficiary, pair.pivotal):
        half = await partner.done(sign)
    assert half["status"] == "submitted"
    assert [s["signed_on"] for s in half["signatures"]] == [today(), today(), None]
    refused(await pair.pivotal.post(sign), 409, "invalid_transition")
    refused(await pair.pivotal.post(*complete), 409, "completion_report_not_signed")
    refused(await desk(service, giz, "editor").post(sign), 403, "forbidden")
    assert (await facilitator.done(sign))["status"] == "signed"
    # somebody who joins after the last signature has to sign as well
    late = Institution("Late", "FRA")
    await pair.pivotal.post(
        f"{pair.path}/partners", {"institution_id": str(late.id), "role": "facilitating", "from": today()}
    )
    refused(await pair.pivotal.post(*complete), 409, "completion_report_not_signed")
    assert (await desk(service, late, "owner").done(sign))["status"] == "signed"
    future = {"completed_on": today(1)}
    refused(await pair.pivotal.post(complete[0], future), 422, "validation_failed", "/completed_on")
    refused(await pair.pivotal.post(complete[0], complete[1], None), 428, "precondition_required")
    done = await pair.pivotal.done(*complete)
    assert (done["status"], done["modality"], done["actions"]) == ("completed", "triangular", ["close"])
    refused(await facilitator.post(f"{pair.path}/close"), 403, "forbidden")
    assert (await desk(service, None, "operator").done(f"{pair.path}/close"))["status"] == "closed"
    refused(await pair.pivotal.post(f"{pair.path}/close"), 409, "invalid_transition")


async def test_a_partner_that_left_before_the_completion_need_not_sign(service: RunningService) -> None:
    giz = Institution("Giz", "DEU")
    pair = twinning(service, facilitators=[(giz, "joined")])
    await pair.active()
    report = await pair.beneficiary.made(f"{pair.path}/reports", pair.report())
    for partner in (pair.beneficiary, pair.pivotal):
        await partner.done(f"/reports/{report['id']}/sign")
    leave = f"{pair.path}/partners/{giz.id}/leave"
    await pair.pivotal.done(leave, {"role": "facilitating", "to": today()})
    done = await pair.pivotal.done(f"{pair.path}/complete", {"completed_on": today()})
    assert (done["status"], done["modality"]) == ("completed", "south_south")


async def test_completion_report_needs_a_started_project(service: RunningService) -> None:
    pair = twinning(service)
    await pair.agreed()
    path = f"{pair.path}/reports"
    refused(await pair.pivotal.post(path, pair.report(), None), 409, "invalid_transition")
    assert (await pair.pivotal.post(path, pair.report(kind="progress"), None)).status_code == 201
    refused(await pair.pivotal.post(path, pair.report(kind="final"), None), 422, "validation_failed", "/kind")
