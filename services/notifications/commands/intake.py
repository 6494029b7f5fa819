"""Taking an event in: keep it, tell whom it concerns, learn names. All in the transaction of the slice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select

from services.notifications.domain.facts import facts_of
from services.notifications.domain.filters import Marks, marks_of
from services.notifications.domain.happening import PRIVATE, Happening
from services.notifications.domain.recipients import Told, partners_on, projects_of, told
from services.notifications.domain.words import template_of
from services.notifications.store import events, inbox, institutions
from services.notifications.tables import KERNEL
from shared.events.registry import InstitutionEvent
from shared.ops.ids import new_id

if TYPE_CHECKING:
    from shared.messaging.envelope import CloudEvent, Event
    from shared.messaging.outbox import Source
    from shared.messaging.transaction import Tx

FIRST_EPOCH = "0001"


async def take_in(tx: Tx, cloud_event: CloudEvent, event: Event) -> None:
    """Keeps the event once and makes one inbox entry per recipient, once."""
    happening = happening_of(cloud_event, event)
    if isinstance(event, InstitutionEvent):
        await _learn(tx, event, cloud_event.sequence)
    restated = await _is_restated(tx, cloud_event, happening)
    if not restated:
        await _tell(tx, cloud_event, happening)
    elif happening.visibility != PRIVATE:
        await keep(tx, cloud_event, happening)


async def _tell(tx: Tx, cloud_event: CloudEvent, happening: Happening) -> None:
    if happening.visibility != PRIVATE and await keep(tx, cloud_event, happening) is None:
        return
    entries = told(happening, await _present(tx, happening))
    await inbox.add(tx.session, [_entry(tx, cloud_event, happening, one) for one in entries])


async def _present(tx: Tx, happening: Happening) -> dict[UUID, frozenset[UUID]]:
    """Partners that have not left the projects of this event, by the last that was heard of each."""
    present = {}
    for project_id in projects_of(happening):
        said = await events.last_said(tx.session, f"projects/{project_id}")
        if said is not None:
            present[project_id] = partners_on(json.loads(said)["project"], happening.day)
    return present


async def take_in_own(tx: Tx, event: Event, source: Source) -> None:
    """Publishes an event of this service and takes it in, since no service consumes its own topic."""
    tx.publish(event)
    event_id = tx.pending[-1].event_id
    await tx.flush()
    outbox = KERNEL.outbox
    row = (await tx.session.execute(select(outbox).where(outbox.c.event_id == event_id))).mappings().one()
    cloud_event = source.cloud_event(row)
    await _tell(tx, cloud_event, happening_of(cloud_event, event))  # it is news in any epoch


def happening_of(cloud_event: CloudEvent, event: Event) -> Happening:
    """The event as the rules see it."""
    return Happening(
        name=event.short_name(),
        subject=cloud_event.subject or event.subject(),
        visibility=str(event.visibility),
        parties=event.parties(),
        actor=event.by.institution_id,
        via=event.by.via,
        day=cloud_event.time.date(),
        data=event.model_dump(mode="json"),
    )


async def keep(tx: Tx, cloud_event: CloudEvent, happening: Happening) -> int | None:
    """The row's id; None when the event was kept before."""
    marks = marks_of(happening)
    return await events.add(
        tx.session, _envelope(cloud_event) | _meaning(happening, marks) | {"received_at": tx.clock.real()}
    )


def _envelope(cloud_event: CloudEvent) -> dict[str, Any]:
    return {
        "source": cloud_event.source,
        "event_id": cloud_event.id,
        "type": cloud_event.type,
        "subject": cloud_event.subject,
        "time": cloud_event.time,
        "sequence": cloud_event.sequence,
        "partitionkey": cloud_event.partitionkey,
        "correlation": cloud_event.correlationid,
        "causation": cloud_event.causationid,
        "dataschema": cloud_event.dataschema,
        "traceparent": cloud_event.traceparent,
        "data": cloud_event.data,
    }


def _meaning(happening: Happening, marks: Marks) -> dict[str, Any]:
    return {
        "name": happening.name,
        "version": happening.version,
        "visibility": happening.visibility,
        "parties": sorted(happening.parties),
        "actor_id": happening.actor,
        "countries": marks.countries,
        "institutions": marks.institutions,
        "isic": marks.isic,
        "facts": facts_of(happening),
    }


def _entry(tx: Tx, cloud_event: CloudEvent, happening: Happening, one: Told) -> dict[str, Any]:
    return {
        "id": new_id(),
        "recipient": one.recipient,
        "source": cloud_event.source,
        "event_id": cloud_event.id,
        "name": happening.name,
        "subject": happening.subject,
        "correlation": cloud_event.correlationid,
        "template": template_of(happening.name, one.hat),
        "facts": facts_of(happening),
        "action_required": one.action_required,
        "due_at": one.due_at,
        "created_at": tx.now,
    }


async def _learn(tx: Tx, event: InstitutionEvent, sequence: str) -> None:
    state = event.institution
    await institutions.apply(
        tx.session, state.id, name=state.name, country=state.country, languages=state.languages, sequence=sequence
    )


async def _is_restated(tx: Tx, cloud_event: CloudEvent, happening: Happening) -> bool:
    """A snapshot says again what was told long ago, maybe in other words: it is kept, nobody is told twice."""
    if cloud_event.sequence[:4] <= FIRST_EPOCH:
        return False
    if happening.visibility == PRIVATE:  # not kept, so known only by what was told
        recipients = [one.recipient for one in told(happening)]
        return await inbox.knows(tx.session, recipients, cloud_event.source, happening.subject)
    return await events.is_restated(
        tx.session, cloud_event.source, happening.subject, cloud_event.sequence, replication=happening.replication
    )
