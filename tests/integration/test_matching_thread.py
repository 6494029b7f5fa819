"""From a need to a formalised match, as the contract tells it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from shared.events.topics import MATCHES
from shared.messaging.envelope import short
from tests.support.matching import World
from tests.support.stack import running_service
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio


async def test_a_need_becomes_a_formalised_match_and_every_step_is_told(parts: Parts) -> None:
    async with running_service(parts, "matching") as service:
        world = World(service)
        lidi = await world.institution("Leather Industry Development Institute", "ETH")
        clri = await world.institution("Central Leather Research Institute", "IND")
        capability = await world.capability(clri)
        need = await world.need(lidi)
        (match,) = await world.proposed(lidi, need)
        assert match["status"] == "proposed"
        assert match["rank"] == 1
        assert match["origin"] == "ranking"
        assert match["capability_id"] == str(capability.id)
        assert match["score"] > 0.3
        assert match["actions"] == ["express-interest", "decline"]
        assert (await world.matches(lidi, need))["need"] == {"id": str(need.id), "version_seen": 1}

        interested = (await world.post(clri, match, "express-interest", {"message": "We can start in March."})).json()
        assert (interested["status"], interested["version"]) == ("interested", 2)
        assert interested["answers"] == {"beneficiary": None, "provider": "interested"}
        accepted = await world.post(lidi, match, "accept", if_match='"2"')
        assert accepted.headers["etag"] == '"3"'
        assert accepted.headers["x-correlation-id"] == str(need.id)
        assert accepted.json()["actions"] == ["decline", "formalise"]
        first = (await world.post(clri, match, "formalise")).json()
        assert (first["status"], first["confirmations"]) == ("accepted", ["provider"])
        second = await world.post(lidi, match, "formalise")
        assert second.status_code == 200
        assert second.headers["etag"] == '"5"'
        formalised = second.json()
        assert formalised["status"] == "formalised"
        assert formalised["actions"] == []
        assert formalised["confirmations"] == ["provider", "beneficiary"]
        assert formalised["project_id"]
        assert (await world.get(lidi, match))["messages"][0]["text"] == "We can start in March."

        async def told() -> list[object] | None:
            records = [r for r in await service.records(MATCHES) if r.partitionkey == match["id"]]
            return records if len(records) == 5 else None  # type: ignore[return-value]

        records = await eventually(told)
        assert [short(r.type) for r in records] == [  # type: ignore[union-attr]
            "MatchProposed", "MatchInterestExpressed", "MatchAccepted", "MatchConfirmed", "MatchFormalised",
        ]  # fmt: skip
        assert [r.sequence for r in records] == [f"0001-{n:010d}" for n in range(1, 6)]
        assert {r.correlationid for r in records} == {str(need.id)}
        assert records[0].causationid is not None
        assert records[1].causationid is None
        seed = json.loads(records[4].data)["project"]
        assert seed["id"] == formalised["project_id"]
        assert [p["role"] for p in seed["partners"]] == ["beneficiary", "pivotal"]
        assert "March" not in records[1].data.decode()
