"""Request rate per token subject and service (429 with `Retry-After`)."""

from __future__ import annotations

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from shared.web.problems import refuse


class RateLimiter:
    """A moving window in this process; several replicas each allow their own share."""

    def __init__(self, per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def check(self, sub: str) -> None:
        """Counts a request of `sub`; raises `rate_limited`."""
        if self._item is None or self._limiter.hit(self._item, sub):
            return
        wait = max(1, math.ceil(self._limiter.get_window_stats(self._item, sub).reset_time - time.time()))
        raise refuse("rate_limited", f"Try again in {wait} s.", headers={"Retry-After": str(wait)})
