"""Contract, section 3: institutions, due diligence, good standing."""

from __future__ import annotations

import asyncio
import secrets
from datetime import date
from typing import Any

import pytest

from tests.e2e.world import ANSWERS, NORTH, World, days_of, due_diligence, is_id, today, words
from tests.support.system import System, refused, succeeded
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio


def full_body() -> dict[str, Any]:
    return {
        "name": words(3),
        "acronym": words(1)[:6].upper(),
        "other_names": [{"language": "am", "name": f"የቆዳ {words(3)}"}],
        "type": "research_institute",
        "country": "ETH",
        "languages": ["en", "am"],
        "website": "https://lidi.example",
        "parent_id": None,
        "external_ids": [{"scheme": "ET-MOT", "value": f"LIDI-{secrets.token_hex(4)}"}],
        "contact": {"name": "Focal point", "email": "focal@lidi.example", "phone": None},
    }


async def test_an_operator_registers_an_institution(system: System) -> None:
    body = full_body()
    answer = await system.operator.post("/institutions", body)
    made = succeeded(answer, 201)
    assert {name: made[name] for name in body} == body
    assert (made["version"], made["status"], made["south"], made["verified_until"]) == (1, "registered", True, None)
    assert answer.headers["location"] == f"/institutions/{made['id']}"
    assert answer.headers["etag"] == '"1"'
    assert is_id(made["id"])
    assert "suspend" in made["actions"]
    assert await system.operator.read(f"/institutions/{made['id']}") == made


async def test_only_the_operator_registers(system: System, world: World) -> None:
    owner = await world.registered()
    for caller in (owner, system.verifier):
        refused(await caller.post("/institutions", world.institution_body()), 403, "forbidden")


@pytest.mark.parametrize("member", ["name", "type", "country"])
async def test_what_is_required(system: System, world: World, member: str) -> None:
    body = world.institution_body()
    del body[member]
    refused(await system.operator.post("/institutions", body), 422, "validation_failed", f"/{member}")


@pytest.mark.parametrize(("pointer", "wrong"), [("/country", {"country": "XXX"}), ("/type", {"type": "club"})])
async def test_unknown_country_or_type(system: System, world: World, pointer: str, wrong: dict[str, Any]) -> None:
    refused(
        await system.operator.post("/institutions", world.institution_body(**wrong)), 422, "validation_failed", pointer
    )


@pytest.mark.parametrize("kind", ["multilateral", "financial_institution"])
async def test_only_multilaterals_and_financiers_have_no_country(system: System, world: World, kind: str) -> None:
    made = await system.operator.make("/institutions", world.institution_body(type=kind, country=None))
    assert (made["country"], made["south"]) == (None, None)


@pytest.mark.parametrize("country", NORTH)
async def test_the_north_is_not_the_south(system: System, world: World, country: str) -> None:
    assert (await system.operator.make("/institutions", world.institution_body(country=country)))["south"] is False


# near duplicates


async def test_a_similar_name_in_the_same_country_is_a_near_duplicate(system: System, world: World) -> None:
    first = await system.operator.make("/institutions", world.institution_body(country="ETH"))
    again = {"name": f"  {first['name'].upper()}", "type": "firm", "country": "ETH"}
    problem = refused(await system.operator.post("/institutions", again), 409, "duplicate_institution")
    candidate = problem["candidates"][0]
    assert (candidate["id"], candidate["name"], candidate["country"]) == (first["id"], first["name"], "ETH")
    assert candidate["similarity"] >= 0.9
    forced = succeeded(await system.operator.post("/institutions?force=true", again), 201)
    assert forced["id"] != first["id"]


async def test_the_same_name_in_another_country_is_none(system: System, world: World) -> None:
    first = await system.operator.make("/institutions", world.institution_body(country="ETH"))
    await system.operator.make("/institutions", {"name": first["name"], "type": "firm", "country": "KEN"})


