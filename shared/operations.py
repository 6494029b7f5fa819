"""What an operator does to one service from outside: look at the outbox, redrive dead letters, write a snapshot."""

from __future__ import annotations

import asyncio
import getpass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, text, update

from shared.data import audit
from shared.data import backup as backups
from shared.messaging import inbox
from shared.messaging.envelope import CloudEvent, short
from shared.restoring import newest_epoch
from shared.web.auth import Caller

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.service import Running

SNAPSHOT_BATCH = 200
Row = dict[str, Any]


def person() -> Caller:
    """The person at the command line, as the audit names them."""
    return Caller(sub=f"cli:{getpass.getuser()}", roles=frozenset({"operator"}))


async def outbox(running: Running) -> Row:
    """How much waits for Kafka, since when, and how much was sent."""
    t = running.service.kernel.outbox
    async with running.database.background_session() as session:
        unsent = t.c.published_at.is_(None)
        waiting = (await session.execute(select(func.count(), func.min(t.c.time)).where(unsent))).one()
        sent = await session.scalar(select(func.count()).select_from(t).where(~unsent))
    return {"service": running.service.name, "unsent": waiting[0], "oldest": waiting[1], "sent_kept": sent}


async def dead_letters(running: Running, *, redriven: bool = False) -> list[Row]:
    """The dead letters that wait (or all), oldest first, without their bytes."""
    t = running.service.kernel.inbox.dead_letters
    rows = select(t).order_by(t.c.id)
    if not redriven:
        rows = rows.where(t.c.redriven_at.is_(None))
    async with running.database.background_session() as session:
        found = (await session.execute(rows)).mappings().all()
    return [_summary(running, row) for row in found]


def _summary(running: Running, row: Any) -> Row:  # noqa: ANN401 (a mapping of the table)
    headers = dict(row["headers"])
    return {
        "service": running.service.name,
        "id": row["id"],
        "at": row["at"],
        "place": f"{row['topic']}/{row['partition']}@{row['offset']}",
        "type": short(headers.get("ce_type", "?")),
        "error": row["error"][:200],
        "redriven_at": row["redriven_at"],
    }


async def dead_letter(running: Running, number: int) -> Row | None:
    """One dead letter with its headers and value; reading it is audited."""
    t = running.service.kernel.inbox.dead_letters
    async with running.database.background_session() as session:
        row = (await session.execute(select(t).where(t.c.id == number))).mappings().one_or_none()
        if row is None:
            return None
        await _audit(session, running, "show dead letter", number)
        await session.commit()
    value = (row["value"] or b"").decode("utf-8", "replace")
    return _summary(running, row) | {"headers": dict(row["headers"]), "value": value, "trace_id": row["trace_id"]}


async def redrive(running: Running, number: int) -> str:
    """Handles a dead letter again: `handled`, `handled before`, or the error. Twice has one effect."""
    tables = running.service.kernel.inbox
    t = tables.dead_letters
    async with running.database.background_session() as session:
        row = (await session.execute(select(t).where(t.c.id == number).with_for_update())).mappings().one_or_none()
        if row is None or row["redriven_at"] is not None:
            return "not waiting"
        try:
            outcome = await _handle_again(session, running, row)
        except Exception as error:  # noqa: BLE001 (whatever the handler raises is the answer)
            await session.rollback()
            await _count_attempt(running, number)
            return f"failed: {error!r}"
        await session.execute(update(t).where(t.c.id == number).values(redriven_at=running.clock.real()))
        await _audit(session, running, "redrive dead letter", number)
        await session.commit()
    running.relay.wake()
    return outcome


async def _handle_again(session: AsyncSession, running: Running, row: Any) -> str:  # noqa: ANN401
    headers = [(inbox.original(name).decode(), inbox.original(value)) for name, value in row["headers"]]
    event = CloudEvent.from_record(headers, row["value"])
    found = running.service.handlers.read(event)
    if found is None:
        return "skipped: nobody here reacts to this type"
    if not await inbox.take(session, running.service.kernel.inbox, [event], running.clock.real()):
        return "handled before"
    typed, handler = found
    tx = running.transactions.delivery(session, event)
    await handler(tx, typed)
    await tx.flush()
    return "handled"


async def _count_attempt(running: Running, number: int) -> None:
    t = running.service.kernel.inbox.dead_letters
    async with running.database.background_session() as session:
        await session.execute(update(t).where(t.c.id == number).values(attempts=t.c.attempts + 1))
        await session.commit()


async def snapshot(running: Running, *, above: int = 0, action: str = "snapshot") -> int:
    """Writes the present state of every aggregate again under a new epoch; returns how many events were made.

    The new epoch is higher than the present one and than `above`.
    """
    service = running.service
    made = 0
    async with running.transactions.background() as tx:
        await tx.session.execute(text("update epoch set epoch = greatest(epoch, :above) + 1"), {"above": above})
        await _audit(tx.session, running, action, 0)
        if service.snapshot is None:
            return 0
        async for event in service.snapshot(tx):
            tx.publish(event)
            made += 1
            if len(tx.pending) >= SNAPSHOT_BATCH:
                await tx.flush()
    return made


async def restored(running: Running) -> Row:
    """The database is an older one: from now on its events are newer than all that others have heard of it.

    Raises KafkaError or TimeoutError, and has changed nothing then.
    """
    made = await snapshot(running, above=await newest_epoch(running), action="restored")
    async with running.database.background_session() as session:
        epoch = await session.scalar(text("select epoch from epoch"))
    return {"service": running.service.name, "epoch": epoch, "events": made}


async def backup(running: Running, folder: Path) -> Row:
    """A file with the whole database in this folder, named after the service and the time."""
    settings, at = running.settings, running.clock.real()
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    file = folder / f"{running.service.name}-{at:%Y%m%dT%H%M%SZ}.backup"
    url = settings.database_url.get_secret_value()
    manifest = await backups.backup(url, file, service=settings.service, instance=settings.instance, at=at)
    return {"service": settings.service, "file": str(file), "rows": sum(manifest.tables.values())}


async def restore(running: Running, file: Path) -> Row:
    """Sets the database back and does what `restored` does. Raises CannotRestore."""
    settings = running.settings
    above = await newest_epoch(running)  # before anything is changed: without Kafka there is no way back to the others
    await running.database.close()
    url = settings.database_url.get_secret_value()
    manifest = await backups.restore(url, file, service=settings.service, instance=settings.instance)
    made = await snapshot(running, above=above, action="restored")
    return {"service": settings.service, "taken_at": manifest.taken_at, "events": made}


async def _audit(session: AsyncSession, running: Running, action: str, number: int) -> None:
    table = running.service.kernel.audit
    subject = f"dead-letters/{number}" if number else running.service.name
    await audit.record(
        session, table, person(), at=running.clock.real(), action=action, subject=subject, request_id=None
    )
