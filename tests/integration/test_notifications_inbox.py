"""Events of the other services come in once, and everybody who must know is told, in the own language."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import pytest_asyncio

from shared.events import registry
from shared.events.matching import MatchDeclined, MatchProposed
from shared.events.projects import (
    ContributionCommitted,
    ContributionPledged,
    MilestonePlanned,
    MilestoneReached,
    PartnerRoleChanged,
    PracticePublished,
    PracticeReplicated,
    ProjectOpened,
    ProjectStarted,
)  # fmt: skip
from shared.events.registry import InstitutionRegistered, NeedPosted, VerificationSubmitted
from shared.messaging.envelope import CloudEvent
from tests.support.samples import (
    ALL_EVENTS,
    CLRI,
    GIZ,
    LIDI,
    OPERATOR,
    SYSTEM,
    TODAY,
    by,
    contribution,
    institution,
    match,
    need,
    part,
    practice,
    project,
    role,
    sample,
)  # fmt: skip
from tests.support.stack import RunningService, running_service
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def s(parts: Parts) -> AsyncIterator[RunningService]:
    async with running_service(parts, "notifications") as service:
        yield service


async def inbox(s: RunningService, who: dict[str, str], **query: Any) -> dict[str, Any]:
    answer = await s.client.get("/inbox", headers=who, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def told_of(s: RunningService, who: dict[str, str], event_id: Any) -> dict[str, Any]:
    """The entry about this event, once it is there."""

    async def find() -> dict[str, Any] | None:
        page = await inbox(s, who, limit=200)
        return next((item for item in page["items"] if item["event_id"] == str(event_id)), None)

    return await eventually(find)


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


class Stream:
    """A reader of server-sent events."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def next(self, seconds: float = 60.0) -> dict[str, str]:
        """The next message (comments are passed over)."""
        found: dict[str, str] = {}
        async with asyncio.timeout(seconds):
            async for line in self._lines:
                if not line and found:
                    return found
                if line and not line.startswith(":"):
                    name, _, value = line.partition(": ")
                    found[name] = value
        raise EOFError

    async def item(self) -> dict[str, Any]:
        """The next message's data."""
        parsed: dict[str, Any] = json.loads((await self.next())["data"])
        return parsed

    async def opened(self) -> None:
        """Returns once the server has begun to answer."""
        async for line in self._lines:
            if line.startswith(": open"):
                return


@asynccontextmanager
async def stream(s: RunningService, path: str, who: dict[str, str], **headers: str) -> AsyncIterator[Stream]:
    wanted = {"Accept": "text/event-stream"} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with s.client.stream("GET", path, headers=who | wanted) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        opened = Stream(response)
        await opened.opened()
        yield opened


async def tell(s: RunningService, one: Any) -> str:
    event = sample(registry.InstitutionUpdated, OPERATOR, institution=institution(id=one))
    return str((await s.foreign.send(event)).id)


async def test_the_stream_brings_what_comes_from_now_on(s):
    one = uuid4()
    who = s.token("owner", institution_id=one)
    earlier = await tell(s, one)
    await told_of(s, who, earlier)
    async with stream(s, "/inbox/stream", who) as events:
        sent = await tell(s, one)
        message = await events.next()
        assert message["event"] == "inbox"
        item = json.loads(message["data"])
        assert item["event_id"] == sent
        assert item == await told_of(s, who, sent)


async def test_last_event_id_resumes_without_loss(s):
    one = uuid4()
    who = s.token("owner", institution_id=one)
    async with stream(s, "/inbox/stream", who) as events:
        await tell(s, one)
        first = await events.next()
    missed = [await tell(s, one) for _ in range(3)]
    async with stream(s, "/inbox/stream", who, Last_Event_ID=first["id"]) as events:
        assert [(await events.item())["event_id"] for _ in missed] == missed


async def test_a_made_up_last_event_id_is_refused(s):
    who = s.token("owner", institution_id=LIDI)
    for value, code in (("nonsense", 400), (str(uuid4()), 404)):
        answer = await s.client.get("/inbox/stream", headers=who | {"Last-Event-ID": value})
        assert answer.status_code == code


