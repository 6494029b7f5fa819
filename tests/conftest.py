"""Fixtures of all tests: the real parts, once per run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

# asserts of helpers must show what they compared; said once, before any of them is imported
pytest.register_assert_rewrite("tests.support", "tests.e2e", "tests.faults", "tests.compose")

from shared.ops import logs  # noqa: E402
from tests.support.parts import Parts, SharedParts  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

logs.configure(level="WARNING", as_json=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def parts(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> AsyncIterator[Parts]:
    """Where the real PostgreSQL and Kafka of this test run listen."""
    base = tmp_path_factory.getbasetemp()
    shared = SharedParts((base.parent if worker_id != "master" else base) / "parts")
    yield await shared.acquire()
    await shared.release()
