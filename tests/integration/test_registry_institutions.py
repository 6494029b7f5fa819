"""Institutions and their verification, over HTTP, PostgreSQL and Kafka."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from services.registry.store.common import load
from services.registry.tables import InstitutionRow
from shared.events import topics
from shared.events.matching import FacilitatorInvited, FacilitatorRef, MatchAccepted, MatchDeclined, MatchFormalised
from shared.ops.ids import new_id
from tests.support.parts import Parts
from tests.support.registry import Match, World, due_diligence
from tests.support.stack import running_service
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio
CONTACT = {"name": "Focal point", "email": "focal@secret.example", "phone": None}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(parts: Parts) -> AsyncIterator[World]:
    async with running_service(parts, "registry") as service:
        yield World(service)


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_six_equal_registrations_at_once_make_one_institution(world: World) -> None:
    body = {"name": secrets.token_hex(12), "type": "firm", "country": "KEN"}
    answers = await asyncio.gather(*(world.post("/institutions", world.operator, body) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 5]


async def test_a_near_duplicate_is_refused_with_candidates_and_registered_by_force(world: World) -> None:
    name = f"Leather Institute {secrets.token_hex(12)}"
    first = await world.institution(name=name, country="BEN", other_names=[{"language": "fr", "name": f"Cuir {name}"}])
    near = {"name": f"CUIR — {name.upper()}", "type": "firm", "country": "BEN"}
    answer = await world.post("/institutions", world.operator, near)
    assert code(answer) == (409, "duplicate_institution")
    [candidate] = answer.json()["candidates"]
    assert (candidate["id"], candidate["country"]) == (str(first.id), "BEN")
    assert candidate["similarity"] >= 0.9
    assert (await world.made("/institutions", world.operator, near, force="true"))["name"] == near["name"]
    await world.institution(name=name, country="TGO")


async def test_an_equal_acronym_makes_no_duplicate_but_is_found(world: World) -> None:
    acronym = secrets.token_hex(6).upper()
    both = [await world.institution(acronym=acronym) for _ in range(2)]
    found = await world.read("/institutions", q=acronym.lower())
    assert [item["id"] for item in found["items"]] == [str(member.id) for member in reversed(both)]


async def test_institutions_of_no_country_are_compared_with_each_other(world: World) -> None:
    bank = {"name": f"Bank {secrets.token_hex(12)}", "type": "multilateral", "country": None}
    made = await world.made("/institutions", world.operator, bank)
    assert (made["country"], made["south"]) == (None, None)
    assert code(await world.post("/institutions", world.operator, bank)) == (409, "duplicate_institution")


async def test_force_never_overrides_an_equal_external_id(world: World) -> None:
    ids = [{"scheme": "XM-DAC", "value": secrets.token_hex(8)}]
    first = await world.institution(external_ids=ids)
    body = {"name": secrets.token_hex(12), "type": "ngo", "country": "PER", "external_ids": ids}
    answer = await world.post("/institutions?force=true", world.operator, body)
    assert code(answer) == (409, "duplicate_institution")
    assert answer.json()["candidates"][0]["id"] == str(first.id)
    other = await world.institution()
    assert code(await world.patch(other.path, world.operator, {"external_ids": ids})) == (409, "duplicate_institution")
    found = await world.read("/institutions", external_id=f"XM-DAC:{ids[0]['value']}")
    assert [item["id"] for item in found["items"]] == [str(first.id)]
    await world.patch(first.path, world.operator, {"external_ids": []})
    assert (await world.patch(other.path, world.operator, {"external_ids": ids})).status_code == 200


@pytest.mark.parametrize("query", [{"external_id": "nocolon"}, {"status": "asleep"}, {"country": "XXX"}, {"type": "x"}])
async def test_a_bad_filter_is_named(world: World, query: dict[str, str]) -> None:
    answer = await world.get("/institutions", world.operator, **query)
    assert code(answer) == (422, "validation_failed")
    assert answer.json()["errors"][0]["pointer"] == f"?{next(iter(query))}"


async def test_search_folds_words_of_all_names(world: World) -> None:
    word = secrets.token_hex(8)
    found = await world.institution(name=f"Société {word}", acronym=f"S{word}"[:20])
    for q in (f"societe {word}", word.upper(), f"{word} SOCIÉTÉ"):
        assert [i["id"] for i in (await world.read("/institutions", q=q))["items"]] == [str(found.id)]
    assert (await world.read("/institutions", q=f"{word} absent"))["items"] == []
    assert (await world.read("/institutions", q="%"))["items"] == []


async def test_a_parent_exists_and_is_not_below(world: World) -> None:
    top = await world.institution()
    branch = await world.institution(parent_id=str(top.id))
    for parent in (branch, top):
        answer = await world.patch(top.path, world.operator, {"parent_id": str(parent.id)})
        assert answer.json()["errors"][0]["pointer"] == "/parent_id"
    assert (await world.patch(branch.path, world.operator, {"parent_id": str(new_id())})).status_code == 422
    children = await world.read("/institutions", parent_id=str(top.id))
    assert [item["id"] for item in children["items"]] == [str(branch.id)]


async def test_the_contact_is_patched_member_by_member_and_never_told(world: World) -> None:
    member = await world.institution(contact=CONTACT)
    answer = await world.patch(member.path, member.token("editor"), {"contact": {"phone": "+251 11"}}, if_match='"1"')
    assert (answer.json()["contact"], answer.headers["etag"]) == ({**CONTACT, "phone": "+251 11"}, '"2"')
    same = await world.patch(member.path, member.token(), {"contact": {"phone": "+251 11"}})
    assert same.headers["etag"] == '"2"'
    events = await world.told(topics.INSTITUTIONS, member.id, "InstitutionRegistered", "InstitutionUpdated")
    assert "secret.example" not in str(events)
    assert events[1]["by"] == {"institution_id": str(member.id), "via": "api"}


async def test_who_may_change_and_what_comes_first(world: World) -> None:
    member, stranger = await world.institution(), await world.institution()
    assert code(await world.patch(member.path, stranger.token(), {"acronym": "X"})) == (403, "forbidden")
    assert code(await world.patch(member.path, member.token("reader"), {"acronym": "X"})) == (403, "forbidden")
    assert code(await world.patch(member.path, world.verifier, {"acronym": "X"})) == (403, "forbidden")
    assert code(await world.patch(member.path, member.token(), {}, if_match=None)) == (428, "precondition_required")
    stale = await world.patch(member.path, member.token(), {}, if_match='"9"')
    assert (code(stale), stale.headers["etag"]) == ((412, "version_mismatch"), '"1"')
    assert code(await world.patch(member.path, member.token(), {}, if_match='W/"1"')) == (400, "invalid_header")


async def test_four_eyes_verify_and_the_events_tell_it(world: World) -> None:
    member = await world.institution()
    made = await world.made(f"{member.path}/verifications", world.operator, due_diligence())
    path = f"/verifications/{made['id']}"
    assert made["actions"] == ["reject"]
    assert (await world.read(path, world.verifier))["actions"] == ["approve", "reject"]
    assert code(await world.post(f"{path}/approve", world.operator, if_match="*")) == (403, "four_eyes_required")
    second = await world.post(f"{member.path}/verifications", world.verifier, due_diligence())
    assert code(second) == (409, "invalid_transition")
    stranger = await world.institution()
    assert code(await world.post(f"{path}/approve", stranger.token(), if_match="*")) == (404, "not_found")
    assert code(await world.post(f"{path}/approve", member.token(), if_match="*")) == (403, "forbidden")
    assert (await world.read(f"{member.path}/verifications", stranger.token()))["items"] == []
    assert (await world.read(path, member.token("reader")))["answers"] == due_diligence()["answers"]
    approved = await world.done(f"{path}/approve", world.verifier, if_match='"1"')
    assert (approved["status"], approved["decided_by"]) == ("approved", "key:verifier")
    events = await world.told(topics.INSTITUTIONS, member.id, "InstitutionRegistered", "InstitutionVerified")
    assert events[1]["institution"]["status"] == "verified"
    [review] = await world.told(topics.REVIEWS, member.id, "VerificationSubmitted")
    assert review["verification"]["answers"] == dict.fromkeys(due_diligence()["answers"], True)


async def test_who_submitted_may_take_it_back_by_rejecting_it(world: World) -> None:
    member = await world.institution()
    made = await world.made(f"{member.path}/verifications", world.operator, due_diligence())
    body = {"reason_code": "other", "text": "Wrong answers."}
    rejected = await world.done(f"/verifications/{made['id']}/reject", world.operator, body, if_match="*")
    assert (rejected["status"], rejected["actions"]) == ("rejected", [])


async def test_two_submissions_at_once_leave_one_open(world: World) -> None:
    path = f"{(await world.institution()).path}/verifications"
    answers = await asyncio.gather(*(world.post(path, world.operator, due_diligence()) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


async def test_a_new_identity_ends_the_verification(world: World) -> None:
    for change in (
        {"name": secrets.token_hex(9)},
        {"country": "RWA"},
        {"external_ids": [{"scheme": "X", "value": secrets.token_hex(5)}]},
    ):
        member = await world.verified()
        kept = (await world.patch(member.path, member.token(), {"website": "https://a.example"})).json()
        assert kept["status"] == "verified"
        changed = (await world.patch(member.path, member.token(), change)).json()
        assert (changed["status"], changed["verified_until"]) == ("registered", None)
        kinds = ("InstitutionRegistered", "InstitutionVerified", "InstitutionUpdated", "InstitutionUpdated")
        assert (await world.told(topics.INSTITUTIONS, member.id, *kinds))[3]["institution"]["status"] == "registered"


async def test_suspension_and_reinstatement(world: World) -> None:
    member = await world.verified()
    body = {"reason_code": "other", "text": "Mrs Secret"}
    suspended = await world.done(f"{member.path}/suspend", world.operator, body)
    assert (suspended["status"], suspended["actions"]) == ("suspended", ["reinstate"])
    assert suspended["reason"] == {"code": "other", "text": "Mrs Secret"}
    stranger = await world.institution()
    assert (await world.read(member.path, stranger.token()))["reason"] == {"code": "other", "text": None}
    for path, request in (
        (
            "/capabilities",
            {
                "title": "t",
                "summary": "s",
                "resource_kinds": ["trade"],
                "isic": ["C"],
                "serves": {"all_south": True},
                "capacity": 1,
                "publish": True,
            },
        ),
    ):
        assert code(await world.post(path, member.token(), request)) == (409, "institution_suspended")
        draft = await world.made(path, member.token(), {**request, "publish": False})
        assert draft["actions"] == []
    back = await world.done(f"{member.path}/reinstate", world.operator)
    assert (back["status"], back["reason"]) == ("verified", None)
    kinds = ("InstitutionRegistered", "InstitutionVerified", "InstitutionSuspended", "InstitutionReinstated")
    events = await world.told(topics.INSTITUTIONS, member.id, *kinds)
    assert events[2]["institution"]["reason"] == {"code": "other"}


async def test_a_suspended_institution_is_not_verified_behind_its_suspension(world: World) -> None:
    member = await world.institution()
    made = await world.made(f"{member.path}/verifications", world.operator, due_diligence())
    await world.done(f"{member.path}/suspend", world.operator, {"reason_code": "red_flag"})
    answer = await world.post(f"/verifications/{made['id']}/approve", world.verifier, if_match="*")
    assert code(answer) == (409, "institution_suspended")


async def test_contacts_are_shown_while_a_match_is_accepted_or_formalised(world: World) -> None:
    lidi, clri, bank = [await world.institution(contact=CONTACT) for _ in range(3)]
    match = Match(new_id(), new_id(), lidi.party, clri.party)
    send = world.service.foreign.send

    async def sees(who: Any, whom: Any) -> bool:
        return (await world.read(whom.path, who.token("reader")))["contact"] == CONTACT

    async def shown(*pairs: tuple[Any, Any]) -> bool:
        return all([await sees(who, whom) for who, whom in pairs])

    async def hidden(*pairs: tuple[Any, Any]) -> bool:
        return not any([await sees(who, whom) for who, whom in pairs])

    assert await hidden((lidi, clri), (clri, lidi))
    await send(match.event(MatchAccepted, "accepted"))
    await eventually(lambda: shown((lidi, clri), (clri, lidi)))
    assert await hidden((bank, lidi), (lidi, bank))
    invited = FacilitatorRef(**bank.party.model_dump(), status="invited")
    await send(match.event(FacilitatorInvited, "accepted", [invited]))
    await eventually(lambda: shown((bank, lidi), (lidi, bank)))
    listed = await world.read("/institutions", lidi.token(), q=clri.data["name"])
    assert listed["items"][0]["contact"] == CONTACT
    late = match.event(MatchAccepted, "accepted")
    await send(match.event(MatchDeclined, "declined", [invited]))
    await eventually(lambda: hidden((lidi, clri), (clri, lidi), (bank, lidi)))
    older = await send(late, sequence=1)  # seen again
    await world.service.handled(older.id)
    other = Match(new_id(), new_id(), lidi.party, bank.party)
    await send(other.event(MatchFormalised, "formalised"))
    await eventually(lambda: shown((lidi, bank), (bank, lidi)))
    assert await hidden((lidi, clri))


async def test_updated_since_gives_changes_in_order_and_pages_do_not_overlap(world: World) -> None:
    members = [await world.institution() for _ in range(5)]
    await world.patch(members[1].path, world.operator, {"acronym": "LAST"})
    since = members[0].data["updated_at"]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        found = await world.read("/institutions", updated_since=since, limit="2", **cursor)
        seen += [item["id"] for item in found["items"]]
        if found["next"] is None:
            break
        cursor = {"cursor": found["next"]}
    order = [members[i].id for i in (0, 2, 3, 4, 1)]
    assert seen == [str(i) for i in order]
    newest = await world.read("/institutions", limit="1")
    assert newest["items"][0]["id"] == str(members[4].id)


async def test_a_change_is_audited_with_who_and_what(world: World) -> None:
    member = await world.institution()
    async with world.service.running.transactions.background() as tx:
        row = await load(tx, InstitutionRow, member.id)
        assert row is not None
        table = world.service.running.service.kernel.audit
        found = (await tx.session.execute(table.select().where(table.c.subject == f"institutions/{row.id}"))).all()
    assert [(line.sub, line.action) for line in found] == [("key:operator", "InstitutionRegistered")]
