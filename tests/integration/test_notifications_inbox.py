"""Events of the other services come in once, and everybody who must know is told, in the own language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import pytest_asyncio

from shared.events import registry
from shared.events.matching import MatchDeclined, MatchProposed
from shared.events.projects import (
    ProjectStarted,
)  # fmt: skip
from shared.events.registry import InstitutionRegistered, NeedPosted, VerificationSubmitted
from tests.support.notifications import inbox, told_of
from tests.support.samples import (
    ALL_EVENTS,
    CLRI,
    GIZ,
    LIDI,
    OPERATOR,
    SYSTEM,
    by,
    institution,
    match,
    need,
    project,
    sample,
)  # fmt: skip
from tests.support.stack import RunningService, running_service
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def s(parts: Parts) -> AsyncIterator[RunningService]:
    async with running_service(parts, "notifications") as service:
        yield service


async def test_both_sides_are_told_of_a_proposal(s):
    sent = await s.foreign.send(sample(MatchProposed, SYSTEM))
    beneficiary = await told_of(s, s.token("owner", institution_id=LIDI), sent.id)
    provider = await told_of(s, s.token("reader", institution_id=CLRI), sent.id)
    assert beneficiary == beneficiary | {
        "event_type": "MatchProposed",
        "subject": {"type": "match", "id": sent.partitionkey},
        "correlation_id": sent.correlationid,
        "title": "New match for your need",
        "text": "Central Leather Research Institute (IND) matches your need with 74 %.",
        "language": "en",
        "action_required": True,
        "due_at": "2026-12-15T09:20:01Z",
        "read_at": None,
    }
    assert provider["title"] == "New match for your capability"
    assert provider["id"] != beneficiary["id"]


async def test_a_decline_is_told_to_the_other_side_only(s):
    state = match(status="declined", reason={"code": "timing"})
    sent = await s.foreign.send(sample(MatchDeclined, by(CLRI), match=state))
    entry = await told_of(s, s.token("owner", institution_id=LIDI), sent.id)
    assert (entry["action_required"], entry["due_at"]) == (False, None)
    page = await inbox(s, s.token("owner", institution_id=CLRI), limit=200)
    assert str(sent.id) not in {item["event_id"] for item in page["items"]}


async def test_one_entry_whatever_is_redelivered(s):
    stranger = uuid4()
    state = institution(stranger_as(stranger), id=stranger)
    record = await s.foreign.send(sample(registry.InstitutionVerified, OPERATOR, institution=state))
    for _ in range(3):
        await s.foreign.send_record(registry.InstitutionVerified.topic, record)
    last = await s.foreign.send(sample(registry.InstitutionSuspended, OPERATOR, institution=state | {"version": 2}))
    who = s.token("owner", institution_id=stranger)
    await told_of(s, who, last.id)
    assert [item["event_type"] for item in (await inbox(s, who))["items"]] == [
        "InstitutionSuspended",
        "InstitutionVerified",
    ]


def stranger_as(_id: Any) -> Any:
    """The state of a sample institution serves any other."""
    return LIDI


async def test_words_are_in_the_first_language_of_the_institution(s):
    one = uuid4()
    state = institution(id=one, languages=["fr", "en"], name="Institut du cuir")
    sent = await s.foreign.send(sample(InstitutionRegistered, OPERATOR, institution=state))
    entry = await told_of(s, s.token("owner", institution_id=one), sent.id)
    assert (entry["language"], entry["title"]) == ("fr", "Institution enregistrée")
    assert entry["text"] == "Institut du cuir (ETH) a été enregistrée."


async def test_an_older_state_does_not_replace_a_newer_name(s):
    one = uuid4()
    newer = sample(registry.InstitutionUpdated, OPERATOR, institution=institution(id=one, name="New", version=2))
    older = sample(InstitutionRegistered, OPERATOR, institution=institution(id=one, name="Old"))
    await s.foreign.send(newer, sequence=2)
    sent = await s.foreign.send(older, sequence=1)
    entry = await told_of(s, s.token("owner", institution_id=one), sent.id)
    assert entry["text"] == "New (ETH) was registered."


async def test_a_verification_is_told_to_verifiers_and_seen_nowhere_else(s):
    sent = await s.foreign.send(sample(VerificationSubmitted, OPERATOR))
    verifier, operator = s.token("verifier"), s.token("operator")
    entry = await told_of(s, verifier, sent.id)
    assert entry["action_required"]
    assert str(sent.id) not in {item["event_id"] for item in (await inbox(s, operator, limit=200))["items"]}
    thread = await s.client.get(f"/threads/{LIDI}", headers=verifier)
    assert str(sent.id) not in thread.text
    feed = await s.client.get("/events", headers=operator, params={"limit": 200})
    assert str(sent.id) not in feed.text


async def test_a_record_that_cannot_be_handled_is_told_to_the_operator(s):
    headers = [("ce_id", str(uuid4()).encode())]
    await s.foreign.send_bytes(NeedPosted.topic, b"not json", headers=headers)
    operator = s.token("operator")

    async def letters() -> list[dict[str, Any]]:
        page = await inbox(s, operator, limit=200)
        return [item for item in page["items"] if item["event_type"] == "DeadLetterAdded"]

    (entry,) = await eventually(letters)
    assert entry["event_id"] == headers[0][1].decode()
    assert entry["subject"]["type"] == "dead_letter"
    assert entry["action_required"]
    assert "registry.needs" in entry["text"]
    assert (await inbox(s, s.token("verifier"), limit=200))["items"].count(entry) == 0


async def test_every_event_type_is_taken_in(s):
    sent = [
        await s.foreign.send(sample(event, SYSTEM))
        for event in ALL_EVENTS
        if event.topic.split(".")[0] != "notifications"
    ]
    public = {str(one.id) for one in sent} - {str(one.id) for one in sent if "VerificationSubmitted" in one.type}

    async def all_there() -> bool:
        cursor, seen = None, set()
        while True:
            query = {"limit": 200} | ({"cursor": cursor} if cursor else {})
            page = (await s.client.get("/events", headers=s.token("operator"), params=query)).json()
            seen |= {item["id"] for item in page["items"]}
            if not page["items"]:
                return public <= seen
            cursor = page["next"]

    assert await eventually(all_there)


async def test_read_marks_belong_to_one_reader(s):
    one = uuid4()
    sent = await s.foreign.send(sample(InstitutionRegistered, OPERATOR, institution=institution(id=one)))
    mine, colleague = s.token("owner", institution_id=one), s.token("editor", institution_id=one)
    entry = await told_of(s, mine, sent.id)
    assert (await inbox(s, mine))["unread"] == 1
    for _ in range(2):
        answer = await s.client.post(f"/inbox/{entry['id']}/read", headers=mine)
        assert (answer.status_code, answer.content) == (204, b"")
    read = await inbox(s, mine)
    assert read["unread"] == 0
    assert read["items"][0]["read_at"] is not None
    assert (await inbox(s, mine, unread="true"))["items"] == []
    assert len((await inbox(s, mine, unread="false"))["items"]) == 1
    assert (await inbox(s, colleague, unread="true"))["unread"] == 1


async def test_an_entry_of_somebody_else_is_not_there(s):
    sent = await s.foreign.send(sample(InstitutionRegistered, OPERATOR))
    entry = await told_of(s, s.token("owner", institution_id=LIDI), sent.id)
    for who in (s.token("owner", institution_id=GIZ), s.token("operator"), s.token("verifier")):
        assert (await s.client.post(f"/inbox/{entry['id']}/read", headers=who)).status_code == 404
    who = s.token("owner", institution_id=LIDI)
    assert (await s.client.post("/inbox/nonsense/read", headers=who)).status_code == 404
    assert (await s.client.post(f"/inbox/{uuid4()}/read", headers=who)).status_code == 404


async def test_bad_queries_are_refused(s):
    who = s.token("owner", institution_id=LIDI)
    for query, pointer in (("unread=maybe", "?unread"), ("limit=0", "?limit"), ("what=1", "?what")):
        answer = await s.client.get(f"/inbox?{query}", headers=who)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    answer = await s.client.get("/inbox?cursor=forged", headers=who)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")
    assert (await s.client.get("/inbox")).status_code == 401


async def test_pages_neither_skip_nor_repeat(s):
    one = uuid4()
    sent = [
        await s.foreign.send(sample(registry.InstitutionUpdated, OPERATOR, institution=institution(id=one, version=n)))
        for n in range(1, 8)
    ]
    who = s.token("owner", institution_id=one)
    await told_of(s, who, sent[-1].id)
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 3}
    while True:
        page = await inbox(s, who, **query)
        seen += [item["event_id"] for item in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert seen == [str(one.id) for one in reversed(sent)]


async def test_a_thread_is_told_from_its_beginning(s):
    wanted = need()
    posted = await s.foreign.send(sample(NeedPosted, by(LIDI), need=wanted))
    proposed = await s.foreign.send(sample(MatchProposed, SYSTEM, match=match(need_id=wanted["id"])))
    started = await s.foreign.send(sample(ProjectStarted, by(CLRI), project=project(need_id=wanted["id"])))

    async def thread(who: dict[str, str]) -> dict[str, Any] | None:
        answer = await s.client.get(f"/threads/{wanted['id']}", headers=who)
        return answer.json() | {"header": answer.headers.get("x-correlation-id")} if answer.status_code == 200 else None

    async def whole() -> dict[str, Any] | None:
        found = await thread(s.token("owner", institution_id=LIDI))
        return found if found and len(found["items"]) == 3 else None

    found = await eventually(whole)
    assert (found["correlation_id"], found["header"], found["next"]) == (str(wanted["id"]),) * 2 + (None,)
    assert [item["event_id"] for item in found["items"]] == [str(one.id) for one in (posted, proposed, started)]
    assert [item["type"] for item in found["items"]] == ["NeedPosted", "MatchProposed", "ProjectStarted"]
    assert [item["institution_id"] for item in found["items"]] == [str(LIDI), None, str(CLRI)]
    assert found["items"][0]["subject"] == {"type": "need", "id": str(wanted["id"])}
    assert found["items"][0]["summary"] == "LIDI (ETH) seeks partners for “Cut chrome discharge” until 2027-01-31."
    stranger = await thread(s.token("owner", institution_id=GIZ))
    assert stranger is not None
    assert [item["type"] for item in stranger["items"]] == ["NeedPosted", "ProjectStarted"]
    staff = await thread(s.token("verifier"))
    assert staff is not None
    assert len(staff["items"]) == 3


async def test_an_unknown_thread_is_404(s):
    who = s.token("owner", institution_id=LIDI)
    assert (await s.client.get(f"/threads/{uuid4()}", headers=who)).status_code == 404
    assert (await s.client.get("/threads/nonsense", headers=who)).status_code == 404