async def test_streams_hold_no_connection_and_end_when_the_client_leaves(s):
    who = s.token("owner", institution_id=LIDI)
    bell = s.running.state["parts"].signals.stamped
    before = len(bell)
    async with stream(s, "/inbox/stream", who), stream(s, "/events", who):
        assert len(bell) == before + 2
        assert await eventually(lambda: s.running.database.requests.pool.checkedout() == 0)
    assert await eventually(lambda: len(bell) == before)


async def test_streams_end_first_at_shutdown(parts):
    async with running_service(parts, "notifications") as own:
        who = own.token("owner", institution_id=LIDI)
        async with stream(own, "/inbox/stream", who) as events:
            own.running.stopping.set()
            with pytest.raises(EOFError):
                await events.next(3.0)


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


async def test_a_snapshot_of_a_later_epoch_tells_nobody_twice(s):
    one = uuid4()
    event = sample(registry.InstitutionVerified, OPERATOR, institution=institution(id=one, version=3))
    first = await s.foreign.send(event)
    who = s.token("owner", institution_id=one)
    await told_of(s, who, first.id)
    again = replace_sequence(first, "0002-0000000001")
    await s.foreign.send_record(event.topic, again)
    news = sample(registry.InstitutionSuspended, OPERATOR, institution=institution(id=one, version=4))
    later = replace_sequence(first, "0002-0000000002", news)
    await s.foreign.send_record(event.topic, later)
    await told_of(s, who, later.id)
    assert [item["event_type"] for item in (await inbox(s, who))["items"]] == [
        "InstitutionSuspended",
        "InstitutionVerified",
    ]


def replace_sequence(record: Any, sequence: str, event: Any = None) -> Any:
    """The same record as a new event of another epoch."""
    changes: dict[str, Any] = {"id": uuid4(), "sequence": sequence, "time": record.time + timedelta(seconds=1)}
    if event is not None:
        changes |= {"type": event.wire, "data": event.model_dump_json().encode()}
    return dataclasses.replace(record, **changes)


async def names_told(s: RunningService, one: Any, last: Any) -> list[str]:
    """The types of all that an institution was told of, newest first, once this last one is among them."""
    who = s.token("owner", institution_id=one)
    await told_of(s, who, last.id)
    return [item["event_type"] for item in (await inbox(s, who, limit=200))["items"]]


async def send_in(s: RunningService, event: Any, sequence: str) -> Any:
    """An event of any epoch."""
    record = replace_sequence(unsent(event), sequence)
    await s.foreign.send_record(event.topic, record)
    return record


def unsent(event: Any) -> Any:
    """The record of an event, not on Kafka yet."""
    return CloudEvent(
        id=uuid4(), source=f"urn:bandung:test:{event.topic.partition('.')[0]}", type=event.wire,
        subject=event.subject(), time=datetime.now(UTC), sequence="", partitionkey=str(event.key()),
        correlationid=str(event.correlation()), causationid=None, dataschema="", traceparent=None,
        data=event.model_dump_json().encode(),
    )  # fmt: skip


async def test_a_snapshot_says_it_in_other_words_and_versions(s):
    """It names the type that led to the status: an update comes again as a publication, and state may be set back."""
    one = uuid4()
    state = institution(id=one)
    await send_in(s, sample(InstitutionRegistered, OPERATOR, institution=state), "0001-0000000001")
    verified = sample(registry.InstitutionVerified, OPERATOR, institution=state | {"version": 2})
    await send_in(s, verified, "0001-0000000002")
    updated = sample(registry.InstitutionUpdated, OPERATOR, institution=state | {"version": 5})
    await send_in(s, updated, "0001-0000000003")
    snapshot = sample(registry.InstitutionVerified, OPERATOR, institution=state | {"version": 4})
    await send_in(s, snapshot, "0002-0000000004")
    await send_in(s, sample(registry.InstitutionUpdated, OPERATOR, institution=state), "0003-0000000005")
    last = await send_in(s, verified, "0003-0000000006")
    assert await names_told(s, one, last) == [
        "InstitutionVerified",
        "InstitutionUpdated",
        "InstitutionVerified",
        "InstitutionRegistered",
    ]


async def test_what_only_a_new_epoch_knows_is_news(s):
    one = uuid4()
    first = sample(InstitutionRegistered, OPERATOR, institution=institution(id=one))
    last = await send_in(s, first, "0002-0000000001")
    assert await names_told(s, one, last) == ["InstitutionRegistered"]


