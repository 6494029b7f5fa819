"""Settings of projects."""

from __future__ import annotations

from typing import ClassVar

from shared.ops.settings import ServiceSettings


class Settings(ServiceSettings):
    """Projects has no settings of its own beyond those of every service."""

    service: ClassVar[str] = "projects"
    default_port: ClassVar[int] = 8003
