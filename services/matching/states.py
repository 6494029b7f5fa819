"""From rows to the states that events carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.matching.domain.facilitators import JOINED
from shared.events.matching import Answers, FacilitatorRef, MatchState, PolicyState, ProjectSeed
from shared.events.states import PartyRef, Reason, RoleRef, Sum

if TYPE_CHECKING:
    from uuid import UUID

    from services.matching.store.matches import Match
    from services.matching.tables import MatchRow, NeedRow, PolicyRow


def beneficiary_of(row: MatchRow) -> PartyRef:
    """The side that seeks."""
    return PartyRef(institution_id=row.beneficiary_id, name=row.beneficiary_name, country=row.beneficiary_country)


def provider_of(row: MatchRow) -> PartyRef:
    """The side that offers."""
    return PartyRef(institution_id=row.provider_id, name=row.provider_name, country=row.provider_country)


def facilitators_of(match: Match) -> list[FacilitatorRef]:
    """All invitations."""
    return [
        FacilitatorRef(institution_id=f.institution_id, name=f.name, country=f.country, status=f.status)
        for f in match.facilitators
    ]


def state_of(match: Match) -> MatchState:
    """The match as the world may see it: reasons as codes, no messages."""
    row = match.row
    return MatchState(
        **{name: getattr(row, name) for name in _SAME},
        beneficiary=beneficiary_of(row),
        provider=provider_of(row),
        facilitators=facilitators_of(match),
        answers=Answers(beneficiary=row.beneficiary_answer, provider=row.provider_answer),
        reason=Reason(code=row.reason_code) if row.reason_code else None,
        justification=Reason(code=row.justification_code) if row.justification_code else None,
    )


_SAME = (
    "id",
    "version",
    "status",
    "origin",
    "need_id",
    "need_version",
    "need_title",
    "capability_id",
    "capability_version",
    "capability_title",
    "score",
    "rank",
    "policy_version",
    "as_of",
    "confirmations",
    "project_id",
    "proposed_at",
    "expires_at",
    "updated_at",
)
"""Members that are columns of the same name."""


def seed_of(match: Match, need: NeedRow, project_id: UUID) -> ProjectSeed:
    """What projects needs to open the project."""
    row = match.row
    joined = [(f, "facilitating") for f in facilitators_of(match) if f.status == JOINED]
    partners = [(beneficiary_of(row), "beneficiary"), (provider_of(row), "pivotal"), *joined]
    return ProjectSeed(
        id=project_id,
        title=need.title,
        language=need.language,
        partners=[
            RoleRef(institution_id=p.institution_id, name=p.name, country=p.country, role=role) for p, role in partners
        ],
        resource_kinds=need.resource_kinds,
        isic=need.isic,
        hs=need.hs,
        sdg_targets=need.sdg_targets,
        budget=Sum.model_validate(need.budget) if need.budget else None,
        funding_gap=Sum.model_validate(need.funding_gap) if need.funding_gap else None,
    )


def policy_state(row: PolicyRow) -> PolicyState:
    """The policy with all its numbers."""
    return PolicyState(
        id=row.version,
        version=row.revision,
        status=row.status,
        document=row.document,
        activated_at=row.activated_at,
    )
