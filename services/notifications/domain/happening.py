"""An event as the rules see it: plain data, whoever produced it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from uuid import UUID

PUBLIC, PARTIES, PRIVATE = "public", "parties", "private"

_SINGULAR = {
    "institutions": "institution",
    "verifications": "verification",
    "capabilities": "capability",
    "needs": "need",
    "centres": "centre",
    "countries": "country",
    "trade_profiles": "trade_profile",
    "matches": "match",
    "projects": "project",
    "agreements": "agreement",
    "contributions": "contribution",
    "milestones": "milestone",
    "reports": "report",
    "practices": "practice",
    "webhooks": "webhook",
    "dead_letters": "dead_letter",
}


@dataclass(frozen=True, slots=True)
class Happening:
    """`data` is the event's JSON, `day` the business day of `ce_time`."""

    name: str
    subject: str
    visibility: str
    parties: frozenset[UUID]
    actor: UUID | None
    via: str
    day: date
    data: dict[str, Any]

    @property
    def resource(self) -> str:
        """`match` for `matches/<id>`."""
        return subject_of(self.subject)["type"]

    @property
    def state(self) -> dict[str, Any]:
        """The state of the resource that the event is about."""
        state: dict[str, Any] = self.data.get(self.resource, {})
        return state

    @property
    def version(self) -> int:
        """Version of that resource, 0 where it has none."""
        version = self.state.get("version")
        return version if isinstance(version, int) else 0

    @property
    def replication(self) -> str | None:
        """Id of the replication that it tells of; such an event shares its subject with those of the practice."""
        replication = self.data.get("replication")
        return str(replication["id"]) if isinstance(replication, dict) else None


def subject_of(subject: str) -> dict[str, str]:
    """`{"type": "match", "id": ...}` for `matches/<id>`; an unknown plural only loses its s."""
    resources, _, identity = subject.partition("/")
    return {"type": _SINGULAR.get(resources, resources.removesuffix("s")), "id": identity}


def values_named(data: Any, *names: str) -> Iterator[str]:  # noqa: ANN401 (any JSON)
    """All texts under members with these names, at any depth, lists included."""
    if isinstance(data, list):
        for item in data:
            yield from values_named(item, *names)
    elif isinstance(data, dict):
        for name, value in data.items():
            if name in names:
                yield from (item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str))
            yield from values_named(value, *names)
