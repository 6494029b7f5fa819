"""Practices are written, published and replicated."""

from __future__ import annotations

from uuid import UUID

from services.projects.commands.common import admit, changed
from services.projects.domain import practices as rules
from services.projects.domain.practices import PRACTICE, PracticeFacts
from services.projects.domain.projects import EVER_PARTNERS, PARTNERS
from services.projects.schemas.practices import PracticeIn, ReplicationIn
from services.projects.states import practice_state, replication_state
from services.projects.store import institutions, practices, projects
from services.projects.store.projects import Project
from services.projects.tables import PracticeRow, ReplicationRow
from shared.events.projects import PracticePublished, PracticeReplicated
from shared.lifecycle import NotNow
from shared.messaging.transaction import Tx
from shared.ops.ids import new_id
from shared.web.auth import Caller
from shared.web.problems import refuse
from shared.web.versions import Precondition


def hats_of(row: PracticeRow, caller: Caller) -> frozenset[str]:
    """The caller's parts in a practice."""
    return caller.hats(author=[row.institution_id])


async def create(tx: Tx, caller: Caller, body: PracticeIn) -> PracticeRow:
    """A draft, or published at once with `publish`."""
    source = await projects.get_visible(tx, caller, body.project_id)
    _permit(source, caller, tx, EVER_PARTNERS)
    rules.check_source(source.row.status)
    row = _row(tx, caller, body, source)
    if body.publish:
        facts = PracticeFacts(await institutions.is_suspended(tx, row.institution_id))
        step = PRACTICE.check("publish", row.status, facts, hats_of(row, caller))
        row.status, row.published_at = step.target or row.status, tx.now
        _tell_published(tx, row, source)
    else:
        await tx.audit("create", f"practices/{row.id}")
    tx.session.add(row)
    return row


def _row(tx: Tx, caller: Caller, body: PracticeIn, source: Project) -> PracticeRow:
    texts = [body.title, body.challenge, body.approach, body.conditions, body.results]
    poverty = body.poverty_reduction
    return PracticeRow(
        id=new_id(),
        institution_id=caller.acting_institution(None),
        correlation_id=source.row.correlation_id,
        status="draft",
        words=rules.fold([*texts, poverty.summary if poverty else None]),
        updated_at=tx.now,
        **body.model_dump(exclude={"publish"}),
    )


async def publish(tx: Tx, caller: Caller, practice_id: UUID, if_match: Precondition) -> PracticeRow:
    """`draft -> published`."""
    row = await practices.lock_visible(tx, caller, practice_id)
    facts = PracticeFacts(await institutions.is_suspended(tx, row.institution_id))
    step = admit(PRACTICE, "publish", row, facts, hats_of(row, caller), caller, if_match)
    changed(tx, row, step.target)
    row.published_at = tx.now
    _tell_published(tx, row, await projects.get_visible(tx, caller, row.project_id))
    return row


def _tell_published(tx: Tx, row: PracticeRow, source: Project) -> None:
    tx.publish(PracticePublished(practice=practice_state(row, source), by=tx.by), correlation=row.correlation_id)


async def replicate(
    tx: Tx, caller: Caller, practice_id: UUID, body: ReplicationIn
) -> tuple[ReplicationRow, PracticeRow]:
    """Another project reuses a published practice."""
    practice = await practices.lock_visible(tx, caller, practice_id)
    reusing = await projects.get_visible(tx, caller, body.project_id)
    _permit(reusing, caller, tx, PARTNERS)
    if practice.status != "published":
        facts = PracticeFacts(await institutions.is_suspended(tx, practice.institution_id))
        allowed = PRACTICE.actions(practice.status, facts, hats_of(practice, caller))
        raise NotNow("The practice is a draft; publish it first.", practice.status, allowed)
    rules.check_replication(practice.project_id, body.project_id, reusing.row.status)
    row = ReplicationRow(
        id=new_id(),
        practice_id=practice.id,
        source_project_id=practice.project_id,
        version=1,
        **body.model_dump(),
    )
    if not await practices.insert_replication_once(tx, row):
        raise NotNow("This project is recorded as a replication of this practice already.", practice.status, [])
    _tell_replicated(tx, practice, row, await projects.by_id(tx, practice.project_id), reusing)
    return row, practice


def _tell_replicated(tx: Tx, practice: PracticeRow, row: ReplicationRow, source: Project, reusing: Project) -> None:
    event = PracticeReplicated(
        practice=practice_state(practice, source), replication=replication_state(row, reusing), by=tx.by
    )
    tx.publish(event, correlation=practice.correlation_id)


def _permit(project: Project, caller: Caller, tx: Tx, who: frozenset[str]) -> None:
    if not project.hats(caller, tx.clock.today()) & who:
        raise refuse("forbidden", "This needs an owner or editor of a partner of the project.")
