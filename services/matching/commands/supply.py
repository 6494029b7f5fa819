"""What is offered changed: takes it into the index and finds the needs that this concerns."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID

from services.matching.facts import need_facts
from services.matching.store import institutions, needs, queue

if TYPE_CHECKING:
    from services.matching.ranking import Ranker
    from services.matching.tables import NeedRow
    from shared.messaging.transaction import Tx

PAGE = 200
MOST_PAIRS = 5_000
"""More new offers x open needs than this are not compared one by one: each open need is ranked once instead."""
STEP = 20
"""Pairs scored before other work of the event loop gets its turn."""

Causes = dict[UUID, str | None]


async def absorb(tx: Tx, ranker: Ranker, limit: int) -> int:
    """Takes a batch of changes from the queue; what they concern goes back into it as needs."""
    taken = await queue.take_supply(tx, limit)
    if not taken:
        return 0
    of = {kind: {subject: cause for k, subject, cause in taken if k == kind} for kind in _KINDS}
    if of[queue.RELOAD]:
        await ranker.load(tx)
    if of[queue.POLICY]:
        await ranker.adopt(tx)
        await queue.push_live_needs(tx)
    changed: Causes = of[queue.CAPABILITY]
    concerned: Causes = {}
    for institution_id, cause in of[queue.INSTITUTION].items():
        for capability_id in await institutions.capability_ids(tx, institution_id):
            changed.setdefault(capability_id, cause)
        concerned |= dict.fromkeys(await needs.of_institution(tx, institution_id), cause)
    await ranker.refresh(tx, changed, {*of[queue.INSTITUTION], *of[queue.RECORD]})
    matched = await needs.with_open_matches(tx, changed)
    concerned |= {need_id: changed[capability_id] for need_id, capability_id in matched.items()}
    await _find_takers(tx, ranker, changed, concerned)
    await queue.push_needs(tx, concerned)
    return len(taken)


_KINDS = (queue.CAPABILITY, queue.INSTITUTION, queue.RECORD, queue.RELOAD, queue.POLICY)


async def _find_takers(tx: Tx, ranker: Ranker, changed: Causes, concerned: Causes) -> None:
    """Adds the open needs among whose best one of these capabilities may be."""
    offered = {i: cause for i, cause in changed.items() if ranker.index.capability(str(i)) is not None}
    if not offered:
        return
    if len(offered) * await needs.count_open(tx) > MOST_PAIRS:
        await queue.push_live_needs(tx, next(iter(offered.values())))
        return
    kinds = {
        kind for i in offered if (capability := ranker.index.capability(str(i))) for kind in capability.resource_kinds
    }
    last = UUID(int=0)
    while rows := await needs.open_ones(tx, kinds, last, PAGE):
        last = rows[-1].id
        for start in range(0, len(rows), STEP):
            for row in rows[start : start + STEP]:
                _consider(tx, ranker, row, offered, concerned)
            await asyncio.sleep(0)


def _consider(tx: Tx, ranker: Ranker, row: NeedRow, offered: Causes, concerned: Causes) -> None:
    need, today = need_facts(row), tx.clock.today()
    for capability_id, cause in offered.items():
        if row.id in concerned:
            return
        ranked = ranker.index.needs_for(str(capability_id), [need], today)
        if ranked and (row.cutoff is None or ranked[0].scored.score >= row.cutoff):
            concerned[row.id] = cause
