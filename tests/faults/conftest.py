"""The table of faults at the end of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest_asyncio

from tests.faults.installation import installed
from tests.faults.striking import Ground, table
from tests.faults.workload import Cast
from tests.support.system import Receiver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest
    from _pytest.terminal import TerminalReporter


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """One row per fault and per missing protection, of whichever worker it ran in."""
    for kind in ("fault", "mutation"):
        rows: list[dict[str, Any]] = [
            row
            for reports in (terminalreporter.stats.get("passed", []), terminalreporter.stats.get("failed", []))
            for report in reports
            for name, row in getattr(report, "user_properties", [])
            if name == kind and report.when == "call"
        ]
        if rows:
            terminalreporter.write_sep("-", f"{kind}s")
            terminalreporter.write_line(table(rows))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ground(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    """One installation with a webhook for all posted needs."""
    async with installed(tmp_path_factory.mktemp("faults")) as system, Receiver() as receiver:
        made = Ground(system, await Cast.of(system), receiver, ("NeedPosted",))
        hook = {"url": receiver.url(), "description": "all needs", "event_types": ["NeedPosted"]}
        await made.cast.pairs[0][0].make("/webhooks", hook)
        yield made
