"""`deploy/examples/partner/nightly_upsert.py` night after night: nothing twice, nothing lost, refusals named."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.world import World, words
from tests.support.gateway import Gateway, answer
from tests.support.partner import Program, environment
from tests.support.system import Caller, System, free_ports
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio


class Nightly(Program):
    """The example with a list of its own."""

    def __init__(self, system: System, caller: Caller, folder: Path, institutions: list[dict[str, Any]]) -> None:
        super().__init__("nightly_upsert.py", folder, environment(system, caller), ("list.json",))
        folder.mkdir()
        self.caller = caller
        self.document = {"scheme": f"XT-{words(1)[:8]}", "institutions": institutions}

    def write(self) -> None:
        """The list as a file."""
        (self.folder / "list.json").write_text(json.dumps(self.document))

    async def night(self) -> tuple[int, dict[str, int]]:
        """One run: exit code and counts."""
        self.write()
        code = await self.run()
        assert self.errors == ""
        return code, self.said[-1]


def offer(ref: str) -> dict[str, Any]:
    """What an institution of the list offers."""
    return {
        "ref": ref,
        "title": f"Advice: {words(2)}",
        "summary": f"Advice on the spot: {words(3)}.",
        "resource_kinds": ["technical"],
        "isic": ["1511"],
        "serves": {"all_south": True, "countries": [], "blocs": []},
        "capacity": 2,
    }


def entry(number: int, *offers: dict[str, Any], name: str | None = None, country: str = "KEN") -> dict[str, Any]:
    """An institution of the list."""
    named = {"external_id": f"N-{number}", "name": name or words(3), "type": "firm", "country": country}
    return named | {"languages": ["en"], "capabilities": list(offers)}


async def test_the_second_night_changes_nothing(system: System, tmp_path: Path) -> None:
    nightly = Nightly(system, system.operator, tmp_path / "p", [entry(1, offer("a"), offer("b")), entry(2)])
    assert await nightly.night() == (0, {"capabilities created": 2, "institutions created": 2})
    assert await nightly.night() == (0, {"capabilities same": 2, "institutions same": 2})
    [found] = await system.operator.items("/institutions", external_id=f"{nightly.document['scheme']}:N-1")
    offered = await system.operator.items("/capabilities", institution_id=found["id"])
    assert sorted(c["version"] for c in offered) == [1, 1]
    assert {c["status"] for c in offered} == {"published"}


async def test_a_lost_memory_and_a_crash_make_nothing_twice(system: System, tmp_path: Path) -> None:
    nightly = Nightly(system, system.operator, tmp_path / "p", [entry(1, offer("a"))])
    await nightly.night()
    (nightly.folder / "upsert.sqlite").unlink()
    assert await nightly.night() == (0, {"capabilities same": 1, "institutions same": 1})
    nightly.document["institutions"] += [entry(n, offer("a")) for n in range(2, 61)]
    for requests in (20, 80, 160):
        await _killed_at(nightly, requests)
    (nightly.folder / "upsert.sqlite").unlink()
    await nightly.night()
    assert await nightly.night() == (0, {"capabilities same": 60, "institutions same": 60})
    for number in (1, 5, 20, 40, 60):
        found = await _institution(nightly, number)
        assert found is not None
        assert len(await system.operator.items("/capabilities", institution_id=found["id"])) == 1


async def test_a_change_is_patched_with_the_version_that_was_read(system: System, tmp_path: Path) -> None:
    changing = offer("a")
    nightly = Nightly(system, system.operator, tmp_path / "p", [entry(1, changing)])
    await nightly.night()
    changing["capacity"] = 5
    assert await nightly.night() == (0, {"capabilities changed": 1, "institutions same": 1})
    [(known,)] = sqlite3.connect(nightly.folder / "upsert.sqlite").execute("select id from capability").fetchall()
    found = await system.operator.read(f"/capabilities/{known}")
    assert (found["capacity"], found["version"]) == (5, 2)
    await system.operator.do(f"/capabilities/{known}/withdraw", {"reason_code": "no_longer_offered"})
    assert await nightly.night() == (0, {"capabilities ended": 1, "institutions same": 1})


async def test_what_is_refused_is_named_and_the_rest_is_done(system: System, tmp_path: Path) -> None:
    first = entry(1)
    wrong = [entry(2, name=first["name"]), entry(3, country="XXX"), entry(4, offer("a") | {"capacity": 0})]
    nightly = Nightly(system, system.operator, tmp_path / "p", [first, *wrong, entry(5)])
    code, counts = await nightly.night()
    assert code == 1
    assert counts == {"institutions created": 3, "refused": 3}
    codes = {
        line["refused"]: line["problem"]["code"] for line in nightly.said if "refused" in line and "problem" in line
    }
    assert codes == {"N-2": "duplicate_institution", "N-3": "validation_failed", "N-4": "validation_failed"}


async def test_what_is_no_entry_and_what_is_no_answer_costs_that_entry_only(system: System, tmp_path: Path) -> None:
    nameless = {name: value for name, value in entry(2).items() if name != "external_id"}
    refless = {name: value for name, value in offer("a").items() if name != "ref"}
    nightly = Nightly(system, system.operator, tmp_path / "p", [entry(1), nameless, entry(3, refless), entry(4)])
    async with Gateway(nightly.env["REGISTRY"], *free_ports(1)) as gateway:
        nightly.env["REGISTRY"] = gateway.url
        token = json.dumps({"access_token": "ended", "expires_in": 900})
        gateway.answers += [answer("200 OK", token), answer("401 Unauthorized", "{}")]  # and another one is asked for
        code, counts = await nightly.night()
        assert (code, counts) == (1, {"institutions created": 3, "refused": 2})
        assert {line["refused"]: line["missing"] for line in nightly.of("refused", "N-3")} == {"N-3": "ref"}
        assert [line["missing"] for line in nightly.said if line.get("refused", "") is None] == ["external_id"]
        gateway.answers += [answer("200 OK", token), answer("502 Bad Gateway", "<html>Bad gateway</html>"), b""]
        code, counts = await nightly.night()
        assert (code, counts) == (1, {"institutions same": 1, "refused": 3})
        [said] = [line["problem"] for line in nightly.of("refused", "N-1") if "problem" in line]
        assert said == {"status": 502, "text": "<html>Bad gateway</html>"}


async def test_an_institution_keeps_itself_up_to_date_with_its_own_key(
    system: System, world: World, tmp_path: Path
) -> None:
    member = await world.member(external_ids=[{"scheme": "XT-OWN", "value": "N-1"}], type="firm", country="KEN")
    listed = entry(1, offer("a"), name=member.institution["name"]) | {"website": "https://own.example/"}
    nightly = Nightly(system, member, tmp_path / "p", [listed, entry(2)])
    nightly.document["scheme"] = "XT-OWN"
    code, counts = await nightly.night()
    assert code == 1
    assert counts == {"capabilities created": 1, "institutions changed": 1, "refused": 1}
    [problem] = [line["problem"] for line in nightly.said if "problem" in line]
    assert problem["code"] == "forbidden"  # only operators register institutions
    assert (await member.read(member.path))["status"] == "verified"


async def _institution(nightly: Nightly, number: int) -> dict[str, Any] | None:
    external_id = f"{nightly.document['scheme']}:N-{number}"
    return next(iter(await nightly.caller.items("/institutions", external_id=external_id)), None)


async def _killed_at(nightly: Nightly, requests: int) -> None:
    """Killed with the list half done, while it waits for an answer that does not come."""
    nightly.write()
    direct = nightly.env["REGISTRY"]
    async with Gateway(direct, *free_ports(1)) as gateway:
        gateway.hold_at = requests
        nightly.env["REGISTRY"] = gateway.url
        process = nightly.launch()
        await eventually(lambda: gateway.requests >= requests)
        assert process.poll() is None
        await nightly.end(kill=True)
    nightly.env["REGISTRY"] = direct
