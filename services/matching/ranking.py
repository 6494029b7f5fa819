"""The index of this process: built from the rows at start, kept by the worker, compared with the rows every minute."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog

from services.matching import facts
from services.matching.engine.facilitators import Facilitator, rank_facilitators
from services.matching.engine.index import Index
from services.matching.engine.policy import POLICY_1
from services.matching.engine.prepared import content_of
from services.matching.engine.score import Scored, Scorer
from services.matching.engine.simulation import Change, Equity, Simulation
from services.matching.engine.text import TermStatistics
from services.matching.engine.world import ReferenceWorld
from services.matching.loading import lacking, load_institutions, load_readings
from services.matching.open_needs import OpenNeeds
from services.matching.store import capabilities, institutions, policies, trade

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
    from datetime import date

    from services.matching.engine.lexicon import Lexicon
    from services.matching.engine.model import CapabilityFacts, InstitutionFacts, NeedFacts
    from services.matching.engine.policy import Policy
    from services.matching.engine.prepared import Content
    from services.matching.engine.world import World
    from services.matching.tables import CapabilityRow
    from shared.messaging.transaction import Transactions, Tx

log = structlog.get_logger(__name__)

READ_ROWS = 5000
CHUNK_ROWS = 500
"""Rows read and taken in at once; what they say is worked out in a thread."""
SIMULATED_AT_ONCE = 20
"""Needs simulated before the engine gets its turn."""
LEAST_COUNTED = 50
"""Below this number of capabilities counts of terms say nothing; every word weighs the same."""


class Ranker:
    """Everything that ranks.

    Rankings run in a thread, so that a large one does not hold up the event loop; changes happen in the loop, a few at
    a time. The lock keeps them apart: the index allows many readers or one writer.
    """

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.index = Index(Scorer(POLICY_1))
        self._institutions: dict[str, int] = {}
        self._trade = ""
        self.open_needs = OpenNeeds(self)

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self.index.policy

    @property
    def world(self) -> World:
        """Facts on countries."""
        return self.index.scorer.frame.world

    async def settle(self) -> None:
        """Takes in what was added since the last time, once that is enough to slow rankings down."""
        async with self.lock:
            if self.index.worn:
                await asyncio.to_thread(self.index.settle)

    async def load(self, transactions: Transactions) -> None:
        """Builds the index anew, and only then puts it in the place of the old one."""
        fresh = Ranker()
        async with transactions.snapshot() as tx:
            fresh._trade, world = await _world(tx)
            fresh.index = Index(Scorer(await policies.active(tx), await policies.statistics(tx), world=world))
            fresh._institutions = await load_institutions(tx, fresh.index)
            await load_readings(tx, fresh.index)
            async for ids in lacking(tx):
                await fresh._take_capabilities(tx, (await capabilities.some(tx, ids)).values())
        await fresh.settle()
        self.index, self._institutions, self._trade = fresh.index, fresh._institutions, fresh._trade
        log.info("index_built", capabilities=len(self.index), institutions=len(self._institutions))

    async def adopt(self, tx: Tx) -> None:
        """Ranks by the policy that is in force now, the newest statistics and trade flows."""
        await self.use(await policies.statistics(tx), await policies.active(tx))
        await self.take_trade(tx)

    async def take_trade(self, tx: Tx) -> None:
        """Ranks by the trade flows that are known now; shares are worked out for all countries at once."""
        edition, world = await _world(tx)
        if edition != self._trade:
            await self.use(world=world)
            self._trade = edition

    async def sync(self, tx: Tx) -> None:
        """Takes over whatever differs from the rows, in small steps between which the event loop goes on."""
        if await self._versions(tx) != self._used():
            await self.adopt(tx)
        known = self._institutions
        async for ids in _chunks(tx, institutions.versions_after, lambda row: known.get(str(row[0])) != row[1]):
            await self._take_institutions(tx, ids)
        held = self.index.comparison()
        async for ids in _chunks(
            tx, capabilities.versions_after, lambda row: held.differs(str(row[0]), row[1], row[2])
        ):
            await self._take_capabilities(tx, (await capabilities.some(tx, ids)).values())
        async with self.lock:
            for capability_id in held.gone():
                self.index.remove_capability(capability_id)

    async def rank(self, need: NeedFacts, on: date, k: int | None = None, quiet: Collection[str] = ()) -> list[Scored]:
        """The k best eligible capabilities at or above the threshold, best first."""
        async with self.lock:
            return await asyncio.to_thread(self.index.rank, need, on, k, frozenset(quiet))

    async def top(
        self, need: NeedFacts, on: date, k: int | None = None, quiet: Collection[str] = ()
    ) -> list[tuple[str, float]]:
        """Ids and scores of the same."""
        async with self.lock:
            return await asyncio.to_thread(self.index.top, need, on, k, frozenset(quiet))

    async def score(self, need: NeedFacts, capability_id: str, on: date) -> Scored:
        """One pair, explained; KeyError when the capability is not held."""
        async with self.lock:
            return self.index.score(need, capability_id, on)

    def beside(self, provider: InstitutionFacts, capability: CapabilityFacts) -> Index:
        """An index of one capability by the rules in force, for requests: the worker alone changes the large one."""
        alone = Index(self.index.scorer)
        alone.put_institution(provider)
        alone.put_capability(capability)
        return alone

    async def owners(self, capability_ids: Collection[str]) -> dict[str, tuple[str, str | None]]:
        """Capability -> its institution's id and country, of those that are held."""
        async with self.lock:
            held = {i: found for i in capability_ids if (found := self.index.capability(i)) is not None}
            owners = {i: self.index.institution(found.institution_id) for i, found in held.items()}
        return {i: (owner.id, owner.country) for i, owner in owners.items()}

    async def missed(
        self, need: NeedFacts, on: date, k: int, quiet: Collection[str] = ()
    ) -> list[tuple[Scored, list[str]]]:
        """The k capabilities that would rank best if no rule excluded them, with their reason codes."""
        async with self.lock:
            return await asyncio.to_thread(self.index.missed, need, on, k, frozenset(quiet))

    async def facilitators(self, need: NeedFacts, capability_id: str, on: date, limit: int) -> list[Facilitator]:
        """Institutions that can bring what the pair leaves uncovered; none when the capability is not offered."""
        async with self.lock:
            if self.index.capability(capability_id) is None:
                return []
            return await asyncio.to_thread(rank_facilitators, self.index, need, capability_id, on, limit)

    async def refresh(self, tx: Tx, capability_ids: Collection[UUID], institution_ids: Collection[UUID] = ()) -> bool:
        """Takes these from the rows as they are now; whether any of the capabilities or their providers differed."""
        rows = (await capabilities.some(tx, capability_ids)).values()
        providers = {row.institution_id for row in rows} | set(institution_ids)
        changed = await self._take_institutions(tx, providers)
        return await self._take_capabilities(tx, rows) or changed

    async def _take_institutions(self, tx: Tx, ids: Collection[UUID]) -> bool:
        rows = (await institutions.some(tx, ids)).values()
        known = await facts.load_institutions(tx, rows)
        changed = [institution for institution in known if self.index.institution(institution.id) != institution]
        async with self.lock:
            for institution in changed:
                self.index.put_institution(institution)
        self._institutions |= {str(row.id): row.version for row in rows}
        return bool(changed)

    async def _take_capabilities(self, tx: Tx, rows: Iterable[CapabilityRow]) -> bool:
        """The published ones into the index, the others out of it; nobody waits while what they say is worked out.

        The worker alone changes the index, so nothing in it is newer when that is done.
        """
        known = await facts.load_capabilities(tx, rows)
        async with self.lock:
            changed = [capability for capability in known if self._differs(capability)]
            new = [capability for capability in changed if not self._set(capability)]
        said = await asyncio.to_thread(_contents_of, new, self.index.scorer.lexicon)
        async with self.lock:
            self.index.put_contents(zip(new, said, strict=True))
        return bool(changed)

    def _differs(self, capability: CapabilityFacts) -> bool:
        """Whether the index holds another version, or another number of places taken; only published ones are held."""
        held = self.index.capability(capability.id)
        if held is None or capability.status != capabilities.PUBLISHED:
            return (held is None) == (capability.status == capabilities.PUBLISHED)
        return (held.version, held.engaged) != (capability.version, capability.engaged)

    def _set(self, capability: CapabilityFacts) -> bool:
        """Whether nothing is new but that it is no longer offered, or how many of its places are taken."""
        held = self.index.capability(capability.id)
        if capability.status != capabilities.PUBLISHED:
            self.index.remove_capability(capability.id)
            return True
        if held is not None and held.version == capability.version:
            self.index.set_engaged(capability.id, capability.engaged)
            return True
        return False

    async def agrees(self, tx: Tx) -> bool:
        """Whether counts and sums of versions equal those of the rows."""
        mine = (*self.index.fingerprint(), self.index.places_taken(), sum(self._institutions.values()))
        return mine == await capabilities.fingerprint(tx) and self._used() == await self._versions(tx)

    async def _versions(self, tx: Tx) -> tuple[int, int, str]:
        return (await policies.active(tx)).version, await policies.newest_statistics(tx), await trade.edition(tx)

    def _used(self) -> tuple[int, int, str]:
        return self.policy.version, self.index.scorer.frame.statistics.version, self._trade

    async def freeze_statistics(self, tx: Tx) -> TermStatistics | None:
        """Stores a new snapshot of term statistics once the collection has changed by a quarter, and returns it."""
        held, counted = len(self.index), self.index.scorer.frame.statistics.documents
        if held < LEAST_COUNTED or abs(held - counted) * 4 < counted:
            return None
        version = await policies.next_version(tx)
        async with self.lock:
            frozen = await asyncio.to_thread(self.index.statistics, version)
        policies.keep(tx, frozen)
        return frozen

    async def use(
        self, statistics: TermStatistics | None = None, policy: Policy | None = None, world: World | None = None
    ) -> None:
        """Scores by what is given from now on, and by the same as before of what is not."""
        async with self.lock:
            frame, lexicon = self.index.scorer.frame, self.index.scorer.lexicon
            scorer = Scorer(
                policy or frame.policy, statistics or frame.statistics, world=world or frame.world, lexicon=lexicon
            )
            await asyncio.to_thread(self.index.use, scorer)

    async def simulate(
        self, policy: Policy, needs: Sequence[NeedFacts], on: date, quiet: dict[str, frozenset[str]]
    ) -> tuple[list[Change], Equity, Equity]:
        """What this policy would change for the needs, with equity figures before and after; a few needs at a time."""
        scorer = Scorer(policy, self.index.scorer.frame.statistics, world=self.world, lexicon=self.index.scorer.lexicon)
        trial = Simulation(self.index, self.index.under(scorer), on)
        for start in range(0, len(needs), SIMULATED_AT_ONCE):
            async with self.lock:
                await asyncio.to_thread(trial.add, needs[start : start + SIMULATED_AT_ONCE], quiet)
        return trial.changes, trial.equity(0), trial.equity(1)


async def _world(tx: Tx) -> tuple[str, World]:
    """The edition of the trade profiles, and countries with the flows that they tell of."""
    rows = await trade.profiles(tx)
    return trade.edition_of(rows), ReferenceWorld(flows=facts.flows(rows))


def _contents_of(some: Sequence[CapabilityFacts], lexicon: Lexicon) -> list[Content]:
    return [content_of(capability, lexicon) for capability in some]


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