async def test_an_equal_external_id_is_never_forced(system: System, world: World) -> None:
    external = [{"scheme": "XM-DAC", "value": secrets.token_hex(6)}]
    first = await system.operator.make("/institutions", world.institution_body(external_ids=external))
    for query in ("", "?force=true"):
        body = world.institution_body(external_ids=external)
        problem = refused(await system.operator.post(f"/institutions{query}", body), 409, "duplicate_institution")
        assert [candidate["id"] for candidate in problem["candidates"]] == [first["id"]]


async def test_of_two_equal_registrations_at_once_one_wins(system: System, world: World) -> None:
    body = world.institution_body(external_ids=[{"scheme": "XM-DAC", "value": secrets.token_hex(6)}])
    answers = await asyncio.gather(*(system.operator.post("/institutions", body) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 5]


# reading and changing


async def test_institutions_are_found(system: System) -> None:
    body = full_body()
    made = await system.operator.make("/institutions", body)
    scheme, value = body["external_ids"][0]["scheme"], body["external_ids"][0]["value"]
    for query in (
        {"external_id": f"{scheme}:{value}"},
        {"q": body["name"].split()[0].lower()},
        {"country": "ETH", "type": "research_institute", "status": "registered", "q": body["name"]},
    ):
        found = await system.operator.items("/institutions", **query)
        assert made["id"] in [item["id"] for item in found], query
    for query in ({"country": "KEN"}, {"type": "firm"}, {"status": "verified"}):
        found = await system.operator.items("/institutions", q=body["name"], **query)
        assert made["id"] not in [item["id"] for item in found], query


async def test_contacts_are_for_members_operators_and_verifiers(system: System, world: World) -> None:
    contact = {"name": "Focal point", "email": "focal@lidi.example", "phone": None}
    owner, stranger = await world.registered(contact=contact), await world.registered()
    reader = await owner.colleague("reader")
    for caller in (owner, reader, system.operator, system.verifier):
        assert (await caller.read(owner.path))["contact"] == contact
    assert (await stranger.read(owner.path))["contact"] is None
    listed = await stranger.items("/institutions", q=owner.institution["name"])
    assert [item["contact"] for item in listed if item["id"] == owner.id] == [None]


async def test_an_accepted_match_shows_the_contact_to_the_other_party(world: World) -> None:
    pair = await world.proposed()
    for member in pair.members:
        await member.change(member.path, contact={"name": "Focal", "email": "focal@x.example", "phone": None})
    await pair.interested()
    assert (await pair.beneficiary.read(pair.provider.path))["contact"] is None
    await pair.beneficiary.do(f"{pair.path}/accept")

    async def shown() -> bool:
        told = [
            (await pair.beneficiary.read(pair.provider.path))["contact"],
            (await pair.provider.read(pair.beneficiary.path))["contact"],
        ]
        return None not in told

    await eventually(shown)
    await pair.provider.do(f"{pair.path}/decline", {"reason_code": "timing"})

    async def hidden() -> bool:
        return (await pair.beneficiary.read(pair.provider.path))["contact"] is None

    await eventually(hidden)


async def test_owner_editor_and_operator_change_an_institution(system: System, world: World) -> None:
    owner = await world.registered()
    editor, stranger = await owner.colleague("editor"), await world.registered()
    for caller, acronym in ((owner, "A"), (editor, "B"), (system.operator, "C")):
        assert (await caller.change(owner.path, acronym=acronym))["acronym"] == acronym
    refused(await stranger.patch(owner.path, {"acronym": "D"}), 403, "forbidden")
    assert (await owner.read(owner.path))["version"] == 4


async def test_a_merge_patch_removes_with_null_and_keeps_the_rest(world: World) -> None:
    owner = await world.registered(website="https://lidi.example", acronym="LIDI")
    changed = await owner.change(owner.path, website=None)
    assert (changed["website"], changed["acronym"]) == (None, "LIDI")
    refused(await owner.patch(owner.path, {"name": None}), 422, "validation_failed", "/name")
    refused(await owner.patch(owner.path, {"status": "verified"}), 422, "validation_failed", "/status")


# verification


async def test_a_verification_is_submitted(system: System, world: World) -> None:
    owner = await world.registered()
    answer = await system.verifier.post(f"{owner.path}/verifications", due_diligence())
    made = succeeded(answer, 201)
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["location"] == f"/verifications/{made['id']}"
    assert (made["version"], made["status"], made["institution_id"]) == (1, "submitted", owner.id)
    assert made["answers"] == due_diligence()["answers"]
    assert made["submitted_by"].startswith("key:")
    assert made["decided_by"] is None
    listed = await system.operator.items(f"{owner.path}/verifications")
    assert [item["id"] for item in listed] == [made["id"]]
    shown = await system.operator.read(f"/verifications/{made['id']}")
    assert set(shown["actions"]) == {"approve", "reject"}


async def test_institutions_do_not_verify_themselves(world: World) -> None:
    owner = await world.registered()
    refused(await owner.post(f"{owner.path}/verifications", due_diligence()), 403, "forbidden")


async def test_strangers_see_no_verification(system: System, world: World) -> None:
    owner, stranger = await world.registered(), await world.registered()
    made = await system.operator.make(f"{owner.path}/verifications", due_diligence())
    refused(await stranger.get(f"/verifications/{made['id']}"), 404, "not_found")
    refused(await stranger.act(f"/verifications/{made['id']}/approve"), 404, "not_found")


def is_five_years_after(until: date, day: date) -> bool:
    same_day = (until.month, until.day) == (day.month, day.day)
    return until.year == day.year + 5 and (same_day or (day.month, day.day) == (2, 29))


async def test_four_eyes_decide(system: System, world: World) -> None:
    owner = await world.registered()
    made = await system.verifier.make(f"{owner.path}/verifications", due_diligence())
    path = f"/verifications/{made['id']}"
    refused(await system.verifier.act(f"{path}/approve"), 403, "four_eyes_required")
    refused(await system.operator.act(f"{path}/approve", if_match=None), 428, "precondition_required")
    day_before = today()
    answer = await system.operator.act(f"{path}/approve", if_match='"1"')
    approved = succeeded(answer, 200)
    assert (approved["status"], approved["version"], answer.headers["etag"]) == ("approved", 2, '"2"')
    assert approved["decided_by"] not in (None, approved["submitted_by"])
    institution = await owner.read(owner.path)
    assert institution["status"] == "verified"
    until = days_of(institution["verified_until"])
    # midnight may pass during the call
    assert any(is_five_years_after(until, days_of(day)) for day in (day_before, today()))
    refused(await system.operator.act(f"{path}/approve"), 409, "invalid_transition")


@pytest.mark.parametrize("answer", ANSWERS)
async def test_no_bad_answer_is_approved(system: System, world: World, answer: str) -> None:
    owner = await world.registered()
    made = await system.operator.make(f"{owner.path}/verifications", due_diligence(**{answer: False}))
    refused(await system.verifier.act(f"/verifications/{made['id']}/approve"), 409, "due_diligence_not_met")
    assert (await owner.read(owner.path))["status"] == "registered"


async def test_all_five_questions_are_answered(system: System, world: World) -> None:
    owner = await world.registered()
    body = due_diligence()
    del body["answers"]["safeguards_in_place"]
    answer = await system.operator.post(f"{owner.path}/verifications", body)
    refused(answer, 422, "validation_failed", "/answers/safeguards_in_place")


async def test_one_verification_is_open_at_a_time(system: System, world: World) -> None:
    owner = await world.registered()
    path = f"{owner.path}/verifications"
    made = await system.operator.make(path, due_diligence())
    assert (await system.operator.post(path, due_diligence())).status_code == 409
    reject = f"/verifications/{made['id']}/reject"
    refused(await system.verifier.act(reject, {}), 422, "validation_failed", "/reason_code")
    refused(await system.verifier.act(reject, {"reason_code": "mood"}), 422, "validation_failed", "/reason_code")
    refused(await system.verifier.act(reject, {"reason_code": "other"}), 422, "validation_failed", "/text")
    rejected = await system.verifier.do(reject, {"reason_code": "due_diligence", "text": "No evidence."})
    assert rejected["status"] == "rejected"
    assert (await owner.read(owner.path))["status"] == "registered"
    await system.operator.make(path, due_diligence())


async def test_a_verified_institution_with_a_new_name_is_registered_again(world: World) -> None:
    owner = await world.member()
    assert (await owner.change(owner.path, acronym="NEW"))["status"] == "verified"
    changed = await owner.change(owner.path, name=words(3))
    assert (changed["status"], changed["verified_until"]) == ("registered", None)


# suspension


async def test_an_operator_suspends_and_reinstates(system: System, world: World) -> None:
    for owner in (await world.registered(), await world.member()):
        before = await owner.read(owner.path)
        body = {"reason_code": "red_flag", "text": "Reported."}
        suspended = await system.operator.do(f"{owner.path}/suspend", body)
        assert suspended["status"] == "suspended"
        assert "reinstate" in suspended["actions"]
        refused(await system.operator.act(f"{owner.path}/suspend", body), 409, "invalid_transition")
        back = await system.operator.do(f"{owner.path}/reinstate", {"text": "Cleared."})
        assert (back["status"], back["verified_until"]) == (before["status"], before["verified_until"])
        refused(await system.operator.act(f"{owner.path}/reinstate"), 409, "invalid_transition")


async def test_suspending_is_the_operators_and_needs_a_reason(system: System, world: World) -> None:
    owner = await world.registered()
    path = f"{owner.path}/suspend"
    refused(await owner.act(path, {"reason_code": "red_flag"}), 403, "forbidden")
    refused(await system.verifier.act(path, {"reason_code": "red_flag"}), 403, "forbidden")
    refused(await system.operator.act(path, {}), 422, "validation_failed", "/reason_code")
    refused(await system.operator.act(path, {"reason_code": "other"}), 422, "validation_failed", "/text")
    refused(await system.operator.act(path, {"reason_code": "red_flag"}, if_match=None), 428, "precondition_required")


async def test_a_suspended_institution_reads_but_offers_nothing(system: System, world: World) -> None:
    owner = await world.member()
    need, capability = await owner.need(post=False), await owner.capability(publish=False)
    await system.operator.do(f"{owner.path}/suspend", {"reason_code": "red_flag"})
    fresh = await owner.colleague("owner")
    assert (await fresh.read(f"/needs/{need['id']}"))["status"] == "draft"
    refused(await fresh.act(f"/needs/{need['id']}/post"), 409, "institution_suspended")
    refused(await fresh.act(f"/capabilities/{capability['id']}/publish"), 409, "institution_suspended")


async def test_every_event_of_an_institution_is_told_once_and_in_order(system: System, world: World) -> None:
    owner = await world.member(contact={"name": "Ada", "email": "ada@secret.example", "phone": None})
    await owner.change(owner.path, acronym="X")
    await system.operator.do(f"{owner.path}/suspend", {"reason_code": "red_flag"})
    await system.operator.do(f"{owner.path}/reinstate", {})
    wanted = ["Registered", "Verified", "Updated", "Suspended", "Reinstated"]

    async def told() -> bool:
        found = [r for r in await system.records("registry.institutions") if r.key == owner.id]
        assert [record.type for record in found] == [f"Institution{kind}" for kind in wanted]
        assert all(b"ada@secret" not in record.value and "contact" not in record.data for record in found)
        return True

    await eventually(told)
