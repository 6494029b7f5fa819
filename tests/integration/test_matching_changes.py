"""What others decide changes: proposals come and go, both sides are told why, in whatever order the news arrives."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import text

from shared.events import projects, registry
from shared.events.states import Serves
from shared.events.topics import MATCHES
from shared.messaging.envelope import SYSTEM_BY, short
from tests.support.matching import World
from tests.support.stack import running_service
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from shared.messaging.envelope import CloudEvent
    from tests.support.matching import Party
    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio
Json = dict[str, Any]


@pytest_asyncio.fixture(loop_scope="session")
async def world(parts: Parts) -> AsyncIterator[World]:
    async with running_service(parts, "matching") as service:
        yield World(service)


class Pair:
    """A beneficiary and a provider with one proposal between them."""

    need: registry.NeedState
    capability: registry.CapabilityState
    match: Json

    def __init__(self, world: World, lidi: Party, clri: Party) -> None:
        self.world, self.lidi, self.clri = world, lidi, clri

    @classmethod
    async def of(cls, world: World, *, capacity: int = 2, **need: Any) -> Pair:
        made = cls(world, await world.institution("LIDI", "ETH"), await world.institution("CLRI", "IND"))
        made.capability = await world.capability(made.clri, capacity=capacity)
        made.need = await world.need(made.lidi, **need)
        (made.match,) = await world.proposed(made.lidi, made.need)
        return made

    async def withdrawn(self, code: str) -> Json:
        gone = await self.world.status(self.lidi, self.match, "withdrawn")
        assert gone["reason"] == {"code": code, "text": None}
        assert gone["actions"] == []
        return gone


async def looked_at(world: World, party: Party, need: registry.NeedState) -> None:
    """Returns when the engine has seen the need, whatever it found."""

    async def seen() -> bool:
        return (await world.matches(party, need))["need"]["version_seen"] is not None

    await eventually(seen)


async def told(world: World, match: Json, name: str) -> CloudEvent:
    """The event of this name about a match."""

    async def there() -> CloudEvent | None:
        records = await world.service.records(MATCHES)
        return next((r for r in records if r.partitionkey == match["id"] and short(r.type) == name), None)

    found: CloudEvent = await eventually(there)  # type: ignore[assignment]
    return found


@pytest.mark.parametrize(
    ("event", "members", "code"),
    [
        (registry.NeedWithdrawn, {"status": "withdrawn"}, "need_withdrawn"),
        (registry.NeedExpired, {"status": "expired"}, "need_expired"),
    ],
)
async def test_a_need_that_is_gone_takes_its_matches_with_it(
    world: World, event: type[registry.NeedEvent], members: Json, code: str
) -> None:
    pair = await Pair.of(world)
    await world.need_event(event, pair.need, **members)
    await pair.withdrawn(code)
    record = await told(world, pair.match, "MatchWithdrawn")
    data = json.loads(record.data)
    assert data["match"]["reason"] == {"code": code}
    assert data["by"] == {"institution_id": None, "via": "system"}
    assert record.causationid is not None, "the need's event made it"


@pytest.mark.parametrize(
    ("event", "members", "code"),
    [
        (registry.CapabilityWithdrawn, {"status": "withdrawn"}, "capability_withdrawn"),
        (registry.CapabilityExpired, {"status": "expired"}, "capability_expired"),
        (registry.CapabilityUpdated, {"resource_kinds": ["equipment"]}, "no_longer_eligible"),
        (
            registry.CapabilityUpdated,
            {"serves": Serves(all_south=False, countries=["BRA"], blocs=[])},
            "no_longer_eligible",
        ),
    ],
)
async def test_an_offer_that_is_gone_takes_its_matches_with_it(
    world: World, event: type[registry.CapabilityEvent], members: Json, code: str
) -> None:
    pair = await Pair.of(world)
    await world.capability_event(event, pair.capability, **members)
    await pair.withdrawn(code)


@pytest.mark.parametrize("side", ["provider", "beneficiary"])
async def test_a_suspended_institution_loses_its_open_matches_and_gets_new_ones_when_reinstated(
    world: World, side: str
) -> None:
    pair = await Pair.of(world)
    party = pair.clri if side == "provider" else pair.lidi
    party.status = "suspended"
    await world.tell(party, registry.InstitutionSuspended)
    await pair.withdrawn("institution_suspended")
    party.status = "verified"
    await world.tell(party, registry.InstitutionReinstated)
    (again,) = await world.proposed(pair.lidi, pair.need)
    assert again["id"] != pair.match["id"], "a withdrawn pair may be proposed at once, as a new match"


async def test_a_provider_whose_verification_ends_is_no_longer_proposed(world: World) -> None:
    pair = await Pair.of(world)
    pair.clri.status = "registered"
    await world.tell(pair.clri, registry.InstitutionVerificationExpired)
    await pair.withdrawn("no_longer_eligible")


async def test_an_unverified_beneficiary_gets_proposals(world: World) -> None:
    lidi = await world.institution("LIDI", "ETH", status="registered")
    clri = await world.institution("CLRI", "IND")
    await world.capability(clri)
    need = await world.need(lidi)
    (match,) = await world.proposed(lidi, need)
    await world.accepted(lidi, clri, match)
    refused = await world.post(clri, match, "formalise")
    assert (refused.status_code, refused.json()["code"]) == (409, "institution_not_verified")


async def test_a_patched_need_keeps_what_still_fits_as_it_was_proposed(world: World) -> None:
    pair = await Pair.of(world)
    other = await world.institution("Trainers", "BRA")
    kept_capability = await world.capability(other, resource_kinds=["financial", "technical"])
    before = {m["capability_id"]: m for m in await world.proposed(pair.lidi, pair.need, 2)}
    await world.need_event(registry.NeedUpdated, pair.need, resource_kinds=["financial"])
    await pair.withdrawn("no_longer_eligible")
    body = await world.matches(pair.lidi, pair.need, status="proposed")
    assert body["need"]["version_seen"] == 2
    kept = body["items"][0]
    assert kept == before[str(kept_capability.id)], "the rest stays as proposed"


async def test_the_worst_order_of_arrival_gives_the_same_match(world: World) -> None:
    """Need, then capability, then institutions, then the provider's verification."""
    lidi = await world.institution("LIDI", "ETH")
    clri = await world.institution("CLRI", "IND", status="registered")
    need = await world.need(lidi)
    await eventually(lambda: _seen(world, lidi, need))
    assert (await world.matches(lidi, need))["items"] == []
    capability = await world.capability(clri)
    # taken in before the verification comes, or the two would count as one change with the first as its cause
    await eventually(lambda: _absorbed(world, capability.id))
    clri.status = "verified"
    verified = await world.tell(clri, registry.InstitutionVerified)
    (match,) = await world.proposed(lidi, need)
    record = await told(world, match, "MatchProposed")
    assert record.causationid == str(verified.id)


