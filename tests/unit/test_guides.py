"""Every command in a guide is run by a test, and every generated section says what the code says."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from services import SERVICES
from services.guides import sections
from services.guides.settings import COMMON, UP, fields_of
from services.guides.states import lifecycles
from shared.ops.settings import ServiceSettings
from tests.support import guides
from tests.support.guides import ROOT, Block

LINK = re.compile(r"\[[^\]]+\]\((?!https?://|#)([^)#]+)(?:#([^)]*))?\)")


def all_blocks() -> list[Block]:
    return [block for guide in guides.guides() for block in guides.blocks(guide)]


def test_the_guides_are_where_people_look() -> None:
    services = {f"services/{name}/README.md" for name in ("registry", "matching", "projects", "notifications")}
    assert services | {"README.md", "deploy/README.md", "shared/contracts/README.md"} <= set(guides.guides())


def test_every_command_block_names_the_test_that_runs_it() -> None:
    unmarked = [f"{block.guide}: {block.text.splitlines()[0]}" for block in all_blocks() if block.test is None]
    assert unmarked == []


def test_no_command_stands_outside_a_block() -> None:
    assert {guide: found for guide in guides.guides() if (found := list(guides.unfenced(guide)))} == {}


@pytest.mark.parametrize("block", all_blocks(), ids=lambda block: f"{block.guide}-{block.text[:30]}")
def test_the_named_test_runs_the_block(block: Block) -> None:
    """It reads the guide (and the block by its name), or runs what the block's `make` targets run."""
    assert block.test is not None
    runner = (ROOT / block.test).read_text()
    if block.guide in runner:
        assert block.name is None or f'"{block.name}"' in runner
        return
    targets = re.findall(r"^make (\S+)", block.text, re.MULTILINE)
    assert len(targets) == len(block.text.splitlines()), "not in the test, and more than `make`"
    assert [target for target in targets if f"make {target}" not in runner and recipe(target) not in runner] == []


def recipe(target: str) -> str:
    """The program that a target of the Makefile runs."""
    found = re.search(rf"^{target}:.*\n\t@?\$\(PYTHON\) (\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found is not None, target
    return found[1]


def test_generated_sections_are_up_to_date() -> None:
    assert sections.stale(ROOT) == []


def test_a_stale_section_is_found_and_mended(tmp_path: Path) -> None:
    for guide in (*sections.guides(ROOT),):
        (tmp_path / guide.name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / guide.name, tmp_path / guide.name)
    readme = tmp_path / "services" / "registry" / "README.md"
    whole = readme.read_text()
    readme.write_text(whole.replace("NeedPosted", "NeedEaten"))
    assert sections.stale(tmp_path) == ["services/registry/README.md"]
    assert sections.write(tmp_path) == ["services/registry/README.md"]
    assert readme.read_text() == whole
    assert sections.write(tmp_path) == []


def test_every_setting_has_a_meaning() -> None:
    named = [pair for whose in (COMMON, UP, "registry", "matching", "notifications") for pair in fields_of(whose)]
    assert [name for name, field in named if not field.description] == []
    assert len(named) > len(ServiceSettings.model_fields)


def test_every_lifecycle_is_shown() -> None:
    shown = {(name, found.noun) for name in SERVICES for found in lifecycles(name)}
    assert {("registry", "need"), ("matching", "match"), ("projects", "project"), ("notifications", "webhook")} <= shown
    for name, noun in shown:
        assert f"**{noun.capitalize()}**" in (ROOT / "services" / name / "README.md").read_text()


@pytest.mark.parametrize("guide", guides.guides())
def test_links_lead_somewhere(guide: str) -> None:
    for path, anchor in LINK.findall(guides.prose(guide)):
        target = ((ROOT / guide).parent / path).resolve()
        assert target.exists(), f"{guide}: {path}"
        assert not anchor or anchor in anchors(target), f"{guide}: {path}#{anchor}"


def anchors(file: Path) -> list[str]:
    """What may be linked in a Markdown file."""
    headings = [line.lstrip("# ") for line in file.read_text().splitlines() if line.startswith("#")]
    return [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]
