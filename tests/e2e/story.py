"""The story of the contract, section 16: every POST with its Idempotency-Key, and what must hold at the end."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.world import (
    Cooperation,
    Member,
    World,
    becomes,
    capability_body,
    direct_body,
    due_diligence,
    get_ok,
    moment,
    need_body,
    today,
)
from tests.support.system import SERVICES, Caller, Record, System
from tests.support.waiting import eventually

THREAD_TOPICS = ("registry.needs", "matching.matches", "projects.projects", "projects.practices")
MATCH_EVENTS = ["MatchProposed", "MatchInterestExpressed", "MatchAccepted", "MatchConfirmed", "MatchFormalised"]
PROJECT_EVENTS = [
    "ProjectOpened",
    "AgreementProposed",
    "AgreementSigned",
    "ProjectStarted",
    "ContributionPledged",
    "ContributionCommitted",
    "ContributionDelivered",
    "ContributionDelivered",
    "ContributionConfirmed",
    "ReportSubmitted",
    "ReportSigned",
    "ProjectCompleted",
]
# what the other side did, and what the system did
TOLD_LIDI = [
    "MatchProposed",
    "MatchInterestExpressed",
    "MatchConfirmed",
    "ProjectOpened",
    "AgreementSigned",
    "ProjectStarted",
    "ContributionPledged",
    "ContributionCommitted",
    "ContributionDelivered",
    "ContributionDelivered",
    "ReportSubmitted",
    "ReportSigned",
    "NeedEngaged",
    "NeedFulfilled",
]
TOLD_CLRI = [
    "MatchProposed",
    "MatchAccepted",
    "MatchFormalised",
    "ProjectOpened",
    "AgreementProposed",
    "ContributionConfirmed",
    "ProjectCompleted",
]
UNDECIDED = {"PracticePublished", "PracticeReplicated"}
"""Of these the text leaves open who is told: practices are public, and not of the project any more."""
SECRETS = ("client_secret", "secret")


@dataclass
class Posted:
    """One POST of the story and its answer."""

    caller: Caller
    path: str
    body: Any
    if_match: str | None
    key: str
    status: int
    answer: dict[str, Any]


@dataclass
class Story:
    """Played step by step; may be repeated from the start at any point."""

    system: System
    killed: bool = False  # then a record may stand twice, as its producer died before it knew of the first
    posts: list[Posted] = field(default_factory=list)
    need: dict[str, Any] = field(default_factory=dict)
    match: dict[str, Any] = field(default_factory=dict)
    capability: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world = World(self.system)

    async def post(self, caller: Caller, path: str, body: Any = None, *, if_match: str | None = None) -> dict[str, Any]:
        """A POST under a fresh Idempotency-Key, kept for repeating."""
        key, body = f"story-{secrets.token_hex(8)}", {} if body is None else body
        answer = await caller.post(path, body, if_match=if_match, key=key)
        assert answer.status_code in (200, 201), f"{path}: {answer.status_code} {answer.text}"
        self.posts.append(Posted(caller, path, body, if_match, key, answer.status_code, answer.json()))
        return dict(answer.json())

    async def act(self, caller: Caller, path: str, body: Any = None) -> dict[str, Any]:
        """A state change of the version that its owner sees."""
        version = (await caller.read(path.rpartition("/")[0]))["version"]
        return await self.post(caller, path, body, if_match=f'"{version}"')

    async def repeat(self) -> None:
        """Every POST once more with its key: the first answers come again."""
        for posted in self.posts:
            answer = await posted.caller.post(posted.path, posted.body, if_match=posted.if_match, key=posted.key)
            told = f"{posted.path}: {answer.status_code} {answer.text}"
            assert answer.status_code == posted.status, told
            assert answer.headers["idempotency-replayed"] == "true", told
            hidden = {name: None for name in SECRETS if name in posted.answer}
            assert answer.json() == posted.answer | hidden, told

    # the steps

    async def verified_institutions_with_keys(self) -> None:
        """1. The operator registers both, issues keys and submits; the verifier approves."""
        operator = self.system.operator
        self.lidi, self.clri, self.third = [await self._institution(country) for country in ("ETH", "IND", "NPL")]
        for member in (self.lidi, self.clri, self.third):
            submitted = await self.post(operator, f"{member.path}/verifications", due_diligence())
            await self.act(self.system.verifier, f"/verifications/{submitted['id']}/approve")

    async def _institution(self, country: str) -> Member:
        operator = self.system.operator
        institution = await self.post(operator, "/institutions", self.world.institution_body(country=country))
        body = {"name": "back office", "institution_id": institution["id"], "role": "owner"}
        key = await self.post(operator, "/keys", body)
        return Member(self.system, key["client_id"], key["client_secret"], self.world, institution)

    async def need_meets_capability(self) -> None:
        """2. One publishes, one posts, matching proposes."""
        serves = {"all_south": False, "countries": ["ETH"], "blocs": []}
        self.capability = await self.post(
            self.clri, "/capabilities", capability_body(isic=["3091"], serves=serves, capacity=2)
        )
        self.need = await self.post(self.lidi, "/needs", need_body(isic=["3091"]))
        await self.world.seen(self.lidi, self.need["id"])
        self.match = await self.world.match(self.lidi, self.need["id"], self.capability["id"])

    async def both_formalise(self) -> None:
        """3. Interest, acceptance, two confirmations."""
        path = f"/matches/{self.match['id']}"
        await self.act(self.clri, f"{path}/express-interest", {"message": "We can start in March."})
        await self.act(self.lidi, f"{path}/accept")
        await self.act(self.clri, f"{path}/formalise")
        self.match = await self.act(self.lidi, f"{path}/formalise")

    async def project_starts(self) -> None:
        """4 and 5. The project is there, its agreement is signed by both, it starts."""
        self.project = Cooperation(self.lidi, self.clri, f"/projects/{self.match['project_id']}")
        await get_ok(self.lidi, self.project.path)
        agreement = await self.post(self.lidi, f"{self.project.path}/agreements", self.project.agreement_body())
        for member in (self.lidi, self.clri):
            await self.act(member, f"/agreements/{agreement['id']}/sign", {"signed_on": today()})
        await self.act(self.clri, f"{self.project.path}/start", {"started_on": today()})

    async def experts_come(self) -> None:
        """6. A contribution is pledged, committed, delivered in two parts, confirmed."""
        pledge = await self.post(self.clri, f"{self.project.path}/contributions", self.project.pledge_body())
        path = f"/contributions/{pledge['id']}"
        await self.act(self.clri, f"{path}/commit")
        await self.act(self.clri, f"{path}/deliver", {"delivered_on": today(), "quantity": "40"})
        await self.act(self.clri, f"{path}/deliver", {"delivered_on": today()})
        assert (await self.act(self.lidi, f"{path}/confirm"))["status"] == "confirmed"

    async def project_completes(self) -> None:
        """7. Report signed by both, completion, practice."""
        body = {"kind": "completion", "summary": "Done.", "results": "Clean water.", "lessons": "Start earlier."}
        report = await self.post(self.clri, f"{self.project.path}/reports", body)
        for member in (self.lidi, self.clri):
            await self.act(member, f"/reports/{report['id']}/sign")
        await self.act(self.lidi, f"{self.project.path}/complete", {"completed_on": today()})
        self.practice = await self.post(self.lidi, "/practices", self.project.practice_body())

    async def practice_is_replicated(self) -> None:
        """8. A second, direct project records the replication."""
        self.second = await self.post(self.third, "/projects", direct_body(self.third, self.clri))
        body = {"project_id": self.second["id"], "adaptation": "Two smaller units.", "outcome": "in_progress"}
        await self.post(self.third, f"/practices/{self.practice['id']}/replications", body)

    async def play(self, *steps: str) -> None:
        """The named steps, or all."""
        for step in steps or STEPS:
            await getattr(self, step)()

    # the end

    async def holds(self) -> dict[str, Any]:
        """Everything section 16 wants, as soon as it holds; what there is of each thing, for comparing."""
        await becomes(self.lidi, f"/needs/{self.need['id']}", "fulfilled")
        await eventually(self._capability_is_free)
        records = await eventually(self._kafka_tells_the_story)
        thread = await self._thread_is_whole({record.id for record in records})
        inboxes = await eventually(self._inboxes_tell_the_other_side)  # each entry comes with its event in the thread
        await eventually(self._everything_is_ready)
        await self._one_of_each()
        return {"records": sorted((r.topic, r.key, r.sequence, r.id) for r in records), "inboxes": inboxes} | thread

    async def _capability_is_free(self) -> bool:
        shown = await self.clri.read(f"/capabilities/{self.capability['id']}")
        return (shown["engaged"], shown["version"]) == (0, 1)

    async def _kafka_tells_the_story(self) -> list[Record]:
        records = await self.system.records(*THREAD_TOPICS, thread=self.need["id"])
        records = without_redeliveries(records) if self.killed else records
        of = {topic: [r for r in records if r.topic == topic] for topic in THREAD_TOPICS}
        assert [r.type for r in of["registry.needs"]] == ["NeedPosted", "NeedEngaged", "NeedFulfilled"]
        ours = [r for r in of["matching.matches"] if r.key == self.match["id"]]
        assert [r.type for r in ours] == MATCH_EVENTS
        assert [r.type for r in of["projects.projects"]] == PROJECT_EVENTS
        assert {r.key for r in of["projects.projects"]} == {self.project.id}
        assert [r.type for r in of["projects.practices"]] == ["PracticePublished", "PracticeReplicated"]
        assert len({r.id for r in records}) == len(records)
        sequences_are_whole(records)
        causes_are_told(records, killed=self.killed)
        return records

    async def _inboxes_tell_the_other_side(self) -> dict[str, list[str]]:
        found = {}
        for name, member, wanted in (("lidi", self.lidi, TOLD_LIDI), ("clri", self.clri, TOLD_CLRI)):
            entries = [e for e in await member.inbox() if self._is_ours(e)]
            told = [e["event_type"] for e in entries if e["event_type"] not in UNDECIDED]
            assert Counter(told) == Counter(wanted), f"{name}: {Counter(told)} instead of {Counter(wanted)}"
            assert len({e["event_id"] for e in entries}) == len(entries)
            found[name] = sorted(e["event_id"] for e in entries)
        return found

    def _is_ours(self, entry: dict[str, Any]) -> bool:
        """Of the thread, and not about a match with somebody else's capability."""
        subject = entry["subject"]
        same_thread = entry["correlation_id"] == self.need["id"]
        return same_thread and (subject["type"] != "match" or subject["id"] == self.match["id"])

    async def _thread_is_whole(self, event_ids: set[str]) -> dict[str, Any]:
        async def whole() -> list[dict[str, Any]]:
            page = await self.lidi.read(f"/threads/{self.need['id']}", limit=200)
            assert page["correlation_id"] == self.need["id"]
            assert {item["event_id"] for item in page["items"]} == event_ids
            return list(page["items"])

        items = await eventually(whole)
        times = [moment(item["time"]) for item in items]
        assert times == sorted(times)
        assert len(items) == len(event_ids)
        return {"thread": [item["event_id"] for item in items]}

    async def _everything_is_ready(self) -> bool:
        for service in SERVICES:
            shown = (await self.system.client(service).get("/readyz")).json()
            assert shown["status"] == "ready", f"{service}: {shown}"
            assert shown["checks"]["outbox"].get("unsent") == 0, f"{service}: {shown}"
            assert shown["checks"]["consumer"].get("dead_letters", 0) == 0, f"{service}: {shown}"
        return True

    async def _one_of_each(self) -> None:
        assert len(await self.lidi.items("/projects", match_id=self.match["id"])) == 1
        lineage = await self.third.read(f"/practices/{self.practice['id']}/lineage")
        edge = {"from_project_id": self.project.id, "to_project_id": self.second["id"], "outcome": "in_progress"}
        assert lineage == {"practice_id": self.practice["id"], "edges": [edge]}


