"""Policies: drafted, tried on the open needs, put in force; matches made before keep their scores."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from services.matching.engine.policy import POLICY_1
from tests.support.matching import World
from tests.support.stack import running_service
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio
Json = dict[str, Any]
LANGUAGE_ONLY = {"weights": dict.fromkeys(POLICY_1.weights, 0.0) | {"language": 1.0}, "note": "languages first"}


@pytest_asyncio.fixture(loop_scope="session")
async def world(parts: Parts) -> AsyncIterator[World]:
    async with running_service(parts, "matching") as service:
        yield World(service)


async def call(world: World, method: str, path: str, body: Json | None = None, **headers: str) -> httpx.Response:
    operator = world.service.token("operator")
    return await world.service.client.request(method, path, json=body, headers=operator | headers)


async def test_a_draft_is_tried_on_the_open_needs_and_then_put_in_force(world: World) -> None:
    lidi = await world.institution("LIDI", "ETH", languages=("fr",))
    same = await world.institution("Same sector", "IND", languages=("en",))
    spoken = await world.institution("Same language", "MAR", languages=("fr",))
    leather = await world.capability(same, languages=["en"])
    other = await world.capability(
        spoken, languages=["fr"], isic=["0111"], title="Sorghum", summary="Seed", sdg_targets=[], technologies=[],
        resource_kinds=["training"],
    )  # fmt: skip
    await world.settled()
    need = await world.need(lidi, languages=["fr"])
    (before,) = await world.proposed(lidi, need)
    assert before["capability_id"] == str(leather.id)

    made = await call(world, "POST", "/policies", LANGUAGE_ONLY)
    assert made.status_code == 201, made.text
    draft = made.json()
    assert (draft["policy_version"], draft["status"], draft["actions"]) == (2, "draft", ["activate"])
    assert draft["document"]["weights"]["language"] == 1.0
    assert draft["document"]["k"] == POLICY_1.k

    tried = (await call(world, "POST", "/policies/2/simulate")).json()
    assert (tried["active_version"], tried["looked_at"], tried["changed"]) == (1, 1, 1)
    (change,) = tried["changes"]
    assert change["need_id"] == str(need.id)
    assert change["institution_id"] == str(lidi.id)
    assert (change["entering"], change["leaving"]) == ([str(other.id)], [str(leather.id)])
    assert tried["before"]["group_shares"]["ldc"] == tried["after"]["group_shares"]["ldc"] == 1.0
    assert tried["after"]["largest_share"] == 1.0
    assert len((await world.matches(lidi, need))["items"]) == 1, "trying stores nothing"

    active = await call(world, "POST", "/policies/2/activate", **{"If-Match": draft_etag(made)})
    assert active.status_code == 200, active.text
    assert active.json()["status"] == "active"
    assert (await call(world, "GET", "/policies/1")).json()["status"] == "retired"
    after = await world.proposed(lidi, need, 2)
    (new,) = [m for m in after if m["capability_id"] == str(other.id)]
    assert (new["policy_version"], new["score"]) == (2, 1.0)
    (old,) = [m for m in after if m["capability_id"] == str(leather.id)]
    assert (old["policy_version"], old["score"]) == (1, before["score"])
    explained = await world.service.client.get(
        f"/matches/{old['id']}/explanation", params={"recompute": "true"}, headers=world.owner(lidi)
    )
    assert explained.json()["recomputed"] == {"score": before["score"], "equal": True}

    [told] = [r for r in await activations(world) if r["policy"]["id"] == 2]
    shown = active.json()
    assert told["policy"] == {name: shown[name] for name in told["policy"]}
    assert "note" not in told["policy"], "words of people stay in the API"

    again = await call(world, "POST", "/policies/1/activate", **{"If-Match": "*"})
    assert again.json()["status"] == "active"
    ranker = world.service.running.state["ranker"]
    await eventually(lambda: ranker.policy.version == 1)


async def activations(world: World) -> list[Json]:
    """Data of what was told of policies put in force, once nothing waits to be sent."""
    await world.told()
    records = await world.service.records("matching.policies")
    return [json.loads(record.data) for record in records if record.type == "org.bandung.PolicyActivated.v1"]


def draft_etag(answer: httpx.Response) -> str:
    return answer.headers["ETag"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"weights": {"sector": 0.9}}, "/weights"),
        ({"weights": {"luck": 0.1}}, "/weights"),
        ({"threshold": 2}, "/threshold"),
        ({"status_weights": {"north": 1.0}}, "/status_weights"),
    ],
)
async def test_a_policy_that_could_not_be_explained_is_refused(world: World, body: Json, pointer: str) -> None:
    answer = await call(world, "POST", "/policies", body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_only_an_operator_changes_policies_and_everybody_may_read_them(world: World) -> None:
    lidi = await world.institution("LIDI", "ETH")
    client = world.service.client
    assert (await client.post("/policies", json={}, headers=world.owner(lidi))).status_code == 403
    assert (await client.post("/policies/1/simulate", json={}, headers=world.owner(lidi))).status_code == 403
    listed = (await client.get("/policies", headers=world.owner(lidi))).json()["items"]
    assert [(p["policy_version"], p["status"], p["actions"]) for p in listed] == [(1, "active", [])]
    refused = await call(world, "POST", "/policies/1/activate", **{"If-Match": "*"})
    assert (refused.status_code, refused.json()["code"]) == (409, "invalid_transition")
    missing = await call(world, "POST", "/policies", {"threshold": 0.4})
    unheld = await call(world, "POST", f"/policies/{missing.json()['id']}/activate")
    assert unheld.status_code == 428
    assert (await call(world, "GET", "/policies/77")).status_code == 404
