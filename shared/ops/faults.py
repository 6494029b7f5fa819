"""What is wrong right now, in words, since when: the material of `/readyz`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

log = structlog.get_logger(__name__)


@dataclass
class Fault:
    """The present fault of one part, if it has one. Logs when it comes and when it goes, not each time."""

    part: str
    detail: str | None = None
    since: datetime | None = None

    def report(self, detail: str) -> None:
        """The part fails for this reason."""
        if self.since is None:
            self.since = datetime.now(UTC)
            log.warning("fault", part=self.part, detail=detail)
        self.detail = detail

    def clear(self) -> None:
        """The part works (again)."""
        if self.since is not None:
            log.info("healed", part=self.part, after_seconds=round((datetime.now(UTC) - self.since).total_seconds(), 1))
        self.detail = self.since = None

    def words(self) -> str | None:
        """`detail since time`, or None."""
        if self.since is None:
            return None
        return f"{self.detail} since {self.since.isoformat(timespec='seconds').replace('+00:00', 'Z')}"
