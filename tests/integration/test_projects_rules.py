"""Projects, partners and agreements: who may do what, when, and what is answered when not."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from sqlalchemy import text

from services.projects.commands.projects import suspend_for_partner
from services.projects.store import institutions
from shared.events import topics
from shared.events.registry import InstitutionReinstated, InstitutionSuspended, InstitutionUpdated
from shared.ops.ids import new_id
from tests.support.kafka import types
from tests.support.projects import Institution, Twinning, desk, today, twinning
from tests.support.stack import RunningService, running_service
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from shared.messaging.envelope import CloudEvent
    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(parts: Parts) -> AsyncIterator[RunningService]:
    async with running_service(parts, "projects") as running:
        yield running


def refused(answer: httpx.Response, status: int, code: str, pointer: str | None = None) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json()["code"] == code, answer.text
    if pointer is not None:
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer], answer.text


def partner(institution: Institution, role: str, day: str) -> dict[str, str]:
    return {"institution_id": str(institution.id), "role": role, "from": day}


async def status_becomes(pair: Twinning, status: str) -> dict[str, Any]:
    async def there() -> dict[str, Any] | None:
        project = (await pair.beneficiary.get(pair.path)).json()
        return project if project["status"] == status else None

    return await eventually(there)


async def test_strangers_see_nothing_staff_sees_all_and_does_nothing(service: RunningService) -> None:
    pair = twinning(service)
    await pair.agreed()
    stranger, verifier = desk(service, Institution("X", "KEN"), "owner"), desk(service, None, "verifier")
    start = (f"{pair.path}/start", {"started_on": today()})
    refused(await stranger.get(pair.path), 404, "not_found")
    refused(await stranger.post(*start), 404, "not_found")
    refused(await stranger.get(f"{pair.path}/agreements"), 404, "not_found")
    assert (await stranger.get("/projects")).json()["items"] == []
    for staff in (verifier, desk(service, None, "operator")):
        assert (await staff.get(pair.path)).status_code == 200
        refused(await staff.post(*start), 403, "forbidden")
        refused(await staff.post(f"{pair.path}/contributions", pair.experts()), 403, "forbidden")
    assert (await verifier.get(pair.path)).json()["actions"] == []
    assert (await desk(service, None, "operator").get(pair.path)).json()["actions"] == ["cancel"]
    reader = desk(service, pair.lidi, "reader")
    assert (await reader.get(pair.path)).json()["actions"] == []
    refused(await reader.post(*start), 403, "forbidden")
    refused(await desk(service, pair.lidi, "editor").post(*start), 403, "forbidden")


async def test_answers_carry_version_and_thread(service: RunningService) -> None:
    pair = twinning(service)
    await pair.agreed()
    for path in ("", "/agreements", "/totals", "/contributions", "/milestones", "/reports", "/practices"):
        answer = await pair.beneficiary.get(pair.path + path)
        assert answer.headers["x-correlation-id"] == str(pair.match.need_id), path
    project = await pair.beneficiary.get(pair.path)
    assert project.headers["etag"] == '"2"'
    made = await pair.beneficiary.post(f"{pair.path}/agreements", pair.agreement(), if_match=None)
    assert made.headers["location"] == f"/agreements/{made.json()['id']}"
    assert made.headers["etag"] == '"1"'
    assert (await pair.pivotal.get(made.headers["location"])).json()["actions"] == ["sign"]


async def test_if_match_is_checked_before_the_state(service: RunningService) -> None:
    pair = twinning(service)
    await pair.opened()
    start = (f"{pair.path}/start", {"started_on": today()})
    refused(await pair.pivotal.post(*start, if_match=None), 428, "precondition_required")
    stale = await pair.pivotal.post(*start, if_match='"7"')
    refused(stale, 412, "version_mismatch")
    assert stale.headers["etag"] == '"1"'
    refused(await pair.pivotal.post(*start, if_match='"1"'), 409, "agreement_not_signed")


async def test_idempotency_key_pledges_once(service: RunningService) -> None:
    pair = twinning(service)
    await pair.opened()
    path = f"{pair.path}/contributions"
    answers = [await pair.pivotal.post(path, pair.experts(), None, **{"Idempotency-Key": "k1"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["idempotency-replayed"] == "true"
    assert len((await pair.pivotal.get(path)).json()["items"]) == 1


async def test_direct_opening(service: RunningService) -> None:
    pair = twinning(service)
    answer = await pair.pivotal.post("/projects", pair.direct(), if_match=None)
    project = answer.json()
    assert (answer.status_code, project["status"], project["match_id"]) == (201, "pipeline", None)
    assert answer.headers["location"] == f"/projects/{project['id']}"
    assert answer.headers["x-correlation-id"] == project["correlation_id"] == project["id"]
    assert project["partners"][0]["name"] == str(pair.clri.id)  # nobody has told us its name yet
    operator = desk(service, None, "operator")
    assert (await operator.post("/projects", pair.direct(), None)).status_code == 201
    refused(await desk(service, pair.clri, "editor").post("/projects", pair.direct(), None), 403, "forbidden")
    outsider = desk(service, Institution("X", "KEN"), "owner")
    refused(await outsider.post("/projects", pair.direct(), None), 403, "forbidden")
    other = pair.direct(justification_code="other")
    refused(await operator.post("/projects", other, None), 422, "validation_failed", "/text")
    assert (await operator.post("/projects", other | {"text": "Agreed in 2019"}, None)).status_code == 201
    unknown = pair.direct(justification_code="because")
    refused(await operator.post("/projects", unknown, None), 422, "validation_failed", "/justification_code")
    refused(await operator.post("/projects", pair.direct(partners=[]), None), 422, "validation_failed", "/partners")
    twice = pair.direct(partners=[partner(pair.clri, "pivotal", today()), partner(pair.clri, "pivotal", today(-9))])
    refused(await operator.post("/projects", twice, None), 409, "invalid_transition")


async def test_lists_are_filtered_and_newest_first(service: RunningService) -> None:
    pair = twinning(service)
    first = await pair.pivotal.made("/projects", pair.direct(title="First"))
    second = await pair.pivotal.made("/projects", pair.direct(title="Second"))
    await pair.pivotal.done(f"/projects/{first['id']}/cancel", {"reason_code": "funding_lost"})

    async def titles(**params: Any) -> list[str]:
        return [item["title"] for item in (await pair.pivotal.get("/projects", **params)).json()["items"]]

    assert await titles() == ["Second", "First"]
    assert await titles(status="cancelled") == ["First"]
    assert await titles(status=["cancelled", "pipeline"]) == ["Second", "First"]
    assert await titles(match_id=str(new_id())) == []
    changed = (await pair.pivotal.get(f"/projects/{first['id']}")).json()["updated_at"]
    assert await titles(updated_since=changed) == ["First"]
    assert await titles(updated_since=second["updated_at"]) == ["Second", "First"]
    page = (await pair.pivotal.get("/projects", limit=1)).json()
    assert [item["title"] for item in page["items"]] == ["Second"]
    assert await titles(limit=1, cursor=page["next"]) == ["First"]
    refused(await pair.pivotal.get("/projects", status="open"), 422, "validation_failed")
    refused(await pair.pivotal.get("/projects", colour="red"), 422, "validation_failed", "?colour")
    refused(await pair.pivotal.get("/projects", cursor="abc"), 400, "invalid_cursor")
    refused(await pair.pivotal.get("/projects/none"), 404, "not_found")


async def test_title_and_plan_are_patched_by_leaders_without_an_event(service: RunningService) -> None:
    pair = twinning(service)
    await pair.opened()
    plan = {"title": "Clean leather", "planned_start_on": "2027-01-01", "planned_end_on": "2027-12-31"}
    answer = await pair.beneficiary.patch(pair.path, plan, '"1"')
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    assert {name: answer.json()[name] for name in plan} == plan
    assert (await pair.beneficiary.patch(pair.path, {"planned_end_on": None})).json()["planned_end_on"] is None
    assert (await pair.beneficiary.patch(pair.path, {})).json()["version"] == 3
    refused(await pair.beneficiary.patch(pair.path, {"title": None}), 422, "validation_failed", "/title")
    refused(await pair.beneficiary.patch(pair.path, {"status": "active"}), 422, "validation_failed", "/status")
    early = {"planned_end_on": "2026-12-31"}
    refused(await pair.beneficiary.patch(pair.path, early), 422, "validation_failed", "/planned_end_on")
    refused(await pair.beneficiary.patch(pair.path, plan, None), 428, "precondition_required")
    refused(await desk(service, pair.lidi, "editor").patch(pair.path, plan), 403, "forbidden")


async def test_partners_join_and_leave_dated_roles(service: RunningService) -> None:
    pair, giz = twinning(service), Institution("Giz", "DEU")
    await pair.opened()
    path = f"{pair.path}/partners"
    joined = await pair.beneficiary.post(path, partner(giz, "facilitating", today(-30)), if_match='"1"')
    assert (joined.status_code, joined.json()["modality"], joined.json()["version"]) == (201, "triangular", 2)
    refused(await pair.beneficiary.post(path, partner(giz, "facilitating", today(5))), 409, "invalid_transition")
    refused(await pair.beneficiary.post(path, partner(giz, "facilitating", today()), '"1"'), 412, "version_mismatch")
    refused(await desk(service, giz, "owner").post(path, partner(giz, "pivotal", today())), 403, "forbidden")
    leave = f"{path}/{giz.id}/leave"
    role = {"role": "facilitating"}
    refused(await pair.beneficiary.post(leave, role | {"to": today(-31)}), 422, "validation_failed", "/to")
    refused(await pair.beneficiary.post(leave, {"role": "pivotal", "to": today()}), 422, "validation_failed", "/role")
    refused(await pair.beneficiary.post(leave, role | {"to": today()}, None), 428, "precondition_required")
    other = role | {"to": today(), "reason_code": "other"}
    refused(await pair.beneficiary.post(leave, other), 422, "validation_failed", "/text")
    left = await pair.beneficiary.done(leave, role | {"to": today(), "reason_code": "funding_lost"})
    assert left["modality"] == "south_south"
    assert left["partners"][2]["to"] == today()
    assert left["reason"] is None
    refused(await pair.beneficiary.post(leave, role | {"to": today()}), 409, "invalid_transition")
    refused(await pair.beneficiary.post(f"{path}/{new_id()}/leave", role | {"to": today()}), 404, "not_found")
    # a past partner still sees it, and may hold the role again from the day its first period ended
    assert (await desk(service, giz, "owner").get(pair.path)).status_code == 200
    assert (await pair.beneficiary.post(path, partner(giz, "facilitating", today()))).status_code == 201
    # an institution may hold two roles
    assert (await pair.beneficiary.post(path, partner(pair.clri, "facilitating", today()))).status_code == 201


async def test_a_pivotal_partner_of_the_north_is_refused_once_known(service: RunningService) -> None:
    pair, giz, unknown = twinning(service), Institution("Giz", "DEU"), Institution("Who", "DEU")
    await pair.opened()
    await service.foreign.send(giz.event())
    path = f"{pair.path}/partners"
    assert (await pair.beneficiary.post(path, partner(giz, "facilitating", today()))).status_code == 201

    async def named() -> bool:
        return (await pair.beneficiary.get(pair.path)).json()["partners"][2]["name"] == "Giz"

    await eventually(named)
    refused(await pair.beneficiary.post(path, partner(giz, "pivotal", today())), 422, "validation_failed", "/role")
    answer = await pair.beneficiary.post(path, partner(unknown, "pivotal", today()))
    assert (answer.status_code, answer.json()["partners"][3]["name"]) == (201, str(unknown.id))
    north = pair.direct(partners=[partner(pair.lidi, "beneficiary", today()), partner(giz, "pivotal", today())])
    refused(await pair.beneficiary.post("/projects", north, None), 422, "validation_failed", "/partners/1/role")


async def test_agreements_are_signed_once_each_and_make_the_project_agreed(service: RunningService) -> None:
    pair = twinning(service)
    await pair.opened()
    path = f"{pair.path}/agreements"
    stranger = str(new_id())
    alone = pair.agreement(parties=[str(pair.lidi.id)])
    refused(await pair.beneficiary.post(path, alone), 422, "validation_failed", "/parties")
    wrong = pair.agreement(parties=[str(pair.lidi.id), stranger])
    refused(await pair.beneficiary.post(path, wrong), 422, "validation_failed", "/parties/1")
    refused(await pair.beneficiary.post(path, pair.agreement(kind="treaty")), 422, "validation_failed", "/kind")
    refused(await desk(service, None, "operator").post(path, pair.agreement()), 403, "forbidden")
    agreement = await desk(service, pair.lidi, "editor").made(path, pair.agreement())
    sign = f"/agreements/{agreement['id']}/sign"
    refused(await pair.beneficiary.post(sign, {"signed_on": today(1)}), 422, "validation_failed", "/signed_on")
    refused(await pair.beneficiary.post(sign, {"signed_on": today()}, None), 428, "precondition_required")
    refused(await desk(service, pair.lidi, "editor").post(sign, {"signed_on": today()}), 403, "forbidden")
    unable = desk(service, pair.lidi, "owner", can_sign=False)
    refused(await unable.post(sign, {"signed_on": today()}), 403, "forbidden")
    assert (await unable.get(f"/agreements/{agreement['id']}")).json()["actions"] == []
    first = await pair.beneficiary.done(sign, {"signed_on": today()})
    assert [party["signed_on"] for party in first["parties"]] == [today(), None]
    refused(await pair.beneficiary.post(sign, {"signed_on": today()}), 409, "invalid_transition")
    assert (await pair.beneficiary.get(pair.path)).json()["status"] == "pipeline"
    await pair.pivotal.done(sign, {"signed_on": today()})
    refused(await pair.pivotal.post(sign, {"signed_on": today()}), 409, "invalid_transition")
    assert (await pair.beneficiary.get(pair.path)).json()["status"] == "agreed"


async def test_an_agreement_without_both_sides_changes_no_status(service: RunningService) -> None:
    giz = Institution("Giz", "DEU")
    pair = twinning(service, facilitators=[(giz, "joined")])
    await pair.opened()
    parties = [str(pair.lidi.id), str(giz.id)]
    agreement = await pair.beneficiary.made(f"{pair.path}/agreements", pair.agreement(parties=parties))
    refused(await pair.pivotal.post(f"/agreements/{agreement['id']}/sign", {"signed_on": today()}), 403, "forbidden")
    for party in (pair.beneficiary, desk(service, giz, "owner")):
        signed = await party.done(f"/agreements/{agreement['id']}/sign", {"signed_on": today()})
    assert signed["status"] == "signed"
    assert (await pair.beneficiary.get(pair.path)).json()["status"] == "pipeline"


async def test_start_needs_both_sides_and_happens_once(service: RunningService) -> None:
    pair = twinning(service)
    await pair.agreed()
    start = f"{pair.path}/start"
    refused(await pair.pivotal.post(start, {"started_on": today(1)}), 422, "validation_failed", "/started_on")
    await pair.beneficiary.done(f"{pair.path}/partners/{pair.clri.id}/leave", {"role": "pivotal", "to": today()})
    refused(await pair.beneficiary.post(start, {"started_on": today()}), 409, "partners_incomplete")
    refused(await pair.pivotal.post(start, {"started_on": today()}), 403, "forbidden")  # it has left
    await pair.beneficiary.post(f"{pair.path}/partners", partner(pair.clri, "pivotal", today()))
    await pair.beneficiary.done(start, {"started_on": today()})
    again = await pair.beneficiary.post(start, {"started_on": today()})
    refused(again, 409, "invalid_transition")
    assert again.json()["current_status"] == "active"
    assert again.json()["allowed"] == ["suspend", "cancel"]


async def test_suspend_resume_cancel(service: RunningService) -> None:
    pair = twinning(service)
    await pair.active()
    suspend, cancel = f"{pair.path}/suspend", f"{pair.path}/cancel"
    refused(await pair.beneficiary.post(suspend, {}), 422, "validation_failed", "/reason_code")
    refused(await pair.beneficiary.post(suspend, {"reason_code": "other"}), 422, "validation_failed", "/text")
    system = {"reason_code": "partner_suspended"}
    refused(await pair.beneficiary.post(suspend, system), 422, "validation_failed", "/reason_code")
    resting = await desk(service, None, "operator").done(suspend, {"reason_code": "force_majeure", "text": "Flood"})
    assert (resting["status"], resting["reason"]) == ("suspended", {"code": "force_majeure", "text": "Flood"})
    going = await pair.pivotal.done(f"{pair.path}/resume", {"text": "Dry again"})
    assert (going["status"], going["reason"]) == ("active", None)
    ended = await pair.pivotal.done(cancel, {"reason_code": "objective_changed", "reopen_need": False})
    assert (ended["status"], ended["actions"]) == ("cancelled", [])
    refused(await pair.pivotal.post(cancel, {"reason_code": "red_flag"}), 409, "invalid_transition")
    refused(await pair.pivotal.post(f"{pair.path}/contributions", pair.experts()), 409, "invalid_transition")
    refused(await pair.pivotal.post(f"{pair.path}/agreements", pair.agreement()), 409, "invalid_transition")
    refused(await pair.pivotal.patch(pair.path, {"title": "x"}), 409, "invalid_transition")

    async def told() -> list[str] | None:
        records = [r for r in await service.records(topics.PROJECTS) if r.partitionkey == str(pair.match.project_id)]
        return types(records)[-3:] if records and b'"reopen_need":false' in records[-1].data else None

    assert await eventually(told) == ["ProjectSuspended", "ProjectResumed", "ProjectCancelled"]


async def test_a_suspended_partner_stops_start_and_suspends_what_is_active(service: RunningService) -> None:
    pair = twinning(service)
    await pair.active()
    waiting = Twinning(service, type(pair.match)(pair.lidi, pair.clri))
    await waiting.agreed()
    await service.foreign.send(pair.clri.event(InstitutionSuspended, "suspended"))
    resting = await status_becomes(pair, "suspended")
    assert resting["reason"] == {"code": "partner_suspended", "text": None}
    refused(
        await waiting.beneficiary.post(f"{waiting.path}/start", {"started_on": today()}), 409, "institution_suspended"
    )
    refused(await pair.beneficiary.post(f"{pair.path}/resume"), 409, "institution_suspended")
    assert "resume" not in resting["actions"]
    await service.foreign.send(pair.clri.event(InstitutionReinstated, "verified", name="CLRI"))

    async def renamed() -> bool:
        return (await pair.beneficiary.get(pair.path)).json()["partners"][1]["name"] == "CLRI"

    await eventually(renamed)
    assert (await pair.beneficiary.get(pair.path)).json()["status"] == "suspended"
    assert (await pair.beneficiary.done(f"{pair.path}/resume"))["status"] == "active"
    assert (await waiting.beneficiary.done(f"{waiting.path}/start", {"started_on": today()}))["status"] == "active"

    async def told() -> CloudEvent | None:
        records = [r for r in await service.records(topics.PROJECTS) if r.partitionkey == str(pair.match.project_id)]
        return next((record for record in records if record.type.endswith("ProjectSuspended.v1")), None)

    suspended = await eventually(told)
    assert b'"reason":{"code":"partner_suspended"}' in suspended.data
    assert b'"via":"system"' in suspended.data
    assert suspended.causationid is not None


async def test_an_older_institution_event_changes_nothing(service: RunningService) -> None:
    pair = twinning(service)
    await pair.active()
    await service.foreign.send(pair.clri.event(InstitutionUpdated, name="New name"), sequence=9)
    await service.foreign.send(pair.clri.event(InstitutionSuspended, "suspended", name="Old name"), sequence=8)
    # one partition per key: when this one is seen, the two before it have been handled
    await service.foreign.send(pair.clri.event(InstitutionUpdated, name="Newest name"), sequence=10)

    async def newest() -> dict[str, Any] | None:
        project = (await pair.beneficiary.get(pair.path)).json()
        return project if project["partners"][1]["name"] == "Newest name" else None

    assert (await eventually(newest))["status"] == "active"


async def test_a_suspension_that_crosses_the_start_wins(service: RunningService) -> None:
    pairs = [twinning(service) for _ in range(4)]
    for pair in pairs:
        await pair.agreed()

    async def cross(pair: Twinning) -> int:
        suspended = service.foreign.send(pair.clri.event(InstitutionSuspended, "suspended"))
        start = pair.beneficiary.post(f"{pair.path}/start", {"started_on": today()})
        _, answer = await asyncio.gather(suspended, start)
        return answer.status_code

    statuses = await asyncio.gather(*(cross(pair) for pair in pairs))
    for pair, status in zip(pairs, statuses, strict=True):
        assert status in (200, 409)
        await status_becomes(pair, "suspended" if status == 200 else "agreed")


async def test_a_slice_that_holds_one_partner_after_the_other_meets_a_start_without_a_deadlock(
    service: RunningService,
) -> None:
    pair = twinning(service)
    await pair.agreed()
    later, earlier = sorted((pair.lidi.id, pair.clri.id), reverse=True)
    async with service.running.transactions.background() as tx:
        await institutions.update(tx, later, "9999-1", {"status": "verified"})
        # nothing of the slice speaks of a suspension, so the start does not even wait for it
        assert (await pair.beneficiary.done(f"{pair.path}/start", {"started_on": today()}))["status"] == "active"
        await institutions.update(tx, earlier, "9999-1", {"status": "verified"})


async def test_a_start_waits_for_a_slice_that_suspends_a_partner(service: RunningService) -> None:
    pair = twinning(service)
    await pair.agreed()
    later, earlier = sorted((pair.lidi.id, pair.clri.id), reverse=True)
    async with service.running.transactions.background() as tx:
        await institutions.update(tx, later, "9999-1", {"status": "suspended"})
        await suspend_for_partner(tx, later)
        start = asyncio.create_task(pair.beneficiary.post(f"{pair.path}/start", {"started_on": today()}))
        await eventually(lambda: _somebody_waits(service))
        await institutions.update(tx, earlier, "9999-1", {"status": "verified"})
    refused(await start, 409, "institution_suspended")


async def _somebody_waits(service: RunningService) -> bool:
    async with service.running.database.background.connect() as connection:
        waiting = "select count(*) from pg_locks l join pg_database d on d.oid = l.database "
        mine = "where not l.granted and l.locktype = 'advisory' and d.datname = current_database()"
        return bool(await connection.scalar(text(waiting + mine)))


async def test_every_route_refuses_strangers_and_hostile_input(service: RunningService) -> None:
    document = (await service.client.get("/openapi.json")).json()
    routes = [(method, path) for path, its in document["paths"].items() for method in its]
    assert {("get", "/projects/{project_id}/totals"), ("post", "/practices/{practice_id}/publish")} <= set(routes)
    stranger = desk(service, Institution("X", "KEN"), "owner")
    for method, path in routes:
        target = re.sub(r"{\w+}", lambda _: str(new_id()), path)
        anonymous = await service.client.request(method, target, json={})
        refused(anonymous, 401, "unauthenticated")
        bodies = ["[]", '{"\\u0000": 1}', "{", '{"unknown": 1}', '{"from": 1e400}'] if method != "get" else [None]
        for body in bodies:
            headers = stranger.headers | {"Content-Type": "application/json", "If-Match": "*"}
            answer = await service.client.request(method, target, content=body, headers=headers)
            expected = {400, 404, 422} if "{" in path or body else {200}
            assert answer.status_code in expected, (method, path, body, answer.text)