async def test_a_snapshot_of_a_project_with_its_parts_tells_nobody_twice(s):
    """All share one key; each part is first in the epoch once."""
    one, project_id = uuid4(), uuid4()
    common = {"project_id": project_id, "partner_ids": [LIDI, one]}
    partners = [role(LIDI, "beneficiary"), role(LIDI, "pivotal") | {"institution_id": one}]
    opened = sample(ProjectOpened, SYSTEM, project=project(id=project_id, partners=partners))
    milestones = [
        part(title="Plant runs", due_on=TODAY, reached_on=None, reason=None, **common) | {"id": uuid4()} for _ in "ab"
    ]
    planned = [sample(MilestonePlanned, SYSTEM, milestone=milestone) for milestone in milestones]
    pledged = sample(ContributionPledged, SYSTEM, contribution=contribution(**common))
    committed = sample(ContributionCommitted, SYSTEM, contribution=pledged.contribution.model_dump() | {"version": 2})
    for number, event in enumerate([opened, *planned, pledged, committed], 1):
        await send_in(s, event, f"0001-{number:010d}")
    again = [opened, pledged, *planned]  # a contribution committed in the hour that was lost is pledged again
    for number, event in enumerate(again, 6):
        await send_in(s, event, f"0002-{number:010d}")
    news = sample(MilestoneReached, SYSTEM, milestone=milestones[1])
    last = await send_in(s, news, "0002-0000000010")
    assert await names_told(s, one, last) == [
        "MilestoneReached",
        "ContributionCommitted",
        "ContributionPledged",
        "MilestonePlanned",
        "MilestonePlanned",
        "ProjectOpened",
    ]


async def test_a_snapshot_of_a_practice_and_its_replications_tells_nobody_twice(s):
    """They share one subject, so each replication is known by its own id."""
    one = uuid4()
    state = practice() | {"partner_ids": [one]}
    published = sample(PracticePublished, SYSTEM, practice=state)
    first, second, third = [sample(PracticeReplicated, SYSTEM, practice=state) for _ in range(3)]
    for number, event in enumerate([published, first, second], 1):
        await send_in(s, event, f"0001-{number:010d}")
    for number, event in enumerate([published, first, second], 4):
        await send_in(s, event, f"0002-{number:010d}")
    last = await send_in(s, third, "0002-0000000007")
    assert await names_told(s, one, last) == ["PracticeReplicated"] * 3 + ["PracticePublished"]


async def test_a_snapshot_of_a_verification_tells_the_verifier_once(s):
    verifier, submitted = s.token("verifier"), sample(VerificationSubmitted, OPERATOR)
    first = await send_in(s, submitted, "0001-0000000101")
    await told_of(s, verifier, first.id)
    again = await send_in(s, submitted, "0002-0000000102")
    last = await send_in(s, sample(VerificationSubmitted, OPERATOR), "0002-0000000103")
    await told_of(s, verifier, last.id)
    told = {item["event_id"] for item in (await inbox(s, verifier, limit=200))["items"]}
    assert str(again.id) not in told


async def test_a_partner_that_has_left_hears_no_more_of_the_project(s):
    staying, left = uuid4(), uuid4()
    project_id = uuid4()
    common = {"project_id": project_id, "partner_ids": [staying, left]}

    def roles(to: Any = None) -> list[dict[str, Any]]:
        held = [(staying, "beneficiary", None), (left, "pivotal", to)]
        return [role(LIDI, name, to=until) | {"institution_id": one} for one, name, until in held]

    def milestone() -> Any:
        return sample(
            MilestonePlanned,
            SYSTEM,
            milestone=part(title="Plant runs", due_on=TODAY, reached_on=None, reason=None, **common),
        )

    await s.foreign.send(milestone())  # nothing is known of the project yet
    await s.foreign.send(sample(ProjectOpened, SYSTEM, project=project(id=project_id, partners=roles())))
    await s.foreign.send(milestone())
    leaving = project(id=project_id, version=2, partners=roles(date(2026, 2, 1)))
    changed = await s.foreign.send(sample(PartnerRoleChanged, SYSTEM, project=leaving))
    last = await s.foreign.send(milestone())
    before = ["PartnerRoleChanged", "MilestonePlanned", "ProjectOpened", "MilestonePlanned"]
    assert await names_told(s, staying, last) == ["MilestonePlanned", *before]
    assert await names_told(s, left, changed) == before
