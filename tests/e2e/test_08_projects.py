"""Contract, section 8: the project, its partners, its agreement, its start."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.world import NORTH, Member, World, becomes, direct_body, get_ok, is_id, today
from tests.support.system import System, refused, succeeded
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio

NO_REASON = (({}, "/reason_code"), ({"reason_code": "mood"}, "/reason_code"), ({"reason_code": "other"}, "/text"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def two(world: World) -> tuple[Member, Member]:
    return await world.two()


async def test_a_formalised_match_opens_one_project(world: World) -> None:
    budget = {"amount": "450000.00", "currency": "USD"}
    pair = await (await world.proposed(sdg_targets=["9.4"], budget=budget)).accepted()
    day_before = today()
    await pair.formalised_by_both()
    project = await becomes(pair.beneficiary, pair.project, "pipeline")
    begun = project["partners"][0]["from"]
    assert begun in (day_before, today()), "the day of the call, which midnight may cross"
    need = pair.need
    assert project["id"] == pair.match["project_id"]
    assert (project["version"], project["modality"], project["language"]) == (1, "south_south", "en")
    assert {name: project[name] for name in ("title", "resource_kinds", "isic", "hs", "sdg_targets", "budget")} == {
        name: need[name] for name in ("title", "resource_kinds", "isic", "hs", "sdg_targets", "budget")
    }
    assert project["match_id"] == pair.match["id"]
    assert project["need_id"] == project["correlation_id"] == need["id"]
    assert project["capability_id"] == pair.capability["id"]
    partners = [(pair.beneficiary, "beneficiary"), (pair.provider, "pivotal")]
    assert project["partners"] == [
        {
            "institution_id": member.id,
            "name": member.institution["name"],
            "country": member.country,
            "role": role,
            "from": begun,
            "to": None,
        }
        for member, role in partners
    ]
    dates = ("planned_start_on", "planned_end_on", "started_on", "completed_on")
    assert [project[name] for name in dates] == [None] * 4
    assert "cancel" in project["actions"]


async def test_a_project_is_found_by_its_match(world: World) -> None:
    pair = await world.proposed()
    assert await pair.beneficiary.items("/projects", match_id=pair.match["id"]) == []
    await pair.opened()
    found = await pair.provider.items("/projects", match_id=pair.match["id"])
    assert [item["id"] for item in found] == [pair.match["project_id"]]


async def test_projects_are_seen_by_their_parties_operators_and_verifiers(world: World, system: System) -> None:
    project, stranger = await world.direct(), await world.registered()
    reader = await project.beneficiary.colleague("reader")
    for caller in (*project.members, reader, system.operator, system.verifier):
        answer = await caller.get(project.path)
        assert succeeded(answer, 200)["id"] == project.id
        assert (answer.headers["etag"], answer.headers["x-correlation-id"]) == ('"1"', project.id)
    refused(await stranger.get(project.path), 404, "not_found")
    refused(await stranger.patch(project.path, {"title": "Mine"}), 404, "not_found")
    assert await stranger.items("/projects") == []
    refused(await system.verifier.patch(project.path, {"title": "Mine"}), 403, "forbidden")
    refused(await reader.patch(project.path, {"title": "Mine"}), 403, "forbidden")


# direct opening


async def test_an_owner_opens_a_project_in_which_it_takes_part(world: World) -> None:
    lidi, clri = await world.two()
    answer = await lidi.post("/projects", direct_body(lidi, clri))
    project = succeeded(answer, 201)
    assert (project["status"], project["version"]) == ("pipeline", 1)
    assert project["match_id"] is project["need_id"] is project["capability_id"] is None
    assert project["correlation_id"] == project["id"]
    assert answer.headers["location"] == f"/projects/{project['id']}"
    assert is_id(project["id"])


async def test_nobody_opens_a_project_of_others(world: World) -> None:
    lidi, clri = await world.two()
    stranger, editor = await world.registered(), await lidi.colleague("editor")
    refused(await stranger.post("/projects", direct_body(lidi, clri)), 403, "forbidden")
    refused(await editor.post("/projects", direct_body(lidi, clri)), 403, "forbidden")


@pytest.mark.parametrize(
    ("pointer", "wrong"),
    [
        ("/title", {"title": ""}),
        ("/justification_code", {"justification_code": "because"}),
        ("/justification_code", {"justification_code": None}),
        ("/isic", {"isic": []}),
        ("/partners", {"partners": []}),
        ("/language", {"language": "xx"}),
    ],
)
async def test_faulty_projects(two: tuple[Member, Member], pointer: str, wrong: dict[str, Any]) -> None:
    answer = await two[0].post("/projects", direct_body(*two) | wrong)
    refused(answer, 422, "validation_failed", pointer)


async def test_a_partner_of_the_north_is_never_pivotal(world: World) -> None:
    project = await world.direct()
    donor = await world.member(country=NORTH[0])
    body = {"institution_id": donor.id, "role": "pivotal", "from": today()}

    async def known() -> bool:
        shown = {p["institution_id"]: p for p in (await project.now())["partners"]}
        return shown[donor.id]["country"] == NORTH[0]

    await project.provider.make(f"{project.path}/partners", body | {"role": "facilitating"}, if_match="*")
    await eventually(known)
    refused(await project.provider.act(f"{project.path}/partners", body), 422, "validation_failed")


async def test_an_unknown_institution_shows_as_its_id_until_it_is_known(world: World) -> None:
    project = await world.direct()

    async def known() -> bool:
        names = {partner["name"] for partner in (await project.now())["partners"]}
        return names == {member.institution["name"] for member in project.members}

    await eventually(known)
    assert (await project.now())["version"] == 1


# change


async def test_titles_and_planned_dates_are_patched(world: World) -> None:
    project = await world.direct()
    dates = {"planned_start_on": today(10), "planned_end_on": today(400)}
    changed = await project.beneficiary.change(project.path, title="New title", **dates)
    assert changed.items() >= {"title": "New title", "version": 2, **dates}.items()
    refused(await project.beneficiary.patch(project.path, {"status": "closed"}), 422, "validation_failed", "/status")
    refused(await project.beneficiary.patch(project.path, {"title": "x"}, if_match=None), 428, "precondition_required")


async def test_all_three_roles_make_it_triangular(world: World) -> None:
    project = await world.direct()
    donor = await world.member(country=NORTH[1])
    body = {"institution_id": donor.id, "role": "facilitating", "from": today()}
    answer = await project.provider.act(f"{project.path}/partners", body)
    succeeded(answer, 201)
    assert (await get_ok(donor, project.path))["modality"] == "triangular"
    assert (await project.provider.act(f"{project.path}/partners", body)).status_code == 409, "an overlap"
    leave = f"{project.path}/partners/{donor.id}/leave"
    for wrong, pointer in NO_REASON:
        if pointer == "/reason_code" and not wrong:
            continue  # the contract shows `leave` without a reason
        refused(
            await project.provider.act(leave, {"role": "facilitating", "to": today(), **wrong}),
            422,
            "validation_failed",
        )
    left = await project.provider.do(leave, {"role": "facilitating", "to": today()})
    assert left["modality"] == "south_south"


async def test_a_partner_may_have_joined_in_the_past_and_hold_two_roles(world: World) -> None:
    project = await world.direct()
    body = {"institution_id": project.provider.id, "role": "facilitating", "from": today(-30)}
    succeeded(await project.beneficiary.act(f"{project.path}/partners", body), 201)
    roles = [p["role"] for p in (await project.now())["partners"] if p["institution_id"] == project.provider.id]
    assert sorted(roles) == ["facilitating", "pivotal"]
    assert (await project.now())["modality"] == "triangular"


# agreement and start


async def test_an_agreement_is_proposed_and_signed_by_both(world: World) -> None:
    project = await world.direct()
    lidi, clri, body = *project.members, project.agreement_body()
    answer = await lidi.post(f"{project.path}/agreements", body)
    made = succeeded(answer, 201)
    assert {name: made[name] for name in body if name != "parties"} == {n: v for n, v in body.items() if n != "parties"}
    assert made["parties"] == [{"institution_id": member.id, "signed_on": None} for member in (lidi, clri)]
    assert (made["version"], made["status"], made["project_id"]) == (1, "proposed", project.id)
    assert (answer.headers["etag"], answer.headers["location"]) == ('"1"', f"/agreements/{made['id']}")
    assert made["actions"] == ["sign"]
    path = f"/agreements/{made['id']}"
    half = await lidi.do(f"{path}/sign", {"signed_on": today(-1)}, if_match='"1"')
    assert (half["status"], half["parties"][0]["signed_on"]) == ("proposed", today(-1))
    assert (await project.now())["status"] == "pipeline"
    refused(await lidi.act(f"{path}/sign", {"signed_on": today()}), 409, "invalid_transition")
    whole = await clri.do(f"{path}/sign", {"signed_on": today()})
    assert (whole["status"], whole["actions"]) == ("signed", [])
    assert (await project.now())["status"] == "agreed"
    assert [item["id"] for item in await clri.items(f"{project.path}/agreements")] == [made["id"]]


async def test_no_signature_lies_in_the_future(world: World) -> None:
    project = await world.direct()
    agreement = await project.proposed()
    answer = await project.provider.act(f"/agreements/{agreement['id']}/sign", {"signed_on": today(1)})
    refused(answer, 422, "validation_failed", "/signed_on")


async def test_who_may_propose_and_sign(world: World, system: System) -> None:
    project, stranger = await world.direct(), await world.registered()
    reader, editor = await project.provider.colleague("reader"), await project.provider.colleague("editor")
    path = f"{project.path}/agreements"
    refused(await stranger.post(path, project.agreement_body()), 404, "not_found")
    refused(await reader.post(path, project.agreement_body()), 403, "forbidden")
    agreement = await editor.make(path, project.agreement_body())
    sign = f"/agreements/{agreement['id']}/sign"
    for caller in (editor, system.operator):
        refused(await caller.act(sign, {"signed_on": today()}), 403, "forbidden")
    refused(await stranger.act(sign, {"signed_on": today()}), 404, "not_found")
    refused(await project.provider.act(sign, {"signed_on": today()}, if_match=None), 428, "precondition_required")


async def test_every_party_is_a_partner_and_there_are_two(world: World) -> None:
    project, stranger = await world.direct(), await world.registered()
    for parties in ([project.beneficiary.id, stranger.id], [project.beneficiary.id]):
        answer = await project.provider.post(f"{project.path}/agreements", project.agreement_body(parties=parties))
        problem = refused(answer, 422, "validation_failed")
        assert all(error["pointer"].startswith("/parties") for error in problem["errors"])


async def test_a_later_agreement_changes_no_status(world: World) -> None:
    project = await (await world.direct()).started()
    agreement = await project.proposed()
    for member in project.members:
        await member.do(f"/agreements/{agreement['id']}/sign", {"signed_on": today()})
    assert (await project.now())["status"] == "active"


async def test_a_project_starts_when_it_is_agreed(world: World) -> None:
    project = await world.direct()
    path, body = f"{project.path}/start", {"started_on": today()}
    refused(await project.provider.act(path, body), 409, "agreement_not_signed")
    await project.agreed()
    refused(await project.provider.act(path, body, if_match=None), 428, "precondition_required")
    started = await project.provider.do(path, body)
    assert (started["status"], started["started_on"]) == ("active", today())
    refused(await project.provider.act(path, body), 409, "invalid_transition")


async def test_who_may_start(world: World, system: System) -> None:
    project = await (await world.direct()).agreed()
    donor = await world.member(country=NORTH[0])
    body = {"institution_id": donor.id, "role": "facilitating", "from": today()}
    succeeded(await project.provider.act(f"{project.path}/partners", body), 201)
    editor = await project.provider.colleague("editor")
    for caller in (editor, donor, system.operator):
        refused(await caller.act(f"{project.path}/start", {"started_on": today()}), 403, "forbidden")


async def test_nothing_starts_without_a_pivotal_partner(world: World) -> None:
    project = await (await world.direct()).agreed()
    leave = f"{project.path}/partners/{project.provider.id}/leave"
    await project.beneficiary.do(leave, {"role": "pivotal", "to": today(), "reason_code": "partner_withdrew"})
    refused(await project.beneficiary.act(f"{project.path}/start", {"started_on": today()}), 409, "partners_incomplete")


async def test_nothing_starts_with_a_suspended_partner(world: World, system: System) -> None:
    project = await (await world.direct()).agreed()
    await system.operator.do(f"{project.provider.path}/suspend", {"reason_code": "red_flag"})

    async def heard() -> bool:
        answer = await project.beneficiary.act(f"{project.path}/start", {"started_on": today(1)})
        return answer.status_code == 409 and answer.json()["code"] == "institution_suspended"

    await eventually(heard)


async def test_a_project_is_suspended_and_resumed(world: World, system: System) -> None:
    project = await (await world.direct()).started()
    path = f"{project.path}/suspend"
    for wrong, pointer in NO_REASON:
        refused(await project.provider.act(path, wrong), 422, "validation_failed", pointer)
    assert (await project.provider.do(path, {"reason_code": "funding_lost"}))["status"] == "suspended"
    refused(await project.provider.act(path, {"reason_code": "funding_lost"}), 409, "invalid_transition")
    assert (await system.operator.do(f"{project.path}/resume", {"text": "Money came."}))["status"] == "active"


async def test_a_project_is_cancelled(world: World) -> None:
    project = await world.direct()
    path = f"{project.path}/cancel"
    for wrong, pointer in NO_REASON:
        refused(await project.provider.act(path, wrong), 422, "validation_failed", pointer)
    editor, stranger = await project.provider.colleague("editor"), await world.registered()
    refused(await editor.act(path, {"reason_code": "funding_lost"}), 403, "forbidden")
    refused(await stranger.act(path, {"reason_code": "funding_lost"}), 404, "not_found")
    cancelled = await project.provider.do(path, {"reason_code": "funding_lost"})
    assert (cancelled["status"], cancelled["actions"]) == ("cancelled", [])
    refused(await project.provider.act(path, {"reason_code": "funding_lost"}), 409, "invalid_transition")


async def test_a_completed_project_is_closed(world: World) -> None:
    project = await (await world.direct()).completed()
    assert (await project.beneficiary.do(f"{project.path}/close", {}))["status"] == "closed"
    refused(await project.beneficiary.act(f"{project.path}/close", {}), 409, "invalid_transition")


async def test_direct_projects_tell_their_story_on_kafka(world: World, system: System) -> None:
    project = await (await world.direct()).started()
    await project.provider.do(f"{project.path}/suspend", {"reason_code": "other", "text": "Mrs Secret is ill"})
    await project.provider.do(f"{project.path}/resume", {})
    donor = await world.registered(country=NORTH[0])
    body = {"institution_id": donor.id, "role": "facilitating", "from": today()}
    await project.provider.act(f"{project.path}/partners", body)
    await project.provider.do(f"{project.path}/cancel", {"reason_code": "funding_lost"})
    wanted = (
        "ProjectOpened AgreementProposed AgreementSigned ProjectStarted ProjectSuspended ProjectResumed "
        "PartnerRoleChanged ProjectCancelled"
    )

    async def told() -> bool:
        found = await system.records("projects.projects", thread=project.id)
        assert [record.type for record in found] == wanted.split()
        assert {record.key for record in found} == {project.id}
        assert all(b"Mrs Secret" not in record.value for record in found)
        return True

    await eventually(told)
