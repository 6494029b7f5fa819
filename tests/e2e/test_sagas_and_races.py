"""Every saga and race of the architecture that belongs to the main thread."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.e2e.world import ISIC, RANDOM, Cooperation, Pair, World, becomes, capability_body, need_body, today
from tests.support.system import System, refused
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio


async def withdrawn(pair: Pair, code: str) -> None:
    gone = await pair.becomes("withdrawn")
    assert gone["reason"]["code"] == code
    assert gone["actions"] == []
    for member in pair.members:
        await member.told("MatchWithdrawn", pair.match["id"])


# sagas


@pytest.mark.parametrize("station", ["proposed", "accepted"])
async def test_a_withdrawn_need_takes_its_open_matches_along(world: World, station: str) -> None:
    pair = await world.proposed()
    if station == "accepted":
        await pair.accepted()
    await pair.beneficiary.do(f"/needs/{pair.need['id']}/withdraw", {"reason_code": "met_elsewhere"})
    await withdrawn(pair, "need_withdrawn")


async def test_a_withdrawn_capability_takes_open_matches_along_but_not_projects(world: World) -> None:
    formal = await (await world.proposed()).opened()
    need = await formal.beneficiary.need(isic=formal.capability["isic"])
    match = await world.match(formal.beneficiary, need["id"], formal.capability["id"])
    pair = Pair(formal.beneficiary, formal.provider, formal.capability, need, match)
    body = {"reason_code": "no_longer_offered"}
    await pair.provider.do(f"/capabilities/{pair.capability['id']}/withdraw", body)
    await withdrawn(pair, "capability_withdrawn")
    assert (await formal.now())["status"] == "formalised"
    assert (await formal.beneficiary.read(formal.project))["status"] == "pipeline"


async def test_a_suspended_institution_loses_its_matches_and_gets_new_ones_when_reinstated(
    world: World, system: System
) -> None:
    pair = await world.proposed()
    await system.operator.do(f"{pair.provider.path}/suspend", {"reason_code": "red_flag"})
    await withdrawn(pair, "institution_suspended")
    await system.operator.do(f"{pair.provider.path}/reinstate", {})

    async def again() -> bool:
        found = await pair.provider.items("/matches", need_id=pair.need["id"], status="proposed")
        assert pair.match["id"] not in [match["id"] for match in found]
        return pair.capability["id"] in [match["capability_id"] for match in found]

    await eventually(again)


async def test_a_suspended_partner_suspends_active_projects(world: World, system: System) -> None:
    project = await (await world.direct()).started()
    await system.operator.do(f"{project.provider.path}/suspend", {"reason_code": "red_flag"})
    await becomes(project.beneficiary, project.path, "suspended")

    async def told() -> bool:
        found = await system.records("projects.projects", thread=project.id)
        event = next((r for r in found if r.type == "ProjectSuspended"), None)
        assert event is not None
        assert event.data["by"] == {"institution_id": None, "via": "system"}
        return True

    await eventually(told)
    await project.beneficiary.told("ProjectSuspended", project.id)


async def test_a_formalised_match_engages_need_and_capability(world: World) -> None:
    pair = await (await world.proposed()).formalised()
    await becomes(pair.beneficiary, f"/needs/{pair.need['id']}", "engaged")
    await engaged(pair, 1)
    project = await becomes(pair.beneficiary, pair.project, "pipeline")
    for member in pair.members:
        await member.told("ProjectOpened", project["id"])


async def engaged(pair: Pair, count: int) -> None:
    async def counted() -> bool:
        shown = await pair.provider.read(f"/capabilities/{pair.capability['id']}")
        return bool(shown["engaged"] == count)

    await eventually(counted)


async def test_a_cancelled_project_frees_the_place_and_reopens_the_need(world: World) -> None:
    pair = await (await world.proposed(capability={"capacity": 1})).opened()
    await becomes(pair.beneficiary, f"/needs/{pair.need['id']}", "engaged")
    await pair.beneficiary.do(f"{pair.project}/cancel", {"reason_code": "funding_lost"})
    need = await becomes(pair.beneficiary, f"/needs/{pair.need['id']}", "open")
    assert "withdraw" in need["actions"]
    await engaged(pair, 0)
    assert (await pair.now())["status"] == "formalised"
    other = await pair.beneficiary.need(isic=pair.capability["isic"])
    await world.match(pair.beneficiary, other["id"], pair.capability["id"])


async def test_a_reopened_need_is_matched_again(world: World) -> None:
    pair = await (await world.proposed()).opened()
    other = await world.member(country="PER" if pair.beneficiary.country != "PER" else "BOL")
    serves = {"all_south": False, "countries": [pair.beneficiary.country], "blocs": []}
    offered = await other.capability(isic=pair.need["isic"], serves=serves)
    await becomes(pair.beneficiary, f"/needs/{pair.need['id']}", "engaged")
    await pair.beneficiary.do(f"{pair.project}/cancel", {"reason_code": "partner_withdrew"})
    match = await world.match(pair.beneficiary, pair.need["id"], offered["id"])
    assert match["status"] == "proposed"
    second = await Pair(pair.beneficiary, other, offered, pair.need, match).opened()
    assert second.match["project_id"] != pair.match["project_id"]


async def test_a_cancelled_project_may_withdraw_its_need(world: World) -> None:
    pair = await (await world.proposed()).opened()
    await becomes(pair.beneficiary, f"/needs/{pair.need['id']}", "engaged")
    await pair.beneficiary.do(f"{pair.project}/cancel", {"reason_code": "objective_changed", "reopen_need": False})
    await becomes(pair.beneficiary, f"/needs/{pair.need['id']}", "withdrawn")


async def test_a_completed_project_fulfils_its_need(world: World) -> None:
    project = await world.matched()
    shown = await project.now()
    await project.completed()
    await becomes(project.beneficiary, f"/needs/{shown['need_id']}", "fulfilled")

    async def free() -> bool:
        return bool((await project.provider.read(f"/capabilities/{shown['capability_id']}"))["engaged"] == 0)

    await eventually(free)


async def test_of_two_places_one_cancelled_and_one_completed_fulfil(world: World) -> None:
    pair = await world.proposed(partners_wanted=2)
    other = await world.member(country="PER" if pair.beneficiary.country != "PER" else "BOL")
    serves = {"all_south": False, "countries": [pair.beneficiary.country], "blocs": []}
    offered = await other.capability(isic=pair.need["isic"], serves=serves)
    match = await world.match(pair.beneficiary, pair.need["id"], offered["id"])
    second = await Pair(pair.beneficiary, other, offered, pair.need, match).opened()
    await pair.opened()
    path = f"/needs/{pair.need['id']}"
    await becomes(pair.beneficiary, path, "engaged")
    await Cooperation(pair.beneficiary, pair.provider, pair.project).completed()
    await engaged(pair, 0)
    assert (await pair.beneficiary.read(path))["status"] == "engaged", "one project still runs"
    await Cooperation(second.beneficiary, second.provider, second.project).completed()
    await becomes(pair.beneficiary, path, "fulfilled")


# races


async def test_the_last_place_goes_to_one(world: World) -> None:
    one = await world.proposed(capability={"capacity": 1})
    rival = await world.member(country=one.beneficiary.country)
    need = await rival.need(isic=one.capability["isic"])
    match = await world.match(rival, need["id"], one.capability["id"])
    two = await Pair(rival, one.provider, one.capability, need, match).confirmed()
    await one.confirmed()
    answers = await asyncio.gather(*(p.beneficiary.act(f"{p.path}/formalise") for p in (one, two)))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    refused(next(a for a in answers if a.status_code == 409), 409, "capacity_exhausted")
    await engaged(one, 1)


async def test_two_accepted_matches_of_one_need_are_decided_at_formalise(world: World) -> None:
    one = await world.proposed()
    other = await world.member(country="PER" if one.beneficiary.country != "PER" else "BOL")
    serves = {"all_south": False, "countries": [one.beneficiary.country], "blocs": []}
    offered = await other.capability(isic=one.need["isic"], serves=serves)
    match = await world.match(one.beneficiary, one.need["id"], offered["id"])
    two = await Pair(one.beneficiary, other, offered, one.need, match).confirmed()
    await one.confirmed()
    answers = await asyncio.gather(*(p.beneficiary.act(f"{p.path}/formalise") for p in (one, two)))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    lost = next(answer for answer in answers if answer.status_code == 409).json()
    assert lost["code"] in ("need_already_engaged", "invalid_transition")
    assert sorted([(await p.now())["status"] for p in (one, two)]) == ["formalised", "withdrawn"]


async def test_withdrawal_crosses_formalisation(world: World) -> None:
    pair = await (await world.proposed()).confirmed()
    need = f"/needs/{pair.need['id']}"
    formal, gone = await asyncio.gather(
        pair.beneficiary.act(f"{pair.path}/formalise"),
        pair.beneficiary.act(f"{need}/withdraw", {"reason_code": "duplicate"}),
    )
    assert formal.status_code in (200, 409)
    assert gone.status_code in (200, 409)
    if formal.status_code == 200:
        await becomes(pair.beneficiary, need, "engaged")
        await becomes(pair.beneficiary, f"/projects/{formal.json()['project_id']}", "pipeline")
    else:
        await withdrawn(pair, "need_withdrawn")


async def test_suspension_wins_forward_over_formalisation(world: World, system: System) -> None:
    pair = await (await world.proposed()).confirmed()
    formal, _ = await asyncio.gather(
        pair.beneficiary.act(f"{pair.path}/formalise"),
        system.operator.do(f"{pair.provider.path}/suspend", {"reason_code": "red_flag"}),
    )
    if formal.status_code != 200:
        await withdrawn(pair, "institution_suspended")
        return
    path = f"/projects/{formal.json()['project_id']}"
    await becomes(pair.beneficiary, path, "pipeline")
    project = await Cooperation(pair.beneficiary, pair.provider, path).agreed()

    async def never_starts(started_on: str) -> dict[str, Any]:
        answer = await pair.beneficiary.act(f"{project.path}/start", {"started_on": started_on})
        return refused(answer, 409, "institution_suspended")

    await eventually(lambda: never_starts(today(1)))  # a day on which nothing may start yet, until projects has heard
    await never_starts(today())


async def test_a_pair_is_proposed_once_however_both_arrive(world: World) -> None:
    lidi, clri = await world.member(country="LSO"), await world.member(country="IND")
    isic = [RANDOM.choice(ISIC)]
    serves = {"all_south": False, "countries": ["LSO"], "blocs": []}
    needs = [lidi.make("/needs", need_body(isic=isic)) for _ in range(3)]
    offers = [clri.make("/capabilities", capability_body(isic=isic, serves=serves)) for _ in range(3)]
    made: list[dict[str, Any]] = await asyncio.gather(*needs, *offers)
    offered = {each["id"] for each in made[3:]}

    async def all_proposed() -> list[tuple[str, str]]:
        found = []
        for need in made[:3]:
            items = await lidi.items("/matches", need_id=need["id"], limit=200)
            found += [(m["need_id"], m["capability_id"]) for m in items if m["capability_id"] in offered]
        assert len(set(found)) == 9, found
        return found

    found = await eventually(all_proposed)
    assert len(found) == 9, "each pair once"


async def test_both_answers_at_once_are_both_kept(world: World) -> None:
    pair = await world.proposed()
    answers = await asyncio.gather(*(member.act(f"{pair.path}/express-interest") for member in pair.members))
    assert [answer.status_code for answer in answers] == [200, 200]
    match = await pair.now()
    assert (match["version"], match["answers"]) == (3, {"beneficiary": "interested", "provider": "interested"})


async def test_both_signatures_at_once_agree(world: World, system: System) -> None:
    project = await world.direct()
    agreement = await project.proposed()
    path = f"/agreements/{agreement['id']}/sign"
    answers = await asyncio.gather(*(member.act(path, {"signed_on": today()}) for member in project.members))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert (await project.now())["status"] == "agreed"

    async def once() -> bool:
        found = [r.type for r in await system.records("projects.projects", thread=project.id)]
        return found == ["ProjectOpened", "AgreementProposed", "AgreementSigned"]

    await eventually(once)


async def test_deliveries_at_once_never_exceed_the_pledge(world: World) -> None:
    project = await (await world.direct()).started()
    path = f"/contributions/{(await project.committed(quantity='10'))['id']}"
    body = {"delivered_on": today(), "quantity": "3"}
    answers = await asyncio.gather(*(project.provider.act(f"{path}/deliver", body) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 422, 422, 422]
    assert len((await project.provider.read(path))["deliveries"]) == 3
