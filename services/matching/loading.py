"""An index built at once from what is stored: institutions with their records, and readings of capabilities."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

from services.matching.engine.readings import Reader, edition
from services.matching.facts import Records
from services.matching.store import capabilities, institutions, readings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.matching.engine.index import Index
    from services.matching.ranking import Ranker
    from shared.messaging.transaction import Tx

FIRST = UUID(int=0)
READ_INSTITUTIONS = 5_000
READ_WORDS = 20_000
READ_CAPABILITIES = 50_000
READ_LACKING = 500
REST = 100
MOST_REST_SECONDS = 600.0
"""After a pass over what is not stored, a hundred times as long as it took: a start reads anew what came since."""


async def load_institutions(tx: Tx, index: Index) -> dict[str, int]:
    """All institutions into an index that holds none; their versions by id."""
    records, versions, last = await Records.of(tx, None), dict[str, int](), FIRST
    while rows := await institutions.after(tx, last, READ_INSTITUTIONS):
        last = rows[-1].id
        known = [records.institution(row) for row in rows]
        index.add_institutions(known)
        versions |= {facts.id: row.version for facts, row in zip(known, rows, strict=True)}
    return versions


async def load_readings(tx: Tx, index: Index) -> None:
    """Capabilities that were read before, with the places taken, into an index that holds none."""
    reader = await asyncio.to_thread(Reader, index.store, await _vocabulary(tx))
    page = await readings.page_after(tx, edition(), FIRST, READ_CAPABILITIES)
    while page is not None:
        # the server gathers the next page while this one is put in its place
        work = asyncio.create_task(asyncio.to_thread(reader.put, page))
        try:
            page = await readings.page_after(tx, edition(), page.last, READ_CAPABILITIES)
        finally:
            await work
    for capability_id, taken in (await capabilities.engaged(tx, None)).items():
        index.set_engaged(str(capability_id), taken)


async def _vocabulary(tx: Tx) -> list[Any]:
    words: list[Any] = []
    while some := await readings.words_after(tx, words[-1].number if words else 0, READ_WORDS):
        words += some
    return words


async def lacking(tx: Tx, last: UUID = FIRST) -> AsyncIterator[list[UUID]]:
    """Published capabilities behind an id that this edition has not read in their present version."""
    while rows := await readings.lacking(tx, edition(), last, READ_LACKING):
        last = rows[-1].id
        yield [row.id for row in rows]


class Keeper:
    """Stores the readings of what the index holds, for the next start: a pass now and then, in small steps."""

    def __init__(self, ranker: Ranker) -> None:
        """Nothing is known to be stored."""
        self._ranker, self._last = ranker, FIRST
        self._kept, self._began, self._next = (0, 0), 0.0, 0.0

    @property
    def due(self) -> bool:
        """Whether a pass is under way, or something changed since the last one, and that is a while ago."""
        if self._last != FIRST:
            return True
        return time.monotonic() >= self._next and self._ranker.index.fingerprint() != self._kept

    async def step(self, tx: Tx) -> None:
        """A few more; what the queue says of them may still be to come, so the next pass looks again."""
        if self._last == FIRST:
            self._kept, self._began = self._ranker.index.fingerprint(), time.monotonic()
        rows = await readings.lacking(tx, edition(), self._last, READ_LACKING)
        if not rows:
            await readings.drop_unused(tx)
            self.rest()
            return
        draft = await self._ranker.draft([(str(row.id), row.version) for row in rows])
        numbers = await readings.numbers(tx, set(draft.words.values()))
        await readings.keep(tx, edition(), await asyncio.to_thread(list, draft.written(numbers)))
        self._last = rows[-1].id

    def rest(self) -> None:
        """Ends the pass; the next one begins in a while."""
        now = time.monotonic()
        self._last, self._next = FIRST, now + min(REST * (now - self._began), MOST_REST_SECONDS)
