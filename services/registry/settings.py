"""Settings of registry: `REGISTRY_*`, then `BANDUNG_*`."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from shared.ops.settings import ServiceSettings


class Settings(ServiceSettings):
    """Registry has one setting of its own."""

    service: ClassVar[str] = "registry"
    default_port: ClassVar[int] = 8001

    can_sign_default: bool | None = Field(
        default=None,
        description="Whether a new key may sign when its request does not say so; default: embedded mode only",
    )

    @property
    def keys_sign_by_default(self) -> bool:
        """`can_sign` of a key whose request leaves it out."""
        return self.embedded if self.can_sign_default is None else self.can_sign_default
