"""Threads: one partnership from need to practice, in words."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from services.notifications.domain.happening import subject_of
from services.notifications.domain.words import choose, institutions_in, render, template_of
from services.notifications.schemas.feed import ThreadItem, ThreadPage
from services.notifications.schemas.inbox import Subject
from services.notifications.store import events, institutions
from services.notifications.tables import EventRow
from shared.api import CallerDep, Router, TxDep
from shared.web.auth import SIGNED_IN
from shared.web.paging import Paging
from shared.web.problems import not_found

router = Router("threads")


@router.get("/threads/{correlation_id}", SIGNED_IN)
async def get_thread(tx: TxDep, caller: CallerDep, correlation_id: UUID, paging: Paging) -> ThreadPage:
    """Every event of the thread that you may see, oldest first."""
    rows, after = await events.thread(tx, caller, str(correlation_id), paging)
    if not rows and not await events.knows_thread(tx, caller, str(correlation_id)):
        raise not_found("thread")
    language = choose(await institutions.languages(tx.session, caller.institution_id))
    names = await institutions.names(tx.session, institutions_in(row.facts for row in rows))
    return ThreadPage(items=[_item(row, language, names) for row in rows], next=after, correlation_id=correlation_id)


def _item(row: EventRow, language: str, names: Mapping[str, tuple[str, str | None]]) -> ThreadItem:
    _, summary = render(language, template_of(row.name), row.facts, names)
    return ThreadItem(
        event_id=row.event_id,
        type=row.name,
        time=row.time,
        subject=Subject(**subject_of(row.subject)),
        institution_id=row.actor_id,
        summary=summary,
    )
