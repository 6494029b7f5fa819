"""Capabilities and needs: drafts, publishing, patching, withdrawing, and what becomes of a need by its matches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from shared.events import topics
from shared.events.matching import MatchFormalised
from shared.events.projects import ProjectCancelled, ProjectCompleted, ProjectEvent
from shared.ops.ids import new_id
from tests.support.parts import Parts
from tests.support.registry import Match, Member, World, capability_body, need_body, today
from tests.support.stack import running_service
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio
SUM = {"amount": "450000.00", "currency": "USD"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(parts: Parts) -> AsyncIterator[World]:
    async with running_service(parts, "registry") as service:
        yield World(service)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lidi(world: World) -> Member:
    return await world.institution()


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def pointers(answer: Any) -> list[str]:
    assert code(answer) == (422, "validation_failed")
    return [error["pointer"] for error in answer.json()["errors"]]


async def test_a_need_takes_its_defaults_from_its_institution_and_is_its_own_thread(world: World, lidi: Member) -> None:
    answer = await world.post(
        "/needs", lidi.token("editor"), need_body(budget=SUM, funding_gap={**SUM, "amount": "0.00"})
    )
    need = answer.json()
    assert (answer.status_code, answer.headers["etag"]) == (201, '"1"')
    assert answer.headers["x-correlation-id"] == need["id"]
    assert (need["country"], need["language"], need["languages"]) == ("ETH", "fr", ["fr", "en"])
    assert (need["budget"], need["funding_gap"]["amount"], need["partners_wanted"]) == (SUM, "0.00", 1)
    assert await world.read(answer.headers["location"], lidi.token()) == need
    [event] = await world.told(topics.NEEDS, need["id"], "NeedPosted")
    assert event["need"]["institution"]["type"] == "firm"
    same = {name: value for name, value in need.items() if name in event["need"] and name != "institution"}
    assert {name: event["need"][name] for name in same} == same


async def test_an_institution_without_languages_works_in_english(world: World) -> None:
    quiet = await world.institution(languages=[])
    for made in (await quiet.need(), await quiet.capability()):
        assert (made["language"], made["languages"]) == ("en", ["en"])


@pytest.mark.parametrize(
    ("pointer", "wrong"),
    [
        ("/deadline", {"deadline": today(0)}),
        ("/deadline", {"deadline": today(800)}),
        ("/deadline", {"deadline": "2027-02-30"}),
        ("/budget/amount", {"budget": {"amount": 450000, "currency": "USD"}}),
        ("/budget/amount", {"budget": {"amount": "1.50", "currency": "JPY"}}),
        ("/partners_wanted", {"partners_wanted": 21}),
        ("/partners_wanted", {"partners_wanted": True}),
        ("/post", {"post": "yes"}),
        ("/urgency", {"urgency": "panic"}),
        ("/isic/0", {"isic": ["9999"]}),
        ("/title", {"title": "  "}),
        ("/title", {"title": "x" * 201}),
        ("/technologies", {"technologies": [f"t{n}" for n in range(51)]}),
        ("/colour", {"colour": "blue"}),
    ],
)
async def test_faulty_needs(world: World, lidi: Member, pointer: str, wrong: dict[str, Any]) -> None:
    assert pointer in pointers(await world.post("/needs", lidi.token(), need_body(**wrong)))


async def test_for_whom_one_may_create(world: World, lidi: Member) -> None:
    other = await world.institution()
    made = await world.made("/needs", world.operator, need_body(institution_id=str(lidi.id)))
    assert made["institution"]["id"] == str(lidi.id)
    assert made["actions"] == ["withdraw"]
    assert pointers(await world.post("/needs", world.operator, need_body())) == ["/institution_id"]
    assert pointers(await world.post("/needs", world.operator, need_body(institution_id=str(new_id())))) == [
        "/institution_id"
    ]
    foreign = need_body(institution_id=str(other.id))
    assert code(await world.post("/needs", lidi.token(), foreign)) == (403, "wrong_institution")
    assert code(await world.post("/needs", lidi.token("reader"), need_body())) == (403, "forbidden")
    assert code(await world.post("/needs", world.verifier, need_body())) == (403, "forbidden")


@pytest.mark.parametrize("kind", ["capability", "need"])
async def test_a_draft_is_for_its_institution_and_the_operator(world: World, lidi: Member, kind: str) -> None:
    path, body, publish = (
        ("/capabilities", capability_body(publish=False), "publish")
        if kind == "capability"
        else ("/needs", need_body(post=False), "post")
    )
    draft = await world.made(path, lidi.token(), body)
    own, stranger = f"{path}/{draft['id']}", (await world.institution()).token()
    assert (draft["status"], draft["actions"]) == ("draft", [publish])
    for who, status in ((lidi.token("reader"), 200), (world.operator, 200), (world.verifier, 404), (stranger, 404)):
        assert (await world.get(own, who)).status_code == status
        listed = await world.read(path, who, status="draft")
        assert (draft["id"] in [item["id"] for item in listed["items"]]) is (status == 200)
    assert code(await world.post(f"{own}/{publish}", stranger, if_match="*")) == (404, "not_found")
    changed = await world.patch(own, lidi.token(), {"title": "Better"}, if_match='"1"')
    assert (changed.json()["title"], changed.json()["version"]) == ("Better", 2)
    published = await world.done(f"{own}/{publish}", lidi.token(), if_match='"2"')
    assert published["version"] == 3
    topic, event = (
        (topics.CAPABILITIES, "CapabilityPublished") if kind == "capability" else (topics.NEEDS, "NeedPosted")
    )
    await world.told(topic, draft["id"], event)
    assert (await world.get(own, stranger)).status_code == 200
    assert code(await world.patch(own, stranger, {"title": "Mine"})) == (403, "forbidden")


async def test_a_patch_checks_the_whole_and_defaults_come_back_by_null(world: World, lidi: Member) -> None:
    need = await lidi.need(languages=["pt"], budget=SUM)
    path = f"/needs/{need['id']}"
    changed = (await world.patch(path, lidi.token(), {"languages": None, "budget": None})).json()
    assert (changed["languages"], changed["budget"], changed["version"]) == (["fr", "en"], None, 2)
    for wrong, pointer in (
        ({"title": None}, "/title"),
        ({"status": "open"}, "/status"),
        ({"post": True}, "/post"),
        ({"deadline": today(0)}, "/deadline"),
        ({"budget": {"currency": "USD"}}, "/budget/amount"),
        ({"budgett": None}, "/budgett"),
        ({"budget": {"amount": "1.00", "currency": "USD", "rate": None}}, "/budget/rate"),
    ):
        assert pointers(await world.patch(path, lidi.token(), wrong)) == [pointer]
    assert code(await world.patch(path, lidi.token(), [])) == (422, "validation_failed")
    kept = (await world.patch(path, lidi.token(), {})).json()
    assert kept["version"] == 2
    await world.told(topics.NEEDS, need["id"], "NeedPosted", "NeedUpdated")


async def test_stale_and_missing_versions(world: World, lidi: Member) -> None:
    path = f"/needs/{(await lidi.need())['id']}"
    reason = {"reason_code": "duplicate"}
    assert code(await world.post(f"{path}/withdraw", lidi.token(), reason)) == (428, "precondition_required")
    assert code(await world.post(f"{path}/withdraw", lidi.token(), reason, if_match='"7"')) == (412, "version_mismatch")
    assert code(await world.post(f"{path}/withdraw", lidi.token("reader"), reason)) == (403, "forbidden")
    withdrawn = await world.done(f"{path}/withdraw", lidi.token(), reason, if_match='"1"')
    assert withdrawn["reason"] == {"code": "duplicate", "text": ""}
    assert code(await world.post(f"{path}/withdraw", lidi.token(), reason, if_match='"1"')) == (412, "version_mismatch")
    again = await world.post(f"{path}/withdraw", lidi.token(), reason, if_match="*")
    assert code(again) == (409, "invalid_transition")
    assert (again.json()["current_status"], again.json()["allowed"]) == ("withdrawn", [])


async def test_of_two_withdrawals_at_once_one_wins(world: World, lidi: Member) -> None:
    path = f"/needs/{(await lidi.need())['id']}/withdraw"
    body = {"reason_code": "duplicate"}
    answers = await asyncio.gather(*(world.post(path, lidi.token(), body, if_match='"1"') for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]


async def test_a_repeated_key_posts_one_need(world: World, lidi: Member) -> None:
    token, body = lidi.token(), need_body(title="Once")
    first, second = [await world.post("/needs", token, body, key=f"once-{lidi.id}") for _ in range(2)]
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"
    assert second.headers["location"] == first.headers["location"]
    listed = await world.read("/needs", q="once", institution_id=str(lidi.id))
    assert len(listed["items"]) == 1


async def test_a_capability_lives(world: World, lidi: Member) -> None:
    capability = await lidi.capability()
    path = f"/capabilities/{capability['id']}"
    assert (capability["actions"], capability["engaged"]) == (["withdraw", "renew"], 0)
    renewed = await world.done(f"{path}/renew", lidi.token(), {"renew_by": today(700)})
    assert (renewed["renew_by"], renewed["version"]) == (today(700), 2)
    assert pointers(await world.post(f"{path}/renew", lidi.token(), {"renew_by": today(-1)}, if_match="*")) == [
        "/renew_by"
    ]
    assert pointers(await world.post(f"{path}/withdraw", lidi.token(), {"reason_code": "other"}, if_match="*")) == [
        "/text"
    ]
    withdrawn = await world.done(f"{path}/withdraw", lidi.token(), {"reason_code": "other", "text": "Mrs Secret left"})
    assert (withdrawn["status"], withdrawn["actions"]) == ("withdrawn", [])
    events = await world.told(
        topics.CAPABILITIES, capability["id"], "CapabilityPublished", "CapabilityUpdated", "CapabilityWithdrawn"
    )
    assert events[2]["capability"]["reason"] == {"code": "other"}
    assert "Mrs Secret" not in str(events)


@pytest.mark.parametrize(
    ("pointer", "wrong"),
    [
        ("/serves", {"serves": {}}),
        ("/serves/blocs/0", {"serves": {"blocs": ["NONE"]}}),
        ("/capacity", {"capacity": 0}),
        ("/renew_by", {"renew_by": today(-1)}),
        ("/centre_id", {"centre_id": "01a20cda-0b05-7005-8005-000000000005"}),
        ("/evidence/0/url", {"evidence": [{"title": "t", "url": "javascript:alert(1)"}]}),
        ("/resource_kinds", {"resource_kinds": ["trade", "trade"]}),
    ],
)
async def test_faulty_capabilities(world: World, lidi: Member, pointer: str, wrong: dict[str, Any]) -> None:
    assert pointer in pointers(await world.post("/capabilities", lidi.token(), capability_body(**wrong)))


async def test_a_capability_of_a_centre(world: World, lidi: Member) -> None:
    centre = (await world.read("/centres"))["items"][0]["id"]
    made = await lidi.capability(centre_id=centre)
    assert made["centre_id"] == centre
    changed = (await world.patch(f"/capabilities/{made['id']}", lidi.token(), {"centre_id": None})).json()
    assert changed["centre_id"] is None


async def test_filters_of_lists(world: World) -> None:
    owner = await world.institution(country="MLI")
    need = await owner.need(title="Zebu leather", isic=["1512"], resource_kinds=["equipment"], country="NER")
    capability = await owner.capability(title="Zebu hides", isic=["1512"], resource_kinds=["equipment"])
    queries = ({"isic": "1512"}, {"resource_kind": "equipment"}, {"q": "zebu"}, {"institution_id": str(owner.id)})
    for path, made, country in (("/needs", need, "NER"), ("/capabilities", capability, "MLI")):
        for query in (*queries, {"country": country}, {"status": made["status"], "country": country}):
            assert [i["id"] for i in (await world.read(path, **query))["items"]] == [made["id"]], query
        assert (await world.read(path, country="ISL"))["items"] == []
        assert (await world.read(path, updated_since=made["updated_at"]))["items"][0]["id"] == made["id"]


# what matching and projects tell


def match_of(need: dict[str, Any], capability: dict[str, Any], lidi: Member) -> Match:
    return Match(UUID(need["id"]), UUID(capability["id"]), lidi.party, lidi.party)


async def becomes(world: World, path: str, status: str) -> dict[str, Any]:
    async def there() -> dict[str, Any]:
        found = await world.read(path)
        assert found["status"] == status, found["status"]
        return found

    return await eventually(there)


async def test_a_need_is_engaged_and_fulfilled_and_the_capability_counts(world: World, lidi: Member) -> None:
    need, capability = await lidi.need(), await lidi.capability()
    match, send = match_of(need, capability, lidi), world.service.foreign.send
    cause = await send(match.event(MatchFormalised, "formalised"), correlation=need["id"])
    path, offer = f"/needs/{need['id']}", f"/capabilities/{capability['id']}"
    engaged = await becomes(world, path, "engaged")
    assert (engaged["version"], engaged["actions"]) == (2, [])
    shown = await world.read(offer)
    assert (shown["engaged"], shown["version"]) == (1, 1)
    assert (await world.read("/capabilities", institution_id=str(lidi.id)))["items"][0]["engaged"] == 1
    refused = await world.post(f"{path}/withdraw", lidi.token(), {"reason_code": "duplicate"}, if_match="*")
    assert (code(refused), refused.json()["current_status"]) == ((409, "invalid_transition"), "engaged")
    assert code(await world.patch(path, lidi.token(), {"urgency": "low"})) == (409, "invalid_transition")
    await world.service.foreign.send_record(topics.MATCHES, cause)  # delivered twice
    await send(match.ended(ProjectCompleted, "completed"), correlation=need["id"])
    await becomes(world, path, "fulfilled")
    assert (await world.read(offer))["engaged"] == 0
    events = await world.told(topics.NEEDS, need["id"], "NeedPosted", "NeedEngaged", "NeedFulfilled")
    assert events[1]["by"] == {"institution_id": None, "via": "system"}
    records = [r for r in await world.service.records(topics.NEEDS) if r.partitionkey == need["id"]]
    assert records[1].causationid == str(cause.id)
    assert {r.correlationid for r in records} == {need["id"]}


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_the_end_is_the_same_in_every_order_of_arrival(
    world: World, lidi: Member, order: tuple[int, ...]
) -> None:
    """Two places: one completed, one cancelled whose need seeks again."""
    need, capability = await lidi.need(partners_wanted=2), await lidi.capability()
    first, second = [match_of(need, capability, lidi) for _ in range(2)]
    news = [
        [first.event(MatchFormalised, "formalised"), second.event(MatchFormalised, "formalised")],
        [first.ended(ProjectCompleted, "completed")],
        [second.ended(ProjectCancelled, "cancelled", reopen_need=True)],
    ]
    for position in order:
        for event in news[position]:
            record = await world.service.foreign.send(event)
            await world.service.handled(record.id)
    assert (await world.read(f"/needs/{need['id']}"))["status"] == "open"
    assert (await world.read(f"/capabilities/{capability['id']}"))["engaged"] == 0


@pytest.mark.parametrize(
    ("ended", "status", "told"),
    [(ProjectCompleted, "fulfilled", "NeedFulfilled"), (ProjectCancelled, "open", "NeedReopened")],
)
async def test_an_end_heard_first_tells_of_the_beginning_too(
    world: World, lidi: Member, ended: type[ProjectEvent], status: str, told: str
) -> None:
    need, capability = await lidi.need(), await lidi.capability()
    match = match_of(need, capability, lidi)
    for event in (
        match.ended(ended, ended.__name__.removeprefix("Project").lower()),
        match.event(MatchFormalised, "formalised"),
    ):
        record = await world.service.foreign.send(event)
        await world.service.handled(record.id)
    events = await world.told(topics.NEEDS, need["id"], "NeedPosted", "NeedEngaged", told)
    assert [event["need"]["status"] for event in events] == ["open", "engaged", status]
    assert [event["need"]["version"] for event in events] == [1, 2, 3]
    assert (await world.read(f"/needs/{need['id']}"))["status"] == status
    assert (await world.read(f"/capabilities/{capability['id']}"))["engaged"] == 0


async def test_a_fulfilled_need_is_not_engaged_again_by_an_earlier_partner_s_end_heard_late(
    world: World, lidi: Member
) -> None:
    need, capability = await lidi.need(), await lidi.capability()
    earlier, later = (match_of(need, capability, lidi) for _ in range(2))
    news = [
        later.event(MatchFormalised, "formalised"),
        later.ended(ProjectCompleted, "completed"),
        earlier.event(MatchFormalised, "formalised"),
        earlier.ended(ProjectCancelled, "cancelled"),
    ]
    for event in news:
        record = await world.service.foreign.send(event)
        await world.service.handled(record.id)
    await world.told(topics.NEEDS, need["id"], "NeedPosted", "NeedEngaged", "NeedFulfilled")
    assert (await world.read(f"/needs/{need['id']}"))["status"] == "fulfilled"


async def test_cancelled_for_good_withdraws_the_need(world: World, lidi: Member) -> None:
    need, capability = await lidi.need(), await lidi.capability()
    match = match_of(need, capability, lidi)
    await world.service.foreign.send(match.ended(ProjectCancelled, "cancelled", reopen_need=False))
    found = await becomes(world, f"/needs/{need['id']}", "withdrawn")
    assert found["reason"] == {"code": "project_cancelled", "text": ""}
    record = await world.service.foreign.send(match.event(MatchFormalised, "formalised"))
    await world.service.handled(record.id)
    events = await world.told(topics.NEEDS, need["id"], "NeedPosted", "NeedEngaged", "NeedWithdrawn")
    assert events[2]["need"]["reason"] == {"code": "project_cancelled"}
    assert (await world.read(f"/capabilities/{capability['id']}"))["engaged"] == 0


async def test_a_formalised_match_wins_over_a_withdrawal_and_its_cancellation_reopens(
    world: World, lidi: Member
) -> None:
    need, capability = await lidi.need(), await lidi.capability()
    path, match = f"/needs/{need['id']}", match_of(need, capability, lidi)
    await world.done(f"{path}/withdraw", lidi.token(), {"reason_code": "met_elsewhere"})
    await world.service.foreign.send(match.event(MatchFormalised, "formalised"))
    assert (await becomes(world, path, "engaged"))["reason"] is None
    await world.service.foreign.send(match.ended(ProjectCancelled, "cancelled", reopen_need=True))
    assert (await becomes(world, path, "open"))["actions"] == ["withdraw"]
    kinds = ("NeedPosted", "NeedWithdrawn", "NeedEngaged", "NeedReopened")
    await world.told(topics.NEEDS, need["id"], *kinds)


async def test_partners_wanted_stays_above_those_engaged(world: World, lidi: Member) -> None:
    need, capability = await lidi.need(partners_wanted=3), await lidi.capability()
    record = await world.service.foreign.send(match_of(need, capability, lidi).event(MatchFormalised, "formalised"))
    await world.service.handled(record.id)
    assert pointers(await world.patch(f"/needs/{need['id']}", lidi.token(), {"partners_wanted": 1})) == [
        "/partners_wanted"
    ]
    assert (await world.patch(f"/needs/{need['id']}", lidi.token(), {"partners_wanted": 2})).status_code == 200


async def test_news_of_unknown_needs_and_direct_projects_harm_nothing(world: World, lidi: Member) -> None:
    stray = Match(new_id(), new_id(), lidi.party, lidi.party)
    first = await world.service.foreign.send(stray.event(MatchFormalised, "formalised"))
    direct = stray.ended(ProjectCompleted, "completed")
    alone = direct.model_copy(
        update={"project": direct.project.model_copy(update={"id": new_id(), "match_id": None, "need_id": None})}
    )
    second = await world.service.foreign.send(alone)
    for record in (first, second):
        await world.service.handled(record.id)
    ready = (await world.service.client.get("/readyz")).json()
    assert ready["checks"]["consumer"]["dead_letters"] == 0
