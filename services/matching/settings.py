"""Settings of matching: the common ones with another port."""

from __future__ import annotations

from typing import ClassVar

from shared.ops.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read from `MATCHING_*`, failing that from `BANDUNG_*`."""

    service: ClassVar[str] = "matching"
    default_port: ClassVar[int] = 8002