async def _absorbed(world: World, capability_id: UUID) -> bool:
    known = text("select count(*) from capability where id = :id and not exists (select 1 from work)")
    async with world.service.running.database.background_session() as session:
        return bool(await session.scalar(known, {"id": capability_id}))


async def _seen(world: World, party: Party, need: registry.NeedState) -> bool:
    return (await world.matches(party, need))["need"]["version_seen"] is not None


async def test_an_offer_finds_the_needs_that_wait_for_it_and_no_others(world: World) -> None:
    """Needs that were posted before the first offer, after it, and changed since."""
    lidi, clri = await world.institution("LIDI", "ETH"), await world.institution("CLRI", "IND")
    farm = {
        "title": "Drip irrigation for vegetable growers", "problem": "Growers lose the dry season.", "isic": ["0113"],
        "sdg_targets": ["2.3"], "technologies": ["drip irrigation"], "resource_kinds": ["equipment"],
    }  # fmt: skip
    tannery, growers = await world.need(lidi), await world.need(lidi, **farm)
    await looked_at(world, lidi, growers)
    first = await world.capability(clri)
    (match,) = await world.proposed(lidi, tannery)
    assert match["capability_id"] == str(first.id)
    later = await world.need(lidi, **farm)
    await looked_at(world, lidi, later)
    await world.need_event(registry.NeedUpdated, growers, resource_kinds=["equipment", "training"])
    offered = {"summary": "Drip irrigation kits and their installation.", "title": "Irrigation"}
    alike = {name: farm[name] for name in ("isic", "sdg_targets", "technologies", "resource_kinds")}
    second = await world.capability(clri, **alike, **offered)
    for need in (growers, later):
        (match,) = await world.proposed(lidi, need)
        assert match["capability_id"] == str(second.id)
    assert [m["capability_id"] for m in (await world.matches(lidi, tannery))["items"]] == [str(first.id)]


async def test_a_need_before_its_institution_shows_the_name_it_came_with(world: World) -> None:
    clri = await world.institution("CLRI", "IND")
    await world.capability(clri)
    from tests.support.matching import Party as Unknown  # noqa: PLC0415

    unheard = Unknown(world.need_state(clri).id, "Not heard of yet", "ETH")
    need = await world.need(unheard)
    (match,) = await world.proposed(unheard, need)
    assert match["beneficiary"]["name"] == "Not heard of yet"


async def test_news_older_than_what_is_known_changes_nothing(world: World) -> None:
    pair = await Pair.of(world)
    await world.need_event(registry.NeedWithdrawn, pair.need, status="withdrawn")
    await pair.withdrawn("need_withdrawn")
    stale = registry.NeedUpdated(need=pair.need, by=SYSTEM_BY)
    await world.service.foreign.send(stale, sequence=1)
    await world.settled()
    assert (await world.matches(pair.lidi, pair.need, status="proposed"))["items"] == []


