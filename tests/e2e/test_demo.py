"""`bandung demo` as its users call it: cut off, played, played again, red when facts differ; and the README."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support import guides
from tests.support.system import ROOT, System
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio
NAMED = {"cotton4", "rett", "sita", "leather_eth", "rice_sur", "rice_guy", "fao_uganda", "hydropower"}
DEMO_SECONDS = 240
SHOWN = ("44", "approved", "interested", '"criterion"', '"NeedPosted"', '"MatchProposed"', '"MatchInterestExpressed"')


@dataclass
class Played:
    """A system on which all stories were played, and what the command printed."""

    system: System
    exit_code: int
    document: dict[str, Any]
    beside: dict[str, Any]
    """What a second run said that was started at the same moment."""

    def story(self, name: str) -> dict[str, Any]:
        return next(story for story in self.document["stories"] if story["id"] == name)


async def demo(system: System, *arguments: str) -> tuple[int, str]:
    process = await _begin(system, *arguments)
    async with asyncio.timeout(DEMO_SECONDS):
        output, errors = await process.communicate()
    assert b"Traceback" not in errors, errors.decode()
    return process.returncode or 0, output.decode()


async def _begin(system: System, *arguments: str) -> asyncio.subprocess.Process:
    return await _process(system, sys.executable, "-m", "services", "demo", *arguments)


async def _process(system: System, *command: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env=os.environ | {"BANDUNG_HOME": str(system.home)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def played(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Played]:
    """The demo is killed in the middle of the first projects, then played to the end, twice at the same time."""
    system = System(Path(tmp_path_factory.mktemp("demo")) / "home")
    await system.start()
    try:
        await _cut_off(system)
        runs = await asyncio.gather(demo(system, "--json"), demo(system, "--json"))
        (code, first), (_, second) = sorted(runs, key=lambda run: "nothing changed" in run[1])
        yield Played(system, code, json.loads(first), json.loads(second))
    finally:
        await system.end()


async def _cut_off(system: System) -> None:
    process = await _begin(system)

    async def projects() -> list[dict[str, Any]]:
        return await system.operator.items("/projects")

    await eventually(projects, 60)
    process.kill()
    await process.communicate()


async def test_all_stories_get_through_and_no_figure_is_red(played: Played) -> None:
    red = {
        story["id"]: story["error"] or [figure for figure in story["figures"] if not figure["equal"]]
        for story in played.document["stories"]
    }
    assert {name: why for name, why in red.items() if why} == {}
    assert (played.exit_code, played.document["green"]) == (0, True)
    assert {story["id"] for story in played.document["stories"]} >= NAMED


async def test_every_story_has_figures_that_the_system_computed(played: Played) -> None:
    counts = {
        story["id"]: Counter(figure["kind"] for figure in story["figures"])["computed"]
        for story in played.document["stories"]
    }
    assert min(counts.values()) >= 5, counts


async def test_hand_checkable_figures_are_those_of_the_mission(played: Played) -> None:
    def computed(name: str) -> dict[str, str]:
        return {f["what"]: f["computed"] for f in played.story(name)["figures"] if f["kind"] == "computed"}

    assert computed("fao_uganda")["phase III total, USD"] == "12,012,841"
    assert computed("fao_uganda")["share paid by the beneficiary, %"] == "80.1"
    assert computed("rett")["Zambia expenditure, USD"] == "1,009,396"
    assert computed("rice_sur")["committed, USD"] == "5,896,000"
    assert computed("sita")["beneficiary countries"] == "5"
    assert computed("rett")["LDC (2014-08-31): of GHA, ZMB, CHN"] == "ZMB"
    assert computed("cotton4")["beneficiaries in phase 2"] == "5"


async def test_roles_are_dated_as_in_the_facts(played: Played) -> None:
    cotton = played.story("cotton4")["projects"][1]
    since = {p["country"]: p["from"] for p in cotton["partners"] if p["role"] == "beneficiary"}
    assert since == dict.fromkeys(("MLI", "BEN", "BFA", "TCD", "TGO"), "2014-01-01")
    leather = played.story("leather_eth")["projects"][0]
    assert {p["from"] for p in leather["partners"] if p["from"] != p["to"]} == {"2011-07-01"}


async def test_the_timeline_goes_from_need_to_practice(played: Played) -> None:
    [thread] = played.story("rice_sur")["threads"]
    types = [line["type"] for line in thread["lines"]]
    whole = ["NeedPosted", "MatchAccepted", "MatchFormalised", "ProjectOpened", "AgreementSigned", "ProjectStarted"]
    whole += ["ContributionCommitted", "ProjectCompleted", "PracticePublished"]
    assert [name for name in types if name in whole] == whole
    assert all(line["who"] and line["what"] and line["recorded_at"] for line in thread["lines"])
    signed = next(line for line in thread["lines"] if line["type"] == "AgreementSigned")
    assert signed["happened_on"] == "2016-03-01"


async def test_guyana_replicates_suriname(played: Played) -> None:
    [source], [reuse] = played.story("rice_sur")["projects"], played.story("rice_guy")["projects"]
    [practice] = await played.system.operator.items(f"/projects/{source['id']}/practices")
    lineage = await played.system.operator.read(f"/practices/{practice['id']}/lineage")
    assert (source["id"], reuse["id"]) in {(e["from_project_id"], e["to_project_id"]) for e in lineage["edges"]}


async def test_every_score_of_the_demo_is_computed_again_from_what_its_match_stores(played: Played) -> None:
    operator = played.system.operator
    matches = await operator.items("/matches", limit=200)
    told = [await operator.read(f"/matches/{match['id']}/explanation", recompute="true") for match in matches]
    assert len(told) > len(played.document["stories"])
    assert [each["recomputed"] for each in told] == [{"score": match["score"], "equal": True} for match in matches]


async def test_two_runs_at_once_play_the_stories_once(played: Played) -> None:
    assert (played.beside["green"], "nothing changed" in played.beside["summary"]) == (True, True)
    needs = await played.system.operator.items("/needs", limit=200)
    assert len(needs) == len({(need["title"], need["problem"]) for need in needs})


async def test_a_second_run_changes_nothing_and_says_so(played: Played) -> None:
    operator = played.system.operator
    lists = ("/institutions", "/keys", "/capabilities", "/needs", "/matches", "/projects", "/practices")
    before = {path: await operator.items(path, limit=200) for path in lists}
    code, output = await demo(played.system, "cotton4", "rett", "rice_guy", "--json")
    again = json.loads(output)
    assert (code, again["green"]) == (0, True)
    assert "nothing changed" in again["summary"]
    assert {story["id"] for story in again["stories"]} == {"cotton4", "rett", "rice_sur", "rice_guy"}
    assert all(story["already_played"] for story in again["stories"])
    assert {path: await operator.items(path, limit=200) for path in lists} == before


async def test_a_fact_that_the_system_no_longer_has_makes_the_exit_code_one(played: Played) -> None:
    project = played.story("livestock_kgz")["projects"][0]
    stranger = played.story("cotton4")["projects"][0]["partners"][0]["institution_id"]
    path, today = f"/projects/{project['id']}/partners", project["opened_at"][:10]
    role = {"institution_id": stranger, "role": "facilitating"}
    await played.system.operator.make(path, {**role, "from": today}, if_match="*")
    try:
        code, output = await demo(played.system, "livestock_kgz")
    finally:
        await played.system.operator.do(f"{path}/{stranger}/leave", {"role": "facilitating", "to": today})
    assert code == 1
    [row] = [row for row in output.splitlines() if "DIFFERS" in row]
    assert "facilitating partners" in row
    assert max(len(row) for row in output.splitlines()) <= 100
    assert (await demo(played.system, "livestock_kgz"))[0] == 0


async def test_an_unknown_story_is_named_with_those_there_are(played: Played) -> None:
    process = await _begin(played.system, "atlantis")
    _, errors = await process.communicate()
    told = " ".join(errors.decode().split())
    assert process.returncode == 1
    assert "no story atlantis" in told
    assert "cotton4" in told


def walk() -> list[str]:
    """The blocks of the README that this file runs, in their order."""
    return [block.text for block in guides.blocks("README.md") if block.test == "tests/e2e/test_demo.py"]


async def test_the_walk_of_the_readme_works_as_printed(played: Played) -> None:
    process = await _process(played.system, "bash", "-eu", "-c", "\n".join(walk()))
    async with asyncio.timeout(DEMO_SECONDS):
        output, errors = await process.communicate()
    printed = output.decode()
    assert process.returncode == 0, printed + errors.decode()
    assert len(walk()) == 5
    assert [words for words in SHOWN if words not in printed] == [], printed
