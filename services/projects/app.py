"""Where the parts of projects meet."""

from __future__ import annotations

from pathlib import Path

from services.projects.api import agreements, contributions, milestones, practices, projects, reports
from services.projects.handlers import HANDLERS
from services.projects.settings import Settings
from services.projects.snapshot import snapshot
from services.projects.tables import KERNEL, Base
from shared.events.projects import EVENTS
from shared.events.topics import TOPICS
from shared.reference.examples import EXAMPLES
from shared.service import Service

RESOURCES = (projects, agreements, contributions, milestones, reports, practices)


def build(settings: Settings) -> Service:
    """The service; nothing is opened or started here."""
    return Service(
        settings=settings,
        routers=[resource.router for resource in RESOURCES],
        examples=EXAMPLES,
        metadata=Base.metadata,
        kernel=KERNEL,
        migrations=Path(__file__).parent / "migrations",
        topics=TOPICS,
        publishes=EVENTS,
        handlers=HANDLERS,
        snapshot=snapshot,
    )
