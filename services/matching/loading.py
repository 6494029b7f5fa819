"""An index built at once from what is stored: institutions with their records, and readings of capabilities."""

from __future__ import annotations

import asyncio
import hashlib
import time
import unicodedata
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from services.matching import facts
from services.matching.engine.readings import Draft, Reader
from services.matching.engine.store import Store
from services.matching.facts import Records
from services.matching.store import capabilities, institutions, readings
from shared.reference import classifications

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from services.matching.engine.index import Index
    from services.matching.engine.lexicon import Lexicon
    from services.matching.engine.model import CapabilityFacts
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
        await asyncio.to_thread(index.add_institutions, known)
        versions |= {institution.id: row.version for institution, row in zip(known, rows, strict=True)}
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
    await asyncio.to_thread(_take_places, index, await capabilities.engaged(tx, None))


def _take_places(index: Index, taken: dict[UUID, int]) -> None:
    for capability_id, places in taken.items():
        index.set_engaged(str(capability_id), places)


async def _vocabulary(tx: Tx) -> list[Any]:
    words: list[Any] = []
    while some := await readings.words_after(tx, words[-1].number if words else 0, READ_WORDS):
        words += some
    return words


async def lacking(tx: Tx) -> AsyncIterator[Sequence[UUID]]:
    """Published capabilities that have no reading of what they are now."""
    last = FIRST
    while ids := await readings.lacking(tx, edition(), last, READ_LACKING):
        last = ids[-1]
        yield ids


class Keeper:
    """Stores readings for the next start: a pass over the rows now and then, in small steps.

    They are made of the rows and not of the index, so that a start is a look at the rows, whatever the index held.
    """

    def __init__(self, ranker: Ranker) -> None:
        """Nothing is known to be stored."""
        self._ranker, self._last, self._behind = ranker, FIRST, FIRST
        self._kept, self._began, self._next = (0, 0), 0.0, 0.0

    @property
    def due(self) -> bool:
        """Whether a pass is under way, or something changed since the last one, and that is a while ago."""
        if self._last != FIRST:
            return True
        return time.monotonic() >= self._next and self._ranker.index.fingerprint() != self._kept

    async def step(self, tx: Tx) -> None:
        """A few more, or the end of the pass."""
        if self._last == FIRST:
            self._kept, self._began = self._ranker.index.fingerprint(), time.monotonic()
        ids = await readings.lacking(tx, edition(), self._last, READ_LACKING)
        self._behind = ids[-1] if ids else FIRST
        if not ids:
            await readings.drop_unused(tx)
            now = time.monotonic()
            self._next = max(self._next, now + min(REST * (now - self._began), MOST_REST_SECONDS))
        else:
            await self._read(tx, ids)
        self._last = self._behind

    async def _read(self, tx: Tx, ids: Sequence[UUID]) -> None:
        rows = (await capabilities.some(tx, ids)).values()
        known = [facts.capability_facts(row, 0) for row in rows]
        draft = await asyncio.to_thread(_draft, known, self._ranker.index.scorer.lexicon)
        taken = draft.written(await readings.numbers(tx, draft.words()))
        await readings.keep(tx, edition(), taken, {str(row.id): row.sequence for row in rows})

    def again(self) -> None:
        """A step failed for a reason that passes: the pass begins anew."""
        self._last, self._kept = FIRST, (0, 0)

    def skip(self) -> None:
        """A step failed for a reason of its own: the pass goes on behind it, another tries again much later."""
        self._last, self._kept = self._behind, (0, 0)
        self._next = time.monotonic() + MOST_REST_SECONDS


def _draft(some: Sequence[CapabilityFacts], lexicon: Lexicon) -> Draft:
    store = Store(lexicon)
    for capability in some:
        store.put_capability(capability)
    return Draft.of(store)


@cache
def edition() -> str:
    """What readings depend on beside the row, as 16 hexadecimal digits.

    All files of the engine and the one that makes facts of rows, what folding is made of, and the migrations, which
    may change what rows say.
    """
    here = Path(__file__).parent
    read = [path for path in (here / "engine").rglob("*") if path.suffix in {".py", ".txt"}]
    said = [version("anyascii"), unicodedata.unidata_version]
    said += sorted(path.name for path in (here / "migrations" / "versions").glob("*.py"))
    digest = hashlib.sha256(" ".join(said).encode())
    for path in (*sorted(read), here / "facts.py", Path(classifications.__file__)):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
