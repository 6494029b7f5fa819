"""Reactions to events of registry and matching."""

from __future__ import annotations

from datetime import UTC, date
from uuid import UUID

from services.projects.commands.projects import Named, open_for_match, suspend_for_partner
from services.projects.domain.projects import ProjectStatus
from services.projects.store import institutions
from services.projects.tables import ProjectRow, RoleRow
from shared.events.matching import MatchFormalised
from shared.events.registry import (
    InstitutionEvent,
    InstitutionRegistered,
    InstitutionReinstated,
    InstitutionSuspended,
    InstitutionUpdated,
    InstitutionVerificationExpired,
    InstitutionVerified,
)
from shared.messaging.handlers import Handlers
from shared.messaging.transaction import Tx
from shared.ops.ids import new_id
from shared.reference.vocabulary import Role

HANDLERS = Handlers()


@HANDLERS.on(MatchFormalised)
async def match_formalised(tx: Tx, event: MatchFormalised) -> None:
    """Both sides confirmed: the project opens under the id that matching gave it, once."""
    day = tx.cause.time.astimezone(UTC).date() if tx.cause else tx.clock.today()
    named: Named = {p.institution_id: (p.name, p.country) for p in event.match.facilitators}
    named |= {p.institution_id: (p.name, p.country) for p in event.project.partners}
    await open_for_match(tx, _project(tx, event), _roles(event, day), named)


def _project(tx: Tx, event: MatchFormalised) -> ProjectRow:
    seed, match = event.project, event.match
    return ProjectRow(
        id=seed.id,
        status=ProjectStatus.PIPELINE,
        title=seed.title,
        language=seed.language,
        match_id=match.id,
        need_id=match.need_id,
        capability_id=match.capability_id,
        correlation_id=match.need_id,
        resource_kinds=seed.resource_kinds,
        isic=seed.isic,
        hs=seed.hs,
        sdg_targets=seed.sdg_targets,
        budget=seed.budget.model_dump(mode="json") if seed.budget else None,
        opened_at=tx.now,
        updated_at=tx.now,
    )


def _roles(event: MatchFormalised, day: date) -> list[RoleRow]:
    """The partners of the seed, and every facilitator that joined, from the day of the event on."""
    joined = [(f.institution_id, Role.FACILITATING.value) for f in event.match.facilitators if f.status == "joined"]
    held = dict.fromkeys([*((p.institution_id, p.role) for p in event.project.partners), *joined])
    return [_role(event.project.id, position, *key, day) for position, key in enumerate(held)]


def _role(project_id: UUID, position: int, institution_id: UUID, role: str, day: date) -> RoleRow:
    return RoleRow(
        id=new_id(),
        project_id=project_id,
        position=position,
        institution_id=institution_id,
        role=role,
        from_on=day,
    )


@HANDLERS.on(
    InstitutionRegistered,
    InstitutionUpdated,
    InstitutionVerified,
    InstitutionVerificationExpired,
    InstitutionSuspended,
    InstitutionReinstated,
)
async def institution_changed(tx: Tx, event: InstitutionEvent) -> None:
    """Names are refreshed; when it is suspended, its active projects rest.

    The state decides, not the type of the event: a snapshot or a compacted topic may show the last state only.
    """
    its, sequence = event.institution, tx.cause.sequence if tx.cause else ""
    state = {"name": its.name, "country": its.country, "south": its.south, "status": its.status}
    newer = await institutions.update(tx, its.id, sequence, state)
    if newer and its.status == "suspended":
        await suspend_for_partner(tx, its.id)
