"""Policies: what is asked and what is shown."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from uuid import UUID

from pydantic import BaseModel, Field

from services.matching.domain.policies import LIFECYCLE
from shared.api import Body, Resource
from shared.reference.types import OptionalText, UtcDateTime

if TYPE_CHECKING:
    from services.matching.commands.policies import Simulated
    from services.matching.engine.simulation import Change
    from services.matching.tables import PolicyRow
    from shared.web.auth import Caller

Share = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(ge=0, le=10)]
Weights = dict[str, Share]
Factors = dict[str, Factor]


class PolicyIn(Body):
    """What is different from the active policy; weights that are not named stay, and all must sum to 1."""

    note: OptionalText | None = None
    weights: Weights | None = None
    threshold: Share | None = None
    k: Annotated[int, Field(strict=True, ge=1, le=50)] | None = None
    quiet_days: Annotated[int, Field(strict=True, ge=0, le=3650)] | None = None
    regional_cooperation: Annotated[bool, Field(strict=True)] | None = None
    bm25_k1: Factor | None = None
    bm25_b: Share | None = None
    need_terms: Annotated[int, Field(strict=True, ge=1, le=28)] | None = None
    concept_boost: Factor | None = None
    focus_boost: Factor | None = None
    implied_factor: Share | None = None
    half_life_days: Annotated[int, Field(strict=True, ge=1, le=36500)] | None = None
    unrated: Share | None = None
    prior: Share | None = None
    prior_weight: Annotated[float, Field(gt=0, le=100)] | None = None
    evidence_half_at: Annotated[float, Field(gt=0, le=100)] | None = None
    ldc_reserve: Share | None = None
    urgency_weights: Factors | None = None
    status_weights: Factors | None = None
    facilitator_weights: Weights | None = None

    def changes(self) -> dict[str, Any]:
        """Members that were given."""
        return self.model_dump(exclude={"note"}, exclude_none=True)


class PolicyOut(Resource):
    """A policy with all its numbers; `version` counts its changes of status, `policy_version` is its number."""

    collection: ClassVar[str] = "policies"
    id: int
    version: int
    policy_version: int
    status: str
    note: str | None
    document: dict[str, Any]
    made_at: UtcDateTime
    activated_at: UtcDateTime | None
    actions: list[str]


class ChangeOut(BaseModel):
    """A need whose proposals would differ, and for whom."""

    need_id: UUID
    institution_id: UUID
    country: str
    entering: list[UUID]
    leaving: list[UUID]
    best_before: float | None
    best_after: float | None


class EquityOut(BaseModel):
    """Who gets and who gives; shares are of all proposals, see `engine.simulation.Equity`."""

    needs: int
    needs_served: int
    proposals: int
    group_shares: dict[str, float]
    group_needs_served: dict[str, int]
    providers: int
    provider_countries: int
    largest_share: float
    tenth_share: float


class SimulatedOut(BaseModel):
    """What the policy would change for the open needs that were looked at, those that wait longest first."""

    policy_version: int
    active_version: int
    open_needs: int
    looked_at: int
    changed: int
    changes: list[ChangeOut]
    before: EquityOut
    after: EquityOut


def show(row: PolicyRow, caller: Caller) -> PolicyOut:
    """The policy for this caller."""
    return PolicyOut(
        id=row.version,
        version=row.revision,
        policy_version=row.version,
        status=row.status,
        note=row.note,
        document=row.document,
        made_at=row.made_at,
        activated_at=row.activated_at,
        actions=LIFECYCLE.actions(row.status, None, caller.roles),
    )


def show_simulated(version: int, found: Simulated) -> SimulatedOut:
    """The outcome of a simulation."""
    return SimulatedOut(
        policy_version=version,
        active_version=found.active_version,
        open_needs=found.open_needs,
        looked_at=found.looked_at,
        changed=len(found.changes),
        changes=[_change(change) for change in found.changes],
        before=EquityOut(**asdict(found.before)),
        after=EquityOut(**asdict(found.after)),
    )


def _change(change: Change) -> ChangeOut:
    return ChangeOut(
        need_id=UUID(change.need.id),
        institution_id=UUID(change.need.institution_id),
        country=change.need.country,
        entering=[UUID(c) for c in change.entering],
        leaving=[UUID(c) for c in change.leaving],
        best_before=change.best_before,
        best_after=change.best_after,
    )
