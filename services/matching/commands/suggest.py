"""Ranking without storing anything."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from services.matching.engine.model import NeedFacts
from services.matching.facts import load_capabilities, load_institutions, need_facts
from services.matching.store import capabilities, institutions, needs, policies
from shared.ops.ids import new_id
from shared.web.problems import not_found

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.matching.engine.score import Scored
    from services.matching.ranking import Ranker
    from services.matching.schemas.suggestions import SuggestionsIn
    from services.matching.tables import InstitutionRow, NeedRow
    from shared.messaging.transaction import Tx
    from shared.web.auth import Caller

LOOKED_AT = 2_000
"""Needs held against one capability for a preview: some seconds in a thread."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A ranked capability with its institution; `excluded_by` are reason codes, none when it would be proposed."""

    scored: Scored
    institution: InstitutionRow
    excluded_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sought:
    """A need that a capability could serve; its priority orders it and never changes the score."""

    need: NeedRow
    scored: Scored
    priority: float


@dataclass(frozen=True, slots=True)
class Asked:
    """A need, posted or not, and the capabilities not to be proposed to it again yet."""

    need: NeedFacts
    quiet: frozenset[str] = frozenset()


async def suggest(tx: Tx, ranker: Ranker, asked: Asked, limit: int) -> list[Suggestion]:
    """The capabilities that would be proposed to such a need today, best first."""
    ranked = await ranker.rank(asked.need, tx.clock.today(), limit, asked.quiet)
    return await _with_institutions(tx, [(scored, []) for scored in ranked])


async def missed(tx: Tx, ranker: Ranker, asked: Asked, limit: int) -> list[Suggestion]:
    """The capabilities that would rank best if no rule excluded them, and all that excludes each."""
    return await _with_institutions(tx, await ranker.missed(asked.need, tx.clock.today(), limit, asked.quiet))


async def held(tx: Tx, caller: Caller, need_id: UUID) -> Asked:
    """A need of the caller's institution, or any for an operator; raises `not_found`."""
    row = await needs.get(tx, need_id)
    if row is None or not (caller.is_operator or row.institution_id == caller.institution_id):
        raise not_found("need")
    policy = await policies.active(tx)
    quiet = await needs.quiet(tx, need_id, tx.now - timedelta(days=policy.quiet_days))
    return Asked(need_facts(row), frozenset(map(str, quiet)))


async def shown(tx: Tx, caller: Caller, body: SuggestionsIn) -> Asked:
    """A need that is not stored; raises `Invalid` and what `acting_institution` does."""
    return Asked(await _checked(tx, caller, body))


async def _checked(tx: Tx, caller: Caller, body: SuggestionsIn) -> NeedFacts:
    body.check(tx.clock.today())
    owner_id = caller.acting_institution(body.institution_id)
    return _need(body, owner_id, await institutions.get(tx, owner_id))


async def needs_for(tx: Tx, ranker: Ranker, caller: Caller, capability_id: UUID, limit: int) -> list[Sought]:
    """Open needs that a capability could serve, by score x priority; raises `not_found`.

    Only its own institution and operators ask: the order says how a provider would best use its places. Of very many
    needs those of its own ISIC classes, and of these the newest, are looked at (LOOKED_AT).
    """
    row = (await capabilities.some(tx, [capability_id])).get(capability_id)
    if row is None or not (caller.is_operator or row.institution_id == caller.institution_id):
        raise not_found("capability")
    owner = await institutions.get(tx, row.institution_id)
    if owner is None:
        return []
    [offer], [provider] = await load_capabilities(tx, [row]), await load_institutions(tx, [owner])
    found = await needs.seeking_any(tx, row.resource_kinds, row.isic, tx.clock.today(), LOOKED_AT)
    of_id = {str(need.id): need for need in await _not_quiet(tx, ranker, found, capability_id)}
    alone = ranker.beside(provider, offer)
    sought = [need_facts(need) for need in of_id.values()]
    ranked = await asyncio.to_thread(alone.needs_for, offer.id, sought, tx.clock.today(), limit)
    return [Sought(of_id[one.need.id], one.scored, one.priority) for one in ranked]


async def _not_quiet(tx: Tx, ranker: Ranker, found: Sequence[NeedRow], capability_id: UUID) -> list[NeedRow]:
    """Those to which the capability may be proposed: neither declined a short while ago nor engaged."""
    since = tx.now - timedelta(days=ranker.policy.quiet_days)
    quiet = await needs.quiet_of(tx, [row.id for row in found], since)
    return [row for row in found if capability_id not in quiet.get(row.id, ())]


async def _with_institutions(tx: Tx, ranked: Sequence[tuple[Scored, Sequence[str]]]) -> list[Suggestion]:
    """Those whose institution is known by name."""
    offered = await capabilities.some(tx, [UUID(scored.capability_id) for scored, _ in ranked])
    rows = await institutions.some(tx, {row.institution_id for row in offered.values()})
    owners = {str(i): rows[row.institution_id] for i, row in offered.items() if row.institution_id in rows}
    return [
        Suggestion(scored, owners[scored.capability_id], tuple(codes))
        for scored, codes in ranked
        if scored.capability_id in owners
    ]


def _need(body: SuggestionsIn, owner_id: UUID, owner: InstitutionRow | None) -> NeedFacts:
    """The need that registry would make of this body, defaults filled in the same way."""
    known = owner.languages if owner else []
    language = body.language or next(iter(known), "en")
    return NeedFacts(
        id=str(new_id()),
        version=1,
        institution_id=str(owner_id),
        country=body.country or (owner.country if owner else None) or "",
        title=body.title,
        problem=body.problem,
        resource_kinds=tuple(str(kind) for kind in body.resource_kinds),
        technologies=tuple(body.technologies),
        isic=tuple(body.isic),
        hs=tuple(body.hs),
        sdg_targets=tuple(body.sdg_targets),
        languages=tuple(body.languages or known or [language]),
        urgency=str(body.urgency),
        budget_gap=body.funding_gap is not None,
        domestic_welcome=body.domestic_welcome,
        deadline=body.deadline,
    )
