"""A proposal of a ranking, a round or a person, stored with everything that its score was made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from services.matching.commands.moves import tell, tell_as_system
from services.matching.domain.matches import proposal_expires, reminder_due
from services.matching.store.matches import Match
from services.matching.tables import ExplanationRow, MatchRow
from shared.events.matching import MatchProposed
from shared.ops.ids import new_id

if TYPE_CHECKING:
    from services.matching.tables import CapabilityRow, InstitutionRow, NeedRow
    from shared.messaging.transaction import Tx

Parties = tuple["InstitutionRow | None", "InstitutionRow"]
"""The need's owner, if we have heard of it, and the provider."""


@dataclass(frozen=True, slots=True)
class Basis:
    """Why a pair is proposed: `ranking`, `round` or `direct`, its rank there, and the explained score as it is stored.

    What is `direct` is the work of a person, who says why by a code and, if need be, in words.
    """

    origin: str
    rank: int
    explanation: dict[str, Any]
    justification: tuple[str, str | None] | None = None


def propose(tx: Tx, need: NeedRow, capability: CapabilityRow, parties: Parties, basis: Basis) -> MatchRow:
    """Stores the match and tells both sides; the need's row is held."""
    row = _match(tx, need, capability, parties, basis)
    if basis.justification is not None:
        row.justification_code, row.justification_text = basis.justification
    tx.session.add(row)
    tx.session.add(ExplanationRow(match_id=row.id, document=basis.explanation))
    (tell_as_system if basis.justification is None else tell)(tx, MatchProposed, Match(row))
    return row


def party_of(owner: InstitutionRow | None, need: NeedRow) -> tuple[str, str | None]:
    """Name and country of the need's owner, as last heard."""
    return (owner.name, owner.country) if owner else (need.institution_name, need.institution_country)


def _match(tx: Tx, need: NeedRow, capability: CapabilityRow, parties: Parties, basis: Basis) -> MatchRow:
    owner, provider = parties
    beneficiary_name, beneficiary_country = party_of(owner, need)
    expires_at = proposal_expires(tx.now, need.deadline)
    return MatchRow(
        id=new_id(),
        version=1,
        status="proposed",
        origin=basis.origin,
        need_id=need.id,
        need_version=need.version,
        need_title=need.title,
        capability_id=capability.id,
        capability_version=capability.version,
        capability_title=capability.title,
        beneficiary_id=need.institution_id,
        beneficiary_name=beneficiary_name,
        beneficiary_country=beneficiary_country,
        provider_id=provider.id,
        provider_name=provider.name,
        provider_country=provider.country,
        score=basis.explanation["score"],
        rank=basis.rank,
        policy_version=basis.explanation["policy_version"],
        as_of=date.fromisoformat(basis.explanation["as_of"]),
        confirmations=[],
        proposed_at=tx.now,
        expires_at=expires_at,
        remind_at=reminder_due(tx.now, expires_at),
        updated_at=tx.now,
    )
