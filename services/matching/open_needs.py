"""The open needs as this process knows them: what a changed capability is held against."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sqlalchemy import select

from services.matching import facts
from services.matching.engine.seekers import Seekers
from services.matching.engine.takers import Takers
from services.matching.store import needs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from services.matching.ranking import Ranker
    from services.matching.tables import NeedRow
    from shared.messaging.transaction import Tx

LOOKED_UP_AT_ONCE = 20
"""Capabilities held against the open needs before the engine gets its turn."""


class OpenNeeds:
    """Each with the score that a capability has to reach to be among its best. Read and changed by the worker alone."""

    def __init__(self, ranker: Ranker) -> None:
        self._ranker = ranker
        self._takers: Takers | None = None

    async def takers(self, tx: Tx, capability_ids: Sequence[str], on: date) -> dict[str, str]:
        """Open needs among whose best one of these capabilities may be, with the first such capability."""
        takers = await self._read(tx, on)
        found: dict[str, str] = {}
        for start in range(0, len(capability_ids), LOOKED_UP_AT_ONCE):
            some = capability_ids[start : start + LOOKED_UP_AT_ONCE]
            async with self._ranker.lock:
                found = await asyncio.to_thread(self._look_up, takers, some) | found
            await tx.session.execute(select(1))  # many look-ups take long, and a transaction is not to look idle
        return found

    def _look_up(self, takers: Takers, capability_ids: Sequence[str]) -> dict[str, str]:
        if takers.seekers.worn:
            takers.seekers.settle()
        offers = {i: offer for i in capability_ids if (offer := self._ranker.index.offer(i)) is not None}
        return {need_id: i for i, offer in reversed(offers.items()) for need_id in takers.of(offer)}

    async def _read(self, tx: Tx, on: date) -> Takers:
        """All of them, read again when policy, statistics or day are others than when they were read."""
        held = self._takers
        if held is None or not held.hold(self._ranker.index.scorer, on):
            held = Takers(Seekers(self._ranker.index.scorer, on))
            async for rows in needs.all_open(tx):
                async with self._ranker.lock:
                    await asyncio.to_thread(self._meet, held, rows)
            self._takers = held
        return held

    def _meet(self, takers: Takers, rows: Sequence[NeedRow]) -> None:
        for row in rows:
            prepared = self._ranker.index.scorer.prepare(facts.need_facts(row), takers.seekers.on)
            takers.seekers.put(prepared, self._ranker.policy.threshold if row.cutoff is None else row.cutoff)

    async def ranked(self, need: NeedRow, on: date) -> None:
        """A need was looked at: from now on it asks for what its row says, or for nothing when it is not open."""
        async with self._ranker.lock:
            held = self._takers
            if held is None or not held.hold(self._ranker.index.scorer, on):
                return
            if need.status == "open":
                self._meet(held, [need])
            else:
                held.seekers.remove(str(need.id))

    def forget(self) -> None:
        """They are read again before the next look: another process may have ranked them meanwhile."""
        self._takers = None

    async def agree(self, tx: Tx) -> bool:
        """Whether what is held equals the rows, by count and sums."""
        held = self._takers
        return held is None or held.seekers.fingerprint() == await needs.fingerprint(tx, self._ranker.policy.threshold)
