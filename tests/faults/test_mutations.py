"""Every protection of the kernel is switched off once, and a test that is named beforehand must notice."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.faults.mutations import MUTATIONS
from tests.support.system import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.parts import Parts

pytestmark = [pytest.mark.asyncio, pytest.mark.long]
AT_ONCE = 3


async def outcome(parts: Parts, tests: list[str], mutation: str) -> tuple[int, str]:
    """Exit code and output of tests in a process of its own, with one protection missing (or none)."""
    where = json.dumps({"postgres_url": parts.postgres_url, "bootstrap": parts.bootstrap})
    arguments = ["-m", "pytest", "-m", "", "-p", "tests.faults.mutations", "-p", "no:cacheprovider"]
    # the plugin comes before the conftest that wants the asserts of its package to show what they compared
    arguments += ["-W", "ignore::pytest.PytestAssertRewriteWarning", *tests]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=ROOT,
        env=os.environ | {"BANDUNG_MUTATION": mutation, "BANDUNG_TEST_PARTS": where},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def outcomes(parts: Parts) -> dict[str, tuple[int, str]]:
    """Of every mutation; some at a time, since most of them wait for what cannot come."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(mutation: str) -> tuple[int, str]:
        async with places:
            return await outcome(parts, [MUTATIONS[mutation].caught_by], mutation)

    return dict(zip(MUTATIONS, await asyncio.gather(*map(one, MUTATIONS)), strict=True))


@pytest.mark.parametrize("mutation", MUTATIONS)
async def test_a_missing_protection_is_noticed(
    outcomes: dict[str, tuple[int, str]], record_property: Callable[[str, object], None], mutation: str
) -> None:
    test = MUTATIONS[mutation].caught_by
    code, told = outcomes[mutation]
    record_property("mutation", {"switched off": mutation, "caught by": test.partition("::")[2]})
    assert code == 1, told
    assert "1 failed" in told, told


async def test_the_same_tests_pass_with_every_protection(parts: Parts) -> None:
    tests = sorted({mutation.caught_by for mutation in MUTATIONS.values()})
    code, told = await outcome(parts, tests, "")
    assert code == 0, told
    assert f"{len(tests)} passed" in told or "[100%]" in told, told
