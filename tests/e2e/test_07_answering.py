"""Contract, section 7: interest, acceptance, formalising, and the third partner."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.e2e.world import NORTH, Pair, World, becomes, is_id, moment, today
from tests.support.system import System, refused, succeeded
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio

REASONS = (
    "not_relevant",
    "capacity_unavailable",
    "budget_insufficient",
    "timing",
    "language",
    "geography",
    "prior_commitment",
    "conflict_of_interest",
    "due_diligence",
    "chosen_other",
)


async def test_interest_acceptance_and_two_confirmations(world: World) -> None:
    pair = await world.proposed()
    lidi, clri, path = pair.beneficiary, pair.provider, pair.path
    match = await clri.do(f"{path}/express-interest", {"message": "We can start in March."}, if_match='"1"')
    assert (match["status"], match["version"]) == ("interested", 2)
    assert match["answers"] == {"beneficiary": None, "provider": "interested"}
    match = await lidi.do(f"{path}/accept", {}, if_match='"2"')
    assert (match["status"], match["version"]) == ("accepted", 3)
    assert match["answers"] == {"beneficiary": "interested", "provider": "interested"}
    match = await clri.do(f"{path}/formalise", {}, if_match='"3"')
    assert (match["status"], match["version"], match["confirmations"]) == ("accepted", 4, ["provider"])
    answer = await lidi.act(f"{path}/formalise", {}, if_match='"4"')
    match = succeeded(answer, 200)
    assert (match["status"], match["version"], answer.headers["etag"]) == ("formalised", 5, '"5"')
    assert match["confirmations"] == ["provider", "beneficiary"]
    assert (match["actions"], match["expires_at"]) == ([], None)
    assert is_id(match["project_id"])


async def test_the_beneficiary_may_confirm_first(world: World) -> None:
    pair = await (await world.proposed()).accepted()
    match = await pair.beneficiary.do(f"{pair.path}/formalise")
    assert match["confirmations"] == ["beneficiary"]
    match = await pair.provider.do(f"{pair.path}/formalise")
    assert (match["status"], match["confirmations"]) == ("formalised", ["beneficiary", "provider"])


async def test_interest_of_the_second_side_keeps_interested(world: World) -> None:
    pair = await world.proposed()
    first = await pair.beneficiary.do(f"{pair.path}/express-interest")
    assert (first["status"], first["answers"]["beneficiary"]) == ("interested", "interested")
    second = await pair.provider.do(f"{pair.path}/express-interest")
    assert (second["status"], second["version"]) == ("interested", 3)
    refused(await pair.provider.act(f"{pair.path}/express-interest"), 409, "invalid_transition")
    assert (await pair.beneficiary.do(f"{pair.path}/accept"))["status"] == "accepted"


async def test_accepting_comes_after_the_providers_interest(world: World) -> None:
    pair = await world.proposed()
    await pair.beneficiary.do(f"{pair.path}/express-interest")
    refused(await pair.beneficiary.act(f"{pair.path}/accept"), 409, "provider_not_interested")


async def test_only_the_beneficiary_accepts(world: World) -> None:
    pair = await (await world.proposed()).interested()
    refused(await pair.provider.act(f"{pair.path}/accept"), 403, "forbidden")
    assert "accept" not in (await pair.provider.read(pair.path))["actions"]
    assert "accept" in (await pair.beneficiary.read(pair.path))["actions"]


async def test_accepting_sets_a_new_end(world: World) -> None:
    pair = await (await world.proposed(deadline=today(90))).interested()
    accepted = await pair.beneficiary.do(f"{pair.path}/accept")
    ends = moment(accepted["expires_at"]) - moment(accepted["updated_at"])
    assert abs(ends - timedelta(days=30)) < timedelta(seconds=5)


async def test_who_may_not_answer(world: World, system: System) -> None:
    pair = await world.proposed()
    reader, stranger = await pair.beneficiary.colleague("reader"), await world.registered()
    for action in ("express-interest", "accept", "decline", "formalise"):
        body = {"reason_code": "timing"} if action == "decline" else {}
        path = f"{pair.path}/{action}"
        refused(await stranger.act(path, body), 404, "not_found")
        for caller in (reader, system.operator, system.verifier):
            refused(await caller.act(path, body), 403, "forbidden")
        refused(await pair.beneficiary.act(path, body, if_match=None), 428, "precondition_required")
        refused(await pair.beneficiary.act(path, body, if_match='"9"'), 412, "version_mismatch")
    assert (await pair.now())["version"] == 1


async def test_editors_answer_but_do_not_formalise(world: World) -> None:
    pair = await world.proposed()
    clerk, other = await pair.provider.colleague("editor"), await pair.beneficiary.colleague("editor")
    await clerk.do(f"{pair.path}/express-interest")
    await other.do(f"{pair.path}/accept")
    refused(await clerk.act(f"{pair.path}/formalise"), 403, "forbidden")


async def test_formalising_before_acceptance_or_twice_by_one_side(world: World) -> None:
    pair = await (await world.proposed()).interested()
    problem = refused(await pair.provider.act(f"{pair.path}/formalise"), 409, "invalid_transition")
    assert problem["current_status"] == "interested"
    await pair.beneficiary.do(f"{pair.path}/accept")
    await pair.provider.do(f"{pair.path}/formalise")
    refused(await pair.provider.act(f"{pair.path}/formalise"), 409, "invalid_transition")
    assert (await pair.now())["confirmations"] == ["provider"]


@pytest.mark.parametrize("side", ["beneficiary", "provider"])
@pytest.mark.parametrize("station", ["proposed", "interested", "accepted"])
async def test_either_side_declines_until_it_is_formalised(world: World, station: str, side: str) -> None:
    pair = await world.proposed()
    if station != "proposed":
        await getattr(pair, station)()
    member = getattr(pair, side)
    body = {"reason_code": "capacity_unavailable", "text": "Booked until June."}
    declined = await member.do(f"{pair.path}/decline", body)
    assert (declined["status"], declined["answers"][side]) == ("declined", "declined")
    assert declined["reason"] == {"code": "capacity_unavailable", "text": "Booked until June."}
    problem = refused(await pair.beneficiary.act(f"{pair.path}/express-interest"), 409, "invalid_transition")
    assert (problem["current_status"], problem["allowed"]) == ("declined", [])


async def test_declining_needs_a_known_reason(world: World) -> None:
    pair = await world.proposed()
    path = f"{pair.path}/decline"
    refused(await pair.provider.act(path, {}), 422, "validation_failed", "/reason_code")
    refused(await pair.provider.act(path, {"reason_code": "mood"}), 422, "validation_failed", "/reason_code")
    refused(await pair.provider.act(path, {"reason_code": "other"}), 422, "validation_failed", "/text")
    assert (await pair.provider.do(path, {"reason_code": "other", "text": "War."}))["status"] == "declined"


async def test_every_reason_for_declining(world: World) -> None:
    pair = await world.proposed(capability={"capacity": len(REASONS)})
    for code in REASONS:
        need = await pair.beneficiary.need(isic=pair.capability["isic"])
        match = await world.match(pair.provider, need["id"], pair.capability["id"])
        declined = await pair.provider.do(f"/matches/{match['id']}/decline", {"reason_code": code})
        assert declined["reason"]["code"] == code


async def test_a_formalised_match_is_not_declined(world: World) -> None:
    pair = await (await world.proposed()).formalised()
    refused(await pair.provider.act(f"{pair.path}/decline", {"reason_code": "timing"}), 409, "invalid_transition")


async def test_messages_are_for_the_parties_and_never_on_kafka(world: World, system: System) -> None:
    pair = await world.proposed()
    path = f"{pair.path}/express-interest"
    refused(await pair.provider.act(path, {"message": "x" * 2001}), 422, "validation_failed", "/message")
    await pair.provider.do(path, {"message": "Mrs Secret can start in March."})
    for member in pair.members:
        message = (await member.read(pair.path))["messages"][0]
        assert (message["side"], message["text"]) == ("provider", "Mrs Secret can start in March.")
        moment(message["at"])

    async def told() -> bool:
        found = await system.records("matching.matches", thread=pair.need["id"])
        assert all(b"Mrs Secret" not in record.value for record in found)
        return "MatchInterestExpressed" in [record.type for record in found]

    await eventually(told)


async def test_a_declined_place_is_filled_and_the_pair_not_proposed_again(world: World) -> None:
    pair = await world.proposed()
    await pair.provider.do(f"{pair.path}/decline", {"reason_code": "timing"})
    other = await world.member(country="PER" if pair.beneficiary.country != "PER" else "BOL")
    serves = {"all_south": False, "countries": [pair.beneficiary.country], "blocs": []}
    offered = await other.capability(isic=pair.need["isic"], serves=serves)
    await world.match(pair.beneficiary, pair.need["id"], offered["id"])
    await pair.beneficiary.change(f"/needs/{pair.need['id']}", urgency="critical")
    found = await world.seen(pair.beneficiary, pair.need["id"], 2)
    mine = [item["status"] for item in found if item["capability_id"] == pair.capability["id"]]
    assert mine == ["declined"]
    assert found[-1]["status"] == "declined", "open ones come first"


async def test_formalising_needs_an_open_need(world: World) -> None:
    pair = await (await world.proposed()).confirmed()
    await pair.beneficiary.do(f"/needs/{pair.need['id']}/withdraw", {"reason_code": "duplicate"})
    withdrawn = await pair.becomes("withdrawn")
    assert withdrawn["reason"]["code"] == "need_withdrawn"
    refused(await pair.beneficiary.act(f"{pair.path}/formalise"), 409, "invalid_transition")


async def test_a_full_provider_formalises_no_more(world: World) -> None:
    first = await world.proposed(capability={"capacity": 1})
    need = await first.beneficiary.need(isic=first.capability["isic"])
    match = await world.match(first.beneficiary, need["id"], first.capability["id"])
    second = await Pair(first.beneficiary, first.provider, first.capability, need, match).accepted()
    await first.formalised()
    assert (await second.now())["status"] == "accepted", "open matches of a full provider stay"
    refused(await second.provider.act(f"{second.path}/formalise"), 409, "capacity_exhausted")


async def second_offer(world: World, pair: Pair) -> Pair:
    """A second provider for the need of a pair."""
    other = await world.member(country="PER" if pair.beneficiary.country != "PER" else "BOL")
    serves = {"all_south": False, "countries": [pair.beneficiary.country], "blocs": []}
    offered = await other.capability(isic=pair.need["isic"], serves=serves)
    match = await world.match(pair.beneficiary, pair.need["id"], offered["id"])
    return Pair(pair.beneficiary, other, offered, pair.need, match)


async def test_an_engaged_need_withdraws_its_other_matches(world: World) -> None:
    pair = await world.proposed()
    other = await (await second_offer(world, pair)).accepted()
    await pair.formalised()
    gone = await other.now()
    assert (gone["status"], gone["reason"]["code"]) == ("withdrawn", "need_engaged")


async def test_a_need_for_two_partners_is_engaged_by_the_second(world: World) -> None:
    pair = await world.proposed(partners_wanted=2)
    other = await (await second_offer(world, pair)).accepted()
    await pair.opened()
    assert (await other.now())["status"] == "accepted"
    assert (await pair.beneficiary.read(f"/needs/{pair.need['id']}"))["status"] == "open"
    for member in other.members:
        await member.do(f"{other.path}/formalise")
    await becomes(pair.beneficiary, f"/needs/{pair.need['id']}", "engaged")


# the facilitating partner


async def invited(world: World, pair: Pair) -> tuple[Any, dict[str, Any]]:
    donor = await world.member(country=NORTH[2], type="agency")
    body = {"institution_id": donor.id, "message": "Will you fund it?"}

    async def known() -> dict[str, Any]:
        return succeeded(await pair.beneficiary.act(f"{pair.path}/facilitators", body), 201)

    return donor, await eventually(known)


async def test_a_facilitator_is_invited_and_joins(world: World) -> None:
    pair = await (await world.proposed()).accepted()
    donor, match = await invited(world, pair)
    shown = {"institution_id": donor.id, "name": donor.institution["name"], "country": NORTH[2], "status": "invited"}
    assert match["facilitators"] == [shown]
    assert (await donor.read(pair.path))["id"] == pair.match["id"], "a party from the invitation on"
    path = f"{pair.path}/facilitators/{donor.id}"
    refused(await pair.provider.act(f"{path}/join"), 403, "forbidden")
    refused(await donor.act(f"{path}/join", if_match=None), 428, "precondition_required")
    joined = await donor.do(f"{path}/join")
    assert joined["facilitators"][0]["status"] == "joined"
    for member in (pair.provider, pair.beneficiary):
        match = await member.do(f"{pair.path}/formalise")
    project = await becomes(donor, f"/projects/{match['project_id']}", "pipeline")
    assert project["modality"] == "triangular"
    assert {p["institution_id"]: p["role"] for p in project["partners"]}[donor.id] == "facilitating"


async def test_a_facilitator_declines_and_is_no_party_any_more(world: World) -> None:
    pair = await (await world.proposed()).accepted()
    donor, _ = await invited(world, pair)
    path = f"{pair.path}/facilitators/{donor.id}/decline"
    refused(await donor.act(path, {}), 422, "validation_failed", "/reason_code")
    assert (await donor.act(path, {"reason_code": "budget_insufficient"})).status_code == 200
    refused(await donor.get(pair.path), 404, "not_found")
    assert (await pair.now())["status"] == "accepted"


async def test_an_open_invitation_does_not_hold_up_formalising(world: World) -> None:
    pair = await (await world.proposed()).accepted()
    donor, _ = await invited(world, pair)
    for member in (pair.provider, pair.beneficiary):
        match = await member.do(f"{pair.path}/formalise")
    assert match["status"] == "formalised"
    project = await becomes(pair.beneficiary, f"/projects/{match['project_id']}", "pipeline")
    assert (project["modality"], len(project["partners"])) == ("south_south", 2)
    assert (await donor.act(f"{pair.path}/facilitators/{donor.id}/join")).status_code in (404, 409)


async def test_whom_one_may_not_invite(world: World) -> None:
    pair = await world.proposed()
    donor = await world.member(country=NORTH[0])
    path, body = f"{pair.path}/facilitators", {"institution_id": donor.id}

    async def too_early() -> dict[str, Any]:
        return refused(await pair.beneficiary.act(path, body), 409, "invalid_transition")

    await eventually(too_early)  # until matching knows the donor, that is what it says
    await pair.accepted()
    donor, _ = await invited(world, pair)
    body = {"institution_id": donor.id}
    assert (await pair.beneficiary.act(path, body)).status_code == 409
    answer = await pair.beneficiary.act(path, {"institution_id": pair.provider.id})
    refused(answer, 422, "validation_failed", "/institution_id")
    unverified = await world.registered(country=NORTH[1])

    async def known() -> bool:
        answer = await pair.beneficiary.act(path, {"institution_id": unverified.id})
        refused(answer, 409, "institution_not_verified")
        return True

    await eventually(known)


async def test_facilitators_are_suggested_for_what_the_pair_lacks(world: World) -> None:
    gap = {"amount": "300000.00", "currency": "USD"}
    pair = await world.proposed(resource_kinds=["technical", "training", "financial"], budget=gap, funding_gap=gap)
    await pair.accepted()
    bank = await world.member(country=NORTH[1], type="financial_institution")
    await bank.capability(resource_kinds=["financial"], isic=pair.need["isic"])
    path = f"{pair.path}/facilitators/suggestions"

    async def suggested() -> bool:
        found = await pair.beneficiary.items(path, limit=10)
        assert len(found) <= 10
        assert not {pair.beneficiary.id, pair.provider.id} & {item["institution_id"] for item in found}
        mine = next((item for item in found if item["institution_id"] == bank.id), None)
        assert mine is not None, found
        assert (mine["name"], mine["country"]) == (bank.institution["name"], NORTH[1])
        assert "financial" in mine["covers"]
        return True

    await eventually(suggested)
    refused(await (await world.registered()).get(path), 404, "not_found")
