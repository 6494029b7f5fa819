"""Making the matches of one need agree with what the rows say now.

Everything that can change which matches a need should have ends here: the need itself, what is offered to it, who
is in good standing, which places are free. It does not matter how many events led here nor in what order they came.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from services.matching import facts
from services.matching.commands.moves import move, tell_as_system
from services.matching.commands.proposing import Basis, party_of, propose
from services.matching.domain import review, seeking
from services.matching.engine import eligibility
from services.matching.engine.model import unknown_institution
from services.matching.store import capabilities, institutions, matches, needs, queue
from shared.events.matching import MatchExpired, MatchWithdrawn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.matching.engine.score import Scored
    from services.matching.ranking import Ranker
    from services.matching.store.matches import Match
    from services.matching.tables import CapabilityRow, InstitutionRow, MatchRow, NeedRow
    from shared.messaging.transaction import Tx

Best = tuple[int, "Scored"]
"""A rank and the score that won it."""
MOST_RANKINGS = 4
"""The index is corrected from the rows and asked again until both agree; more than once is rare already."""


def withdraw(tx: Tx, match: Match, reason: str) -> None:
    """The system takes an open match back, for a reason that both sides are told."""
    match.row.reason_code = str(reason)
    move(match, "withdrawn", tx.now)
    tell_as_system(tx, MatchWithdrawn, match)


def expire(tx: Tx, match: Match) -> None:
    """Nobody answered in time."""
    move(match, "expired", tx.now)
    tell_as_system(tx, MatchExpired, match)


async def reconcile(tx: Tx, ranker: Ranker, need_id: UUID) -> int:
    """Reviews the open matches of a need, then proposes what is missing; how many were proposed.

    Takes the need's requests from the queue in the same transaction; what it publishes names their cause.
    """
    need = await needs.lock(tx, need_id)
    _, tx.causation = await queue.take_need(tx, need_id)
    if need is None:
        return 0  # its own event will come and bring us here again
    found = await needs.places(tx, need_id)
    held = await matches.lock_open(tx, need_id)
    known = await institutions.some(tx, {need.institution_id, *(match.row.provider_id for match in held)})
    standing = await _review(tx, ranker, need, held, known, engaged=seeking.is_engaged(need, found))
    owner, proposed = known.get(need.institution_id), 0
    if seeking.why_not(need, found, owner.status if owner else None, tx.clock.today()) is None:
        proposed = await _propose(tx, ranker, need, standing, owner)
    need.version_seen = need.version
    await ranker.open_needs.ranked(need, tx.clock.today())
    return proposed


async def _review(
    tx: Tx,
    ranker: Ranker,
    need: NeedRow,
    held: Sequence[Match],
    known: dict[UUID, InstitutionRow],
    *,
    engaged: bool,
) -> list[Match]:
    """Ends what is overdue and takes back what cannot stand; returns the rest."""
    offered = await capabilities.some(tx, {match.row.capability_id for match in held})
    standing = []
    for match in held:
        _refresh_names(match.row, need, known)
        capability = offered.get(match.row.capability_id)
        reason = review.need_reason(need.status, engaged=engaged) or _pair_reason(
            tx, ranker, need, match, capability, known
        )
        if match.row.expires_at is not None and match.row.expires_at <= tx.now:
            expire(tx, match)
        elif reason is not None:
            withdraw(tx, match, reason)
        else:
            standing.append(match)
    return standing


def _pair_reason(
    tx: Tx,
    ranker: Ranker,
    need: NeedRow,
    match: Match,
    capability: CapabilityRow | None,
    known: dict[UUID, InstitutionRow],
) -> str | None:
    provider, owner = known.get(match.row.provider_id), known.get(need.institution_id)
    excluded: list[str] = []
    if capability is not None:
        standing = unknown_institution(str(match.row.provider_id)) if provider is None else facts.standing(provider)
        offer = facts.capability_facts(capability, 0)
        excluded = eligibility.reasons(
            eligibility.Pair(facts.need_facts(need), offer, standing, tx.clock.today(), ranker.world)
        )
    standings = [row.status for row in (provider, owner) if row is not None]
    return review.pair_reason(capability.status if capability else "withdrawn", standings, excluded)


def _refresh_names(row: MatchRow, need: NeedRow, known: dict[UUID, InstitutionRow]) -> None:
    """Shows parties of open matches by their present names."""
    row.beneficiary_name, row.beneficiary_country = party_of(known.get(need.institution_id), need)
    provider = known.get(row.provider_id)
    if provider is not None:
        row.provider_name, row.provider_country = provider.name, provider.country


async def _propose(
    tx: Tx, ranker: Ranker, need: NeedRow, standing: Sequence[Match], owner: InstitutionRow | None
) -> int:
    """Proposes whatever is among the best k and not proposed yet."""
    known = {str(match.row.capability_id) for match in standing}
    new = await _rank(tx, ranker, need, known)
    offered = await capabilities.some(tx, [UUID(scored.capability_id) for _, scored in new])
    providers = await institutions.some(tx, {row.institution_id for row in offered.values()})
    for rank, scored in new:
        capability = offered[UUID(scored.capability_id)]
        parties = (owner, providers[capability.institution_id])
        propose(tx, need, capability, parties, Basis("ranking", rank, scored.explanation()))
    return len(new)


async def _rank(tx: Tx, ranker: Ranker, need: NeedRow, known: set[str]) -> list[Best]:
    """Those of the best k that are not known yet, explained, from an index that agrees with the rows of all of them."""
    quiet = await needs.quiet(tx, need.id, tx.now - timedelta(days=ranker.policy.quiet_days))
    silent = frozenset(str(capability_id) for capability_id in quiet)
    sought, today = facts.need_facts(need), tx.clock.today()
    best: list[tuple[str, float]] = []
    for _ in range(MOST_RANKINGS):
        best = await ranker.top(sought, today, quiet=silent)
        if not await ranker.refresh(tx, [UUID(capability_id) for capability_id, _ in best]):
            break
    # whatever still moves has left a request in the queue and is looked at again
    pairs = [(c, score, ranker.index.pair(sought, c, today, silent)) for c, score in best]
    valid = [(c, score) for c, score, pair in pairs if pair is not None and eligibility.eligible(pair)]
    need.cutoff = valid[-1][1] if len(valid) >= ranker.policy.k else None
    ranked = enumerate(valid, 1)
    return [(rank, ranker.index.score(sought, c, today)) for rank, (c, _) in ranked if c not in known]
