"""Messages between the parties of a match, and questions whose answers all matched parties read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.support.matching import World
from tests.support.stack import running_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.matching import Party
    from tests.support.parts import Parts

pytestmark = pytest.mark.asyncio
QUESTION = {"text": "Is there power for a pilot plant of 30 kW?"}
ANSWER = {"text": "Yes, from the grid, with a generator beside it."}


@pytest_asyncio.fixture(loop_scope="session")
async def world(parts: Parts) -> AsyncIterator[World]:
    async with running_service(parts, "matching") as service:
        yield World(service)


async def three(world: World) -> tuple[Party, Party, Party, dict[str, Any], dict[str, Any]]:
    """A beneficiary, two providers, and the match of each."""
    lidi = await world.institution("LIDI", "ETH")
    clri, cloth = await world.institution("CLRI", "IND"), await world.institution("CICB", "BRA")
    await world.capability(clri)
    await world.capability(cloth)
    matches = await world.proposed(lidi, await world.need(lidi), 2)
    of = {match["provider"]["institution_id"]: match for match in matches}
    return lidi, clri, cloth, of[str(clri.id)], of[str(cloth.id)]


async def read(world: World, party: Party, path: str, **query: Any) -> Any:
    answer = await world.service.client.get(path, params=query, headers=world.owner(party))
    return answer.json()["items"] if answer.status_code == 200 else answer.status_code


async def test_parties_write_to_each_other_and_nobody_else_reads_it(world: World) -> None:
    lidi, clri, rival, match, _ = await three(world)
    path = f"/matches/{match['id']}/messages"
    sent = await world.post(clri, match, "messages", {"text": "We could come in March."}, if_match=None)
    assert sent.status_code == 201, sent.text
    assert sent.json()["side"] == "provider"
    assert sent.headers["x-correlation-id"] == match["need_id"]
    await world.post(lidi, match, "messages", {"text": "March is good."}, if_match=None)
    for party in (lidi, clri):
        assert [m["text"] for m in await read(world, party, path)] == ["March is good.", "We could come in March."]
    assert [m["side"] for m in (await world.get(lidi, match))["messages"]] == ["provider", "beneficiary"]
    assert await read(world, rival, path) == 404
    staff = await world.service.client.get(path, headers=world.service.token("operator"))
    assert staff.status_code == 404
    told = await world.told("MatchMessageSent", match_id=match["id"])
    assert [event["by"]["institution_id"] for event in told] == [str(clri.id), str(lidi.id)]
    assert "March" not in str(told)
    assert (await world.get(lidi, match))["version"] == match["version"], (
        "an answer in hand is not outdated by a message"
    )


async def test_who_may_write_and_until_when(world: World) -> None:
    lidi, clri, rival, match, _ = await three(world)
    words = {"text": "Hello"}
    assert (await world.post(clri, match, "messages", words, if_match=None, role="reader")).status_code == 403
    assert (await world.post(rival, match, "messages", words, if_match=None)).status_code == 404
    for bad in ({"text": ""}, {"text": "x" * 2001}, {}, {"text": "x", "more": 1}):
        assert (await world.post(clri, match, "messages", bad, if_match=None)).status_code == 422
    assert (await world.post(lidi, match, "decline", {"reason_code": "timing"})).status_code == 200
    late = await world.post(clri, match, "messages", words, if_match=None)
    assert (late.status_code, late.json()["code"]) == (409, "invalid_transition")


async def test_the_facilitating_partner_speaks_once_it_has_joined(world: World) -> None:
    lidi, clri, _, match, _ = await three(world)
    bank = await world.institution("Bank", "CHN", type="financial_institution")
    await world.settled()
    await world.accepted(lidi, clri, match)
    invited = await world.post(lidi, match, "facilitators", {"institution_id": str(bank.id)})
    assert invited.status_code == 201, invited.text
    early = await world.post(bank, match, "messages", {"text": "What is the budget?"}, if_match=None)
    assert (early.status_code, early.json()["code"]) == (403, "forbidden")
    joined = await world.post(bank, match, f"facilitators/{bank.id}/join")
    assert joined.status_code == 200, joined.text
    sent = await world.post(bank, match, "messages", {"text": "What is the budget?"}, if_match=None)
    assert (sent.status_code, sent.json()["side"]) == (201, "facilitator")


async def test_an_answer_is_read_by_all_who_are_matched_and_names_nobody(world: World) -> None:
    lidi, clri, rival, match, others = await three(world)
    stranger = await world.institution("Stranger", "BRA")
    asked = await world.post(clri, match, "questions", QUESTION, if_match=None)
    assert asked.status_code == 201, asked.text
    question = asked.json()
    assert (question["status"], question["asked_by"], question["actions"]) == ("asked", str(clri.id), [])
    query = {"need_id": match["need_id"]}
    assert await read(world, rival, "/questions", **query) == [], "before there is an answer"
    (seen,) = await read(world, lidi, "/questions", **query)
    assert seen["actions"] == ["answer"]

    async def answered(party: Party, if_match: str | None = '"1"', **token: Any) -> Any:
        headers = world.owner(party, **token) | ({"If-Match": if_match} if if_match else {})
        return await world.service.client.post(f"/questions/{question['id']}/answer", json=ANSWER, headers=headers)

    assert (await answered(clri)).status_code == 403
    assert (await answered(stranger)).status_code == 404
    assert (await answered(lidi, None)).status_code == 428
    assert (await answered(lidi, '"9"')).status_code == 412
    done = await answered(lidi)
    assert (done.status_code, done.headers["etag"], done.json()["status"]) == (200, '"2"', "answered")
    twice = await answered(lidi, "*")
    assert (twice.status_code, twice.json()["code"]) == (409, "invalid_transition")
    (theirs,) = await read(world, rival, "/questions", **query)
    assert (theirs["text"], theirs["answer"], theirs["asked_by"]) == (QUESTION["text"], ANSWER["text"], None)
    assert await read(world, stranger, "/questions", **query) == []
    assert await read(world, stranger, f"/questions/{question['id']}") == 404
    told = await world.told("MatchQuestionAnswered")
    assert {event["match"]["id"] for event in told} == {match["id"], others["id"]}
    assert "kW" not in str(told)
    assert "generator" not in str(told)


async def test_who_has_declined_hears_no_answers_any_more(world: World) -> None:
    lidi, clri, rival, match, others = await three(world)
    question = (await world.post(clri, match, "questions", QUESTION, if_match=None)).json()
    assert (await world.post(rival, others, "decline", {"reason_code": "timing"})).status_code == 200
    headers = world.owner(lidi) | {"If-Match": "*"}
    path = f"/questions/{question['id']}/answer"
    assert (await world.service.client.post(path, json=ANSWER, headers=headers)).status_code == 200
    assert await read(world, rival, "/questions") == []
    assert [q["id"] for q in await read(world, clri, "/questions")] == [question["id"]]
    own = await world.post(lidi, match, "questions", QUESTION, if_match=None)
    assert (own.status_code, own.json()["code"]) == (403, "forbidden"), "one's own need is made clear by changing it"


async def test_who_was_invited_and_never_joined_hears_nothing_more(world: World) -> None:
    lidi, clri, _, match, _ = await three(world)
    bank = await world.institution("Bank", "CHN", type="financial_institution")
    await world.settled()
    await world.accepted(lidi, clri, match)
    invited = await world.post(lidi, match, "facilitators", {"institution_id": str(bank.id)})
    assert invited.status_code == 201, invited.text
    await world.post(lidi, match, "messages", {"text": "Before."}, if_match=None)
    path = f"/matches/{match['id']}/messages"
    assert [m["text"] for m in await read(world, bank, path)] == ["Before."], "it makes up its mind"
    for party in (clri, lidi):
        assert (await world.post(party, match, "formalise")).status_code == 200
    assert (await world.post(lidi, match, "messages", {"text": "After."}, if_match=None)).status_code == 201
    assert await read(world, bank, path) == 404
    assert (await world.get(bank, match))["messages"] == []


async def test_a_facilitating_partner_may_ask_too(world: World) -> None:
    lidi, clri, _, match, _ = await three(world)
    bank = await world.institution("Bank", "CHN", type="financial_institution")
    await world.settled()
    await world.accepted(lidi, clri, match)
    invited = await world.post(lidi, match, "facilitators", {"institution_id": str(bank.id)})
    assert invited.status_code == 201, invited.text
    assert (await world.post(bank, match, f"facilitators/{bank.id}/join")).status_code == 200
    asked = await world.post(bank, match, "questions", QUESTION, if_match=None)
    assert (asked.status_code, asked.json()["asked_by"], asked.json()["match_id"]) == (201, str(bank.id), match["id"])
