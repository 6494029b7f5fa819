"""Business time and real time, injected, so that a test or a sandbox can live in another week."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Clock:
    """The only source of time for the services.

    Business time (`now`, `today`) is shifted by `offset_seconds` and is what resources, deadlines and
    `ce_time` show. Real time (`real`) is for tokens, leases, logs and retention.
    """

    offset_seconds: float = 0

    def now(self) -> datetime:
        """Business time, aware UTC, cut to milliseconds: what is shown is exactly what is stored."""
        moment = self.real() + timedelta(seconds=self.offset_seconds)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def today(self) -> date:
        """The UTC day of business time."""
        return self.now().date()

    def real(self) -> datetime:
        """Wall-clock time, aware UTC."""
        return datetime.now(UTC)
