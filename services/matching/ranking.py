"""The index of this process: built from the rows at start, kept by the worker, compared with the rows every minute."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog

from services.matching import facts
from services.matching.engine.index import Index
from services.matching.engine.policy import POLICY_1
from services.matching.engine.score import Scorer
from services.matching.engine.text import TermStatistics
from services.matching.store import capabilities, institutions, policies

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence

    from services.matching.engine.model import CapabilityFacts, InstitutionFacts
    from services.matching.engine.policy import Policy
    from services.matching.engine.world import World
    from shared.messaging.transaction import Tx

log = structlog.get_logger(__name__)

READ_ROWS = 5000
CHUNK_ROWS = 200
"""Rows indexed before other work of the event loop gets its turn."""
LEAST_COUNTED = 50
"""Below this number of capabilities counts of terms say nothing; every word weighs the same."""


class Ranker:
    """Everything that ranks. Each call leaves the index whole, so callers may interleave between calls."""

    def __init__(self) -> None:
        self.index = Index(Scorer(POLICY_1))
        self._capabilities: dict[str, tuple[int, int]] = {}
        self._institutions: dict[str, int] = {}

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self.index.policy

    @property
    def world(self) -> World:
        """Facts on countries."""
        return self.index.scorer.frame.world

    async def load(self, tx: Tx) -> None:
        """Builds the index anew, and only then puts it in the place of the old one."""
        fresh = Ranker()
        fresh.index = Index(Scorer(await policies.active(tx), await policies.statistics(tx)))
        await fresh.sync(tx)
        self.index, self._capabilities, self._institutions = fresh.index, fresh._capabilities, fresh._institutions
        log.info("index_built", capabilities=len(self.index), institutions=len(self._institutions))

    async def sync(self, tx: Tx) -> None:
        """Takes over whatever differs from the rows, in small steps between which the event loop goes on."""
        async for ids in _chunks(
            tx, institutions.versions_after, lambda row: self._institutions.get(str(row[0])) != row[1]
        ):
            rows = (await institutions.some(tx, ids)).values()
            self.put_institutions(await facts.load_institutions(tx, rows), {str(row.id): row.version for row in rows})
        gone = set(self._capabilities)

        def differs(row: Any) -> bool:  # noqa: ANN401 (id, version, places taken)
            gone.discard(str(row[0]))
            return self._capabilities.get(str(row[0])) != (row[1], row[2])

        async for ids in _chunks(tx, capabilities.versions_after, differs):
            self.put_capabilities(await facts.load_capabilities(tx, (await capabilities.some(tx, ids)).values()))
        for capability_id in gone:
            self._forget(capability_id)

    def put_institutions(self, known: Iterable[InstitutionFacts], versions: dict[str, int]) -> None:
        """Inserts or replaces institutions; `versions` are those of their rows."""
        for institution in known:
            self.index.put_institution(institution)
        self._institutions |= versions

    def put_capabilities(self, known: Iterable[CapabilityFacts]) -> None:
        """Inserts or replaces published capabilities, and forgets the others."""
        for capability in known:
            if capability.status != capabilities.PUBLISHED:
                self._forget(capability.id)
                continue
            held = self.index.capability(capability.id)
            if held is not None and replace(held, engaged=capability.engaged) == capability:
                self.index.set_engaged(capability.id, capability.engaged)
            else:
                self.index.put_capability(capability)
            self._capabilities[capability.id] = (capability.version, capability.engaged)

    def _forget(self, capability_id: str) -> None:
        self.index.remove_capability(capability_id)
        self._capabilities.pop(capability_id, None)

    async def refresh(self, tx: Tx, capability_ids: Collection[UUID], institution_ids: Collection[UUID] = ()) -> bool:
        """Takes these from the rows as they are now; whether any of the capabilities or their providers differed."""
        offered = await facts.load_capabilities(tx, (await capabilities.some(tx, capability_ids)).values())
        providers = {UUID(capability.institution_id) for capability in offered} | set(institution_ids)
        rows = await institutions.some(tx, providers)
        known = await facts.load_institutions(tx, rows.values())
        differs = [self.index.capability(c.id) != c for c in offered] + [
            self.index.institution(i.id) != i for i in known
        ]
        self.put_institutions(known, {str(row.id): row.version for row in rows.values()})
        self.put_capabilities(offered)
        return any(differs)

    async def agrees(self, tx: Tx) -> bool:
        """Whether counts and sums of versions equal those of the rows."""
        held = self._capabilities.values()
        mine = (len(held), sum(v for v, _ in held), sum(taken for _, taken in held), sum(self._institutions.values()))
        return mine == await capabilities.fingerprint(tx)

    async def freeze_statistics(self, tx: Tx) -> bool:
        """Makes a new snapshot of term statistics when the collection has changed by a quarter; whether it was due."""
        held, counted = len(self.index), self.index.scorer.frame.statistics.documents
        if held < LEAST_COUNTED or abs(held - counted) * 4 < counted:
            return False
        held_by = self.index.store
        documents = [held_by.rows.contents[slot].document for slot in held_by.slots.values()]
        frozen = await asyncio.to_thread(TermStatistics.of, await policies.next_version(tx), documents)
        policies.keep(tx, frozen)
        tx.after_commit(
            lambda: self.index.use(Scorer(self.policy, frozen, world=self.world, lexicon=self.index.scorer.lexicon))
        )
        return True


async def _chunks(
    tx: Tx, read: Callable[[Tx, UUID, int], Awaitable[Sequence[Any]]], differs: Callable[[Any], bool]
) -> AsyncIterator[list[UUID]]:
    """Ids of rows for which `differs` says so, all rows being read in id order, a chunk at a time."""
    last = UUID(int=0)
    while rows := await read(tx, last, READ_ROWS):
        last = rows[-1][0]
        stale = [row[0] for row in rows if differs(row)]
        for start in range(0, len(stale), CHUNK_ROWS):
            yield stale[start : start + CHUNK_ROWS]
            await asyncio.sleep(0)
