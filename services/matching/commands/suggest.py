"""Ranking without storing anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from services.matching.engine import eligibility
from services.matching.engine.model import NeedFacts
from services.matching.engine.priority import priority
from services.matching.facts import need_facts
from services.matching.store import capabilities, institutions, needs, policies
from shared.ops.ids import new_id
from shared.web.problems import not_found

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from services.matching.engine.score import Scored
    from services.matching.ranking import Ranker
    from services.matching.schemas.suggestions import SuggestionsIn
    from services.matching.tables import InstitutionRow, NeedRow
    from shared.messaging.transaction import Tx
    from shared.web.auth import Caller


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
    """Open needs among whose best a capability would be, by score x priority; raises `not_found`.

    Only its own institution and operators ask: the order says how a provider would best use its places.
    """
    row = (await capabilities.some(tx, [capability_id])).get(capability_id)
    if row is None or not (caller.is_operator or row.institution_id == caller.institution_id):
        raise not_found("capability")
    await ranker.refresh(tx, [row.id], [row.institution_id])
    taking = await ranker.takers(tx, [str(row.id)], tx.clock.today())
    found = [await _sought(tx, ranker, need, str(row.id)) for need in await _open(tx, ranker, taking, capability_id)]
    above = [one for one in found if one is not None and one.scored.score >= ranker.policy.threshold]
    return sorted(above, key=lambda one: (-one.scored.score * one.priority, one.need.id))[:limit]


async def _open(tx: Tx, ranker: Ranker, ids: Iterable[str], capability_id: UUID) -> list[NeedRow]:
    """Those needs to which this capability may be proposed: neither declined a short while ago nor engaged."""
    wanted = [UUID(need_id) for need_id in ids]
    quiet = await needs.quiet_of(tx, wanted, tx.now - timedelta(days=ranker.policy.quiet_days))
    return [row for row in await needs.some_open(tx, wanted) if capability_id not in quiet.get(row.id, ())]


async def _sought(tx: Tx, ranker: Ranker, row: NeedRow, capability_id: str) -> Sought | None:
    """The need with its score and priority; None when a hard rule excludes the pair."""
    need, today = need_facts(row), tx.clock.today()
    pair = ranker.index.pair(need, capability_id, today, frozenset())
    if pair is None or not eligibility.eligible(pair):
        return None
    scored = await ranker.score(need, capability_id, today)
    return Sought(row, scored, priority(need, today, ranker.policy, ranker.world))


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
    languages = owner.languages if owner and body.languages is None else body.languages or []
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
        languages=tuple(languages),
        urgency=str(body.urgency),
        budget_gap=body.funding_gap is not None,
        domestic_welcome=body.domestic_welcome,
        deadline=body.deadline,
    )
