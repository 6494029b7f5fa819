"""Contract, section 9: who gives what, and what counts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.world import Cooperation, World, today
from tests.support.system import System, refused, succeeded
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def idle(world: World) -> Cooperation:
    return await world.direct()


async def active(world: World) -> Cooperation:
    return await (await world.direct()).started()


async def totals(project: Cooperation) -> dict[str, dict[str, dict[str, Decimal]]]:
    """`{"in_kind": {"expert_day": {"pledged": ...}}, "cash": {"USD": ...}}`."""
    found = await project.beneficiary.read(f"{project.path}/totals")
    stages = ("pledged", "committed", "delivered", "confirmed")
    rows = {"cash": "currency", "in_kind": "unit"}
    return {
        kind: {row[name]: {stage: Decimal(row[stage]) for stage in stages} for row in found[kind]}
        for kind, name in rows.items()
    }


def stages(*figures: int) -> dict[str, Decimal]:
    return dict(zip(("pledged", "committed", "delivered", "confirmed"), map(Decimal, figures), strict=True))


async def test_a_contribution_is_pledged(world: World) -> None:
    project = await world.direct()
    body = project.pledge_body()
    answer = await project.provider.post(f"{project.path}/contributions", body)
    made = succeeded(answer, 201)
    assert {name: made[name] for name in body} == body
    assert (made["version"], made["status"], made["project_id"]) == (1, "pledged", project.id)
    assert (made["giver_id"], made["deliveries"], made["actions"]) == (project.provider.id, [], ["commit"])
    assert (answer.headers["etag"], answer.headers["location"]) == ('"1"', f"/contributions/{made['id']}")
    listed = await project.beneficiary.items(f"{project.path}/contributions")
    assert [item["id"] for item in listed] == [made["id"]]
    assert (await project.beneficiary.read(f"/contributions/{made['id']}"))["actions"] == []


async def test_only_confirmed_deliveries_count(world: World) -> None:
    project = await active(world)
    pledge = await project.provider.make(f"{project.path}/contributions", project.pledge_body())
    path = f"/contributions/{pledge['id']}"
    assert (await totals(project))["in_kind"] == {"expert_day": stages(120, 0, 0, 0)}
    await project.provider.do(f"{path}/commit", {})
    assert (await totals(project))["in_kind"] == {"expert_day": stages(120, 120, 0, 0)}
    part = await project.provider.do(f"{path}/deliver", {"delivered_on": today(), "quantity": "40"})
    delivery = part["deliveries"][0]
    assert (part["status"], delivery["status"]) == ("committed", "delivered")
    assert (Decimal(delivery["quantity"]), delivery["amount"], delivery["delivered_on"]) == (40, None, today())
    assert (await totals(project))["in_kind"] == {"expert_day": stages(120, 120, 40, 0)}
    part = await project.beneficiary.do(f"{path}/confirm", {"delivery_id": delivery["id"]})
    assert (part["status"], part["deliveries"][0]["status"]) == ("committed", "confirmed")
    assert (await totals(project))["in_kind"] == {"expert_day": stages(120, 120, 40, 40)}
    whole = await project.provider.do(f"{path}/deliver", {"delivered_on": today()})
    assert (whole["status"], Decimal(whole["deliveries"][1]["quantity"])) == ("delivered", 80)
    whole = await project.beneficiary.do(f"{path}/confirm", {})
    assert (whole["status"], whole["actions"]) == ("confirmed", [])
    assert (await totals(project))["in_kind"] == {"expert_day": stages(120, 120, 120, 120)}


async def test_cash_has_no_unit_and_no_quantity(world: World) -> None:
    project = await active(world)
    path = f"{project.path}/contributions"
    for member, value in (("unit", "other"), ("quantity", "1")):
        answer = await project.provider.post(path, project.cash_body(**{member: value}))
        refused(answer, 422, "validation_failed", f"/{member}")
    cash = await project.committed(kind="cash")
    path = f"/contributions/{cash['id']}"
    assert (cash["unit"], cash["quantity"]) == (None, None)
    part = await project.provider.do(f"{path}/deliver", {"delivered_on": today(), "amount": "100000.00"})
    assert (part["status"], part["deliveries"][0]["quantity"]) == ("committed", None)
    assert Decimal(part["deliveries"][0]["amount"]) == 100_000
    assert (await totals(project))["cash"] == {"USD": stages(300_000, 300_000, 100_000, 0)}


async def test_currencies_are_never_added(world: World) -> None:
    project = await active(world)
    for amount, currency in (("100.00", "USD"), ("50.50", "USD"), ("7000", "JPY")):
        body = project.cash_body(value={"amount": amount, "currency": currency})
        await project.provider.make(f"{project.path}/contributions", body)
    found = await project.beneficiary.read(f"{project.path}/totals")
    pledged = {row["currency"]: row["pledged"] for row in found["cash"]}
    assert pledged == {"USD": "150.50", "JPY": "7000"}
    assert found["in_kind"] == []


@pytest.mark.parametrize(
    ("pointer", "wrong"),
    [
        ("/unit", {"unit": "hour"}),
        ("/unit", {"unit": None}),
        ("/quantity", {"quantity": "0"}),
        ("/quantity", {"quantity": "-1"}),
        ("/quantity", {"quantity": 120}),
        ("/quantity", {"quantity": "many"}),
        ("/quantity", {"quantity": None}),
        ("/kind", {"kind": "gift"}),
        ("/resource_kind", {"resource_kind": "love"}),
        ("/value/amount", {"value": {"amount": 48000, "currency": "USD"}}),
        ("/valuation_method", {"valuation_method": "guess"}),
        ("/valuation_method", {"valuation_method": None}),
        ("/receiver_id", {"receiver_id": "01a20cda-0a01-7001-8001-000000000001"}),
    ],
)
async def test_faulty_pledges(idle: Cooperation, pointer: str, wrong: dict[str, Any]) -> None:
    answer = await idle.provider.post(f"{idle.path}/contributions", idle.pledge_body(**wrong))
    refused(answer, 422, "validation_failed", pointer)


async def test_nobody_gives_to_itself(world: World) -> None:
    project = await world.direct()
    body = project.pledge_body(receiver_id=project.provider.id)
    refused(
        await project.provider.post(f"{project.path}/contributions", body), 422, "validation_failed", "/receiver_id"
    )


async def test_more_than_remains_is_refused(world: World) -> None:
    project = await active(world)
    pledge = await project.committed(quantity="10")
    path = f"/contributions/{pledge['id']}/deliver"
    body = {"delivered_on": today(), "quantity": "6"}
    await project.provider.do(path, body)
    refused(await project.provider.act(path, body), 422, "validation_failed", "/quantity")
    assert (await project.provider.do(path, body | {"quantity": "4"}))["status"] == "delivered"


async def test_deliveries_need_a_commitment_and_an_active_project(world: World) -> None:
    project = await (await world.direct()).agreed()
    body, path = {"delivered_on": today()}, f"{project.path}/contributions"
    pledge = await project.provider.make(path, project.pledge_body())
    deliver = f"/contributions/{pledge['id']}/deliver"
    refused(await project.provider.act(deliver, body), 409, "invalid_transition")
    await project.provider.do(f"/contributions/{pledge['id']}/commit")
    refused(await project.provider.act(deliver, body), 409, "invalid_transition")
    refused(await project.provider.act(f"/contributions/{pledge['id']}/commit"), 409, "invalid_transition")
    await project.provider.do(f"{project.path}/start", {"started_on": today()})
    assert (await project.provider.do(deliver, body))["status"] == "delivered"


async def test_the_giver_does_not_confirm_its_own_delivery(world: World) -> None:
    project = await active(world)
    pledge = await project.committed()
    path = f"/contributions/{pledge['id']}"
    refused(await project.beneficiary.act(f"{path}/confirm", {}), 409, "invalid_transition")
    await project.provider.do(f"{path}/deliver", {"delivered_on": today()})
    refused(await project.provider.act(f"{path}/confirm", {}), 403, "forbidden")
    assert (await project.beneficiary.do(f"{path}/confirm", {}))["status"] == "confirmed"
    refused(await project.beneficiary.act(f"{path}/confirm", {}), 409, "invalid_transition")


async def test_who_may_do_what(world: World, system: System) -> None:
    project, stranger = await active(world), await world.registered()
    clerk = await project.beneficiary.colleague("editor")
    pledge = await project.committed()
    path = f"/contributions/{pledge['id']}"
    refused(await project.beneficiary.act(f"{path}/deliver", {"delivered_on": today()}), 403, "forbidden")
    refused(
        await project.provider.act(f"{path}/deliver", {"delivered_on": today()}, if_match=None),
        428,
        "precondition_required",
    )
    await project.provider.do(f"{path}/deliver", {"delivered_on": today()})
    for caller in (clerk, system.operator, system.verifier):
        refused(await caller.act(f"{path}/confirm", {}), 403, "forbidden")
    for action in ("confirm", "deliver", "commit"):
        refused(await stranger.act(f"{path}/{action}", {}), 404, "not_found")
    refused(await stranger.get(path), 404, "not_found")
    refused(await stranger.get(f"{project.path}/totals"), 404, "not_found")


async def test_a_disputed_delivery_leaves_the_total_and_may_come_again(world: World) -> None:
    project = await active(world)
    pledge = await project.committed()
    path = f"/contributions/{pledge['id']}"
    delivered = await project.provider.do(f"{path}/deliver", {"delivered_on": today()})
    body = {"delivery_id": delivered["deliveries"][0]["id"], "reason_code": "not_received", "text": "Nobody came."}
    for wrong, pointer in (({"reason_code": "mood"}, "/reason_code"), ({"reason_code": "other", "text": ""}, "/text")):
        refused(await project.beneficiary.act(f"{path}/dispute", body | wrong), 422, "validation_failed", pointer)
    refused(await project.provider.act(f"{path}/dispute", body), 403, "forbidden")
    disputed = await project.beneficiary.do(f"{path}/dispute", body)
    assert [delivery["status"] for delivery in disputed["deliveries"]] == ["disputed"]
    assert (await totals(project))["in_kind"] == {"expert_day": stages(120, 120, 0, 0)}
    again = await project.provider.do(f"{path}/deliver", {"delivered_on": today()})
    assert [delivery["status"] for delivery in again["deliveries"]] == ["disputed", "delivered"]
    assert (await project.beneficiary.do(f"{path}/confirm", {}))["status"] == "confirmed"
    assert (await totals(project))["in_kind"] == {"expert_day": stages(120, 120, 120, 120)}


async def test_a_disputed_delivery_may_be_confirmed_later(world: World) -> None:
    project = await active(world)
    pledge = await project.committed()
    path = f"/contributions/{pledge['id']}"
    delivered = await project.provider.do(f"{path}/deliver", {"delivered_on": today()})
    which = {"delivery_id": delivered["deliveries"][0]["id"]}
    await project.beneficiary.do(f"{path}/dispute", which | {"reason_code": "quality"})
    confirmed = await project.beneficiary.do(f"{path}/confirm", which)
    assert (confirmed["status"], confirmed["deliveries"][0]["status"]) == ("confirmed", "confirmed")


async def test_every_call_is_told_once(world: World, system: System) -> None:
    project = await active(world)
    path = f"/contributions/{(await project.committed())['id']}"
    for quantity in ("20", "30"):
        given = await project.provider.do(f"{path}/deliver", {"delivered_on": today(), "quantity": quantity})
    which = {"delivery_id": given["deliveries"][1]["id"]}
    body = which | {"reason_code": "other", "text": "Mrs Secret saw nobody"}
    await project.beneficiary.do(f"{path}/dispute", body)
    await project.beneficiary.do(f"{path}/confirm", {"delivery_id": given["deliveries"][0]["id"]})
    wanted = ["Pledged", "Committed", "Delivered", "Delivered", "Disputed", "Confirmed"]

    async def told() -> bool:
        found = await system.records("projects.projects", thread=project.id)
        assert [r.type for r in found if "Contribution" in r.type] == [f"Contribution{kind}" for kind in wanted]
        assert all(b"Mrs Secret" not in record.value for record in found)
        return True

    await eventually(told)
