"""Settings of notifications: `NOTIFICATIONS_*`, then `BANDUNG_*`."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, ClassVar

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from shared.ops.settings import ServiceSettings

Net = IPv4Network | IPv6Network
LOOPBACK_NETS: tuple[Net, ...] = (IPv4Network("127.0.0.0/8"),)


class Settings(ServiceSettings):
    """What notifications has beyond the common settings."""

    service: ClassVar[str] = "notifications"
    default_port: ClassVar[int] = 8004

    webhook_allow_nets: Annotated[tuple[Net, ...] | None, NoDecode] = Field(
        default=None,
        description="Networks that webhooks may reach although they are not public, comma separated; "
        "default 127.0.0.0/8 in embedded mode, none elsewhere",
    )
    feed_retention_days: int = Field(default=30, ge=1, description="How far back a feed cursor may lie")
    delivery_retention_days: int = Field(
        default=30, ge=1, description="How long finished webhook deliveries are listed"
    )
    webhook_concurrency: int = Field(default=200, ge=1, description="Requests to webhooks at the same time")
    webhook_concurrency_each: int = Field(default=4, ge=1, description="Of these, requests to one webhook")

    @field_validator("webhook_allow_nets", mode="before")
    @classmethod
    def _split_nets(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())

    @property
    def allowed_nets(self) -> tuple[Net, ...]:
        """The networks that are really allowed."""
        if self.webhook_allow_nets is not None:
            return self.webhook_allow_nets
        return LOOPBACK_NETS if self.embedded else ()