STEPS = (
    "verified_institutions_with_keys",
    "need_meets_capability",
    "both_formalise",
    "project_starts",
    "experts_come",
    "project_completes",
    "practice_is_replicated",
)


def without_redeliveries(records: list[Record]) -> list[Record]:
    """What a consumer applies: a repeated sequence is dropped, and must be the very same event."""
    applied: dict[tuple[str, str, str], Record] = {}
    for record in records:
        first = applied.setdefault((record.topic, record.key, record.sequence), record)
        assert (first.id, first.value) == (record.id, record.value), "a sequence was used twice"
    return list(applied.values())


def sequences_are_whole(records: list[Record]) -> None:
    """Per topic and key: first epoch, 1, 2, 3 ... in the order of the log."""
    by_key: dict[tuple[str, str], list[str]] = {}
    for record in records:
        by_key.setdefault((record.topic, record.key), []).append(record.sequence)
    for key, found in by_key.items():
        assert found == [f"0001-{n:010d}" for n in range(1, len(found) + 1)], key


def causes_are_told(records: list[Record], *, killed: bool) -> None:
    """What one event made the next carry its id; what a request made carries none."""
    first = {record.type: record for record in reversed(records)}
    causes = {"ProjectOpened": "MatchFormalised", "NeedEngaged": "MatchFormalised", "NeedFulfilled": "ProjectCompleted"}
    for effect, cause in causes.items():
        told = first[effect].headers["ce_causationid"]
        heard_of_the_end_first = killed and effect == "NeedEngaged" and told == first["ProjectCompleted"].id
        assert told == first[cause].id or heard_of_the_end_first, effect
    for requested in ("NeedPosted", "MatchAccepted", "ProjectStarted", "ProjectCompleted"):
        assert "ce_causationid" not in first[requested].headers, requested