async def test_events_delivered_again_propose_nothing_twice(world: World) -> None:
    pair = await Pair.of(world)
    for _ in range(3):
        await world.service.foreign.send(registry.NeedPosted(need=pair.need, by=SYSTEM_BY), sequence=1)
        await world.capability_event(registry.CapabilityUpdated, pair.capability)
    await world.settled()
    assert len((await world.matches(pair.lidi, pair.need))["items"]) == 1


@pytest.mark.parametrize(
    ("event", "status", "outcome"),
    [
        (projects.ProjectCompleted, "completed", "completed"),
        (projects.ProjectClosed, "closed", "completed"),  # all that a snapshot tells of a closed project
        (projects.ProjectCancelled, "cancelled", "cancelled"),
    ],
)
async def test_a_project_that_ends_gives_its_place_to_the_next_need(
    world: World, event: type[projects.ProjectEvent], status: str, outcome: str
) -> None:
    pair = await Pair.of(world, capacity=1)
    formalised = await world.formalised(pair.lidi, pair.clri, pair.match)
    waiting = await world.institution("Waiting", "ZMB")
    need = await world.need(waiting)
    await eventually(lambda: _seen(world, waiting, need))
    assert (await world.matches(waiting, need))["items"] == [], "the provider is full"
    await world.project_event(event, formalised, status=status)
    (match,) = await world.proposed(waiting, need)
    assert match["capability_id"] == str(pair.capability.id)
    assert await _ended(world, formalised) == [(outcome, outcome)]


async def _ended(world: World, match: Json) -> list[tuple[str, str]]:
    """What is known of the project of a match, and of its engagement."""
    async with world.service.running.database.background.connect() as connection:
        found = await connection.execute(
            text("select p.status, e.state from project p join engagement e on e.project_id = p.id where p.id = :id"),
            {"id": match["project_id"]},
        )
        return [(row.status, row.state) for row in found]


async def test_a_project_that_is_completed_then_closed_counts_once(world: World) -> None:
    pair = await Pair.of(world)
    formalised = await world.formalised(pair.lidi, pair.clri, pair.match)
    ended_on = world.need_state(pair.lidi).deadline
    await world.project_event(projects.ProjectCompleted, formalised, completed_on=ended_on)
    await eventually(lambda: _recorded(world, pair.clri.id))
    record = world.service.running.state["ranker"].index.institution(str(pair.clri.id))
    async with world.service.running.database.background.connect() as connection:
        known = await connection.scalar(text("select sequence from project"))
    await world.project_event(projects.ProjectClosed, formalised, version=3, status="closed", completed_on=ended_on)

    async def handled() -> bool:
        async with world.service.running.database.background.connect() as connection:
            return bool(await connection.scalar(text("select sequence > :known from project"), {"known": known}))

    await eventually(handled)
    # the index follows in order: once it has met a later need it has met the closing too
    await world.proposed(pair.lidi, await world.need(pair.lidi))
    assert world.service.running.state["ranker"].index.institution(str(pair.clri.id)) == record
    assert await _ended(world, formalised) == [("completed", "completed")]


async def test_a_cancelled_project_lets_its_need_be_matched_again_once_it_is_reopened(world: World) -> None:
    pair = await Pair.of(world)
    formalised = await world.formalised(pair.lidi, pair.clri, pair.match)
    await world.need_event(registry.NeedEngaged, pair.need, status="engaged")
    await world.project_event(projects.ProjectCancelled, formalised, status="cancelled", reopen_need=True)
    await world.need_event(
        registry.NeedReopened, pair.need.model_copy(update={"version": 2, "status": "engaged"}), status="open"
    )
    (again,) = await world.proposed(pair.lidi, pair.need)
    assert again["id"] != pair.match["id"]
    assert (await world.get(pair.lidi, pair.match))["status"] == "formalised"


async def test_completed_projects_count_for_the_next_score(world: World) -> None:
    pair = await Pair.of(world)
    formalised = await world.formalised(pair.lidi, pair.clri, pair.match)
    await world.project_event(projects.ProjectCompleted, formalised, completed_on=world.need_state(pair.lidi).deadline)
    await eventually(lambda: _recorded(world, pair.clri.id))
    need = await world.need(pair.lidi)
    (match,) = await world.proposed(pair.lidi, need)

    async def value(of: Json) -> float:
        path = f"/matches/{of['id']}/explanation"
        shown = (await world.service.client.get(path, headers=world.owner(pair.lidi))).json()
        return float(next(c["value"] for c in shown["criteria"] if c["criterion"] == "track_record"))

    assert await value(match) > await value(pair.match)


async def _recorded(world: World, institution_id: UUID) -> bool:
    ranker = world.service.running.state["ranker"]
    return bool(ranker.index.institution(str(institution_id)).completed)
