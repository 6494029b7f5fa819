"""Registry: the only place where its parts meet."""

from __future__ import annotations

from pathlib import Path

from services.registry.api import ROUTERS
from services.registry.commands import capabilities, institutions, needs, places
from services.registry.handlers import HANDLERS
from services.registry.settings import Settings
from services.registry.signing import ensure_signing_key, retire, signing_keys
from services.registry.snapshot import snapshot
from services.registry.tables import KERNEL, Base
from shared.data.scheduler import Task
from shared.events import registry as events
from shared.events.topics import TOPICS
from shared.reference.examples import EXAMPLES
from shared.service import Running, Service

TASKS = (
    Task("expire needs", needs.expire),
    Task("expire capabilities", capabilities.expire),
    Task("expire verifications", institutions.expire_verifications),
    Task("announce country status", places.announce_confirmed),
    Task("retire signing keys", retire, 600),
)


def build(settings: Settings) -> Service:
    """What registry is made of."""
    return Service(
        settings=settings,
        routers=ROUTERS,
        examples=EXAMPLES,
        metadata=Base.metadata,
        kernel=KERNEL,
        migrations=Path(__file__).parent / "migrations",
        topics=TOPICS,
        publishes=events.EVENTS,
        handlers=HANDLERS,
        tasks=TASKS,
        snapshot=snapshot,
        prepare=prepare,
        keys=signing_keys,
    )


async def prepare(running: Running) -> None:
    """A signing key and the known centres."""
    async with running.transactions.background() as tx:
        await ensure_signing_key(tx)
        await places.seed_centres(tx)
