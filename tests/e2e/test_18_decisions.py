"""Contract, section 18: decided questions that no other file asks."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.world import NORTH, World, becomes, get_ok, need_body, today
from tests.support.system import Caller, System, refused, succeeded
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio


async def test_every_location_answers_get(world: World) -> None:
    project = await (await world.direct()).completed()
    provider = project.provider
    running = await (await world.direct()).started()
    giver = running.provider
    answers: list[tuple[Caller, Any]] = [
        (provider, await provider.post("/needs", need_body())),
        (provider, await provider.post("/keys", {"name": "x", "role": "reader"})),
        (provider, await provider.post("/practices", project.practice_body())),
        (giver, await giver.post(f"{running.path}/agreements", running.agreement_body())),
        (giver, await giver.post(f"{running.path}/contributions", running.pledge_body())),
        (giver, await giver.post(f"{running.path}/milestones", {"title": "x", "due_on": today(9)})),
    ]
    practice = answers[2][1].json()["id"]
    body = {"project_id": running.id, "adaptation": "Smaller.", "outcome": "in_progress"}
    answers.append((giver, await giver.post(f"/practices/{practice}/replications", body)))
    for caller, answer in answers:
        made = succeeded(answer, 201)
        found = succeeded(await caller.get(answer.headers["location"]), 200)
        assert found["id"] == made["id"]


async def test_children_of_a_project_name_its_thread(world: World) -> None:
    project = await (await world.matched()).started()
    thread = (await project.now())["correlation_id"]
    pledge = await project.committed()
    for path in (project.path, f"/contributions/{pledge['id']}"):
        assert (await project.provider.get(path)).headers["x-correlation-id"] == thread


async def test_a_suspended_institution_still_gets_tokens_and_answers(world: World, system: System) -> None:
    pair = await world.proposed()
    await system.operator.do(f"{pair.beneficiary.path}/suspend", {"reason_code": "red_flag"})
    fresh = await pair.beneficiary.colleague("owner")
    assert (await fresh.read(f"/needs/{pair.need['id']}"))["status"] == "open"


async def test_an_agreement_without_a_pivotal_party_agrees_nothing(world: World) -> None:
    project = await world.direct()
    donor = await world.member(country=NORTH[0])
    partner = {"institution_id": donor.id, "role": "facilitating", "from": today()}
    succeeded(await project.provider.act(f"{project.path}/partners", partner), 201)
    body = project.agreement_body(parties=[project.beneficiary.id, donor.id])
    agreement = await donor.make(f"{project.path}/agreements", body)
    for member in (donor, project.beneficiary):
        signed = await member.do(f"/agreements/{agreement['id']}/sign", {"signed_on": today()})
    assert signed["status"] == "signed"
    assert (await project.now())["status"] == "pipeline"


async def test_the_completion_report_waits_for_the_third_partner_only_while_it_has_a_role(world: World) -> None:
    project = await (await world.direct()).started()
    donor = await world.member(country=NORTH[0])
    partner = {"institution_id": donor.id, "role": "facilitating", "from": today(-1)}
    succeeded(await project.provider.act(f"{project.path}/partners", partner), 201)
    texts = {"summary": "Done.", "results": "Water.", "lessons": "Start."}
    report = await project.provider.make(f"{project.path}/reports", {"kind": "completion", **texts})
    for member in project.members:
        signed = await member.do(f"/reports/{report['id']}/sign")
    assert signed["status"] == "submitted"
    complete, body = f"{project.path}/complete", {"completed_on": today()}
    refused(await project.provider.act(complete, body), 409, "completion_report_not_signed")
    leave = {"role": "facilitating", "to": today(), "reason_code": "funding_lost"}
    await project.provider.do(f"{project.path}/partners/{donor.id}/leave", leave)
    assert (await project.provider.do(complete, body))["status"] == "completed"


async def test_contacts_stay_shown_when_the_match_is_formalised(world: World) -> None:
    pair = await (await world.proposed()).formalised()
    contact = {"name": "Focal", "email": "focal@x.example", "phone": None}
    await pair.provider.change(pair.provider.path, contact=contact)

    async def shown() -> bool:
        return (await pair.beneficiary.read(pair.provider.path))["contact"] == contact

    await eventually(shown)


async def test_facilitators_and_principals_are_told_of_each_other(world: World) -> None:
    pair = await (await world.proposed()).accepted()
    donor = await world.member(country=NORTH[1])

    async def invite() -> bool:
        path = f"{pair.path}/facilitators"
        return (await pair.provider.act(path, {"institution_id": donor.id})).status_code == 201

    await eventually(invite)
    await donor.told("FacilitatorInvited", pair.match["id"])
    await donor.do(f"{pair.path}/facilitators/{donor.id}/join")
    for member in pair.members:
        await member.told("FacilitatorJoined", pair.match["id"])


async def test_match_events_with_facilitators_are_told_on_kafka(world: World, system: System) -> None:
    pair = await (await world.proposed()).accepted()
    donors = [await world.member(country=NORTH[n]) for n in (0, 1)]
    for donor, action, body in zip(donors, ("join", "decline"), ({}, {"reason_code": "timing"}), strict=True):

        async def invited(donor: Any = donor) -> bool:
            path = f"{pair.path}/facilitators"
            return (await pair.provider.act(path, {"institution_id": donor.id})).status_code == 201

        await eventually(invited)
        await donor.do(f"{pair.path}/facilitators/{donor.id}/{action}", body)

    async def told() -> bool:
        found = [r.type for r in await system.records("matching.matches") if r.key == pair.match["id"]]
        assert found[3:] == ["FacilitatorInvited", "FacilitatorJoined", "FacilitatorInvited", "FacilitatorDeclined"]
        return True

    await eventually(told)


async def test_an_institution_that_is_not_its_partner_sees_a_project_after_joining(world: World) -> None:
    project = await world.direct()
    donor = await world.registered(country=NORTH[2])
    refused(await donor.get(project.path), 404, "not_found")
    body = {"institution_id": donor.id, "role": "facilitating", "from": today()}
    succeeded(await project.beneficiary.act(f"{project.path}/partners", body), 201)
    assert (await get_ok(donor, project.path))["id"] == project.id


async def test_a_two_partner_need_with_one_cancelled_is_open_again(world: World) -> None:
    pair = await (await world.proposed()).opened()
    await becomes(pair.beneficiary, f"/needs/{pair.need['id']}", "engaged")
    await pair.provider.do(f"{pair.project}/cancel", {"reason_code": "force_majeure", "reopen_need": True})
    need = await becomes(pair.beneficiary, f"/needs/{pair.need['id']}", "open")
    assert need["actions"] == ["withdraw"]


async def test_an_operator_neither_answers_nor_confirms_but_manages_projects(world: World, system: System) -> None:
    project = await world.direct()
    assert (await system.operator.change(project.path, title="Corrected"))["title"] == "Corrected"
    cancelled = await system.operator.do(f"{project.path}/cancel", {"reason_code": "due_diligence"})
    assert cancelled["status"] == "cancelled"
