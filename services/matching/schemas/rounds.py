"""Rounds: what is asked and what is shown."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from pydantic import BaseModel

from services.matching.domain.rounds import LIFECYCLE
from shared.api import Body, Resource
from shared.reference.types import OptionalText, UtcDateTime

if TYPE_CHECKING:
    from services.matching.tables import RoundPairRow, RoundRow
    from shared.web.auth import Caller


class RoundIn(Body):
    """An order for a round over all open needs."""

    note: OptionalText | None = None


class RoundOut(Resource):
    """A round; `figures` are there once it is worked out.

    They are its total and the bound that no allocation exceeds, the same for first come, first served, the needs
    that gain and lose, and equity of both.
    """

    collection: ClassVar[str] = "rounds"
    id: UUID
    version: int
    status: str
    note: str | None
    policy_version: int
    as_of: date
    figures: dict[str, Any] | None
    made_at: UtcDateTime
    updated_at: UtcDateTime
    actions: list[str]


class PairOut(BaseModel):
    """A place given to a need; `outcome` once the approved round has come to it."""

    need_id: UUID
    capability_id: UUID
    rank: int
    score: float
    priority: float
    outcome: str | None
    match_id: UUID | None


def show(row: RoundRow, caller: Caller) -> RoundOut:
    """The round for this caller."""
    members = {name: getattr(row, name) for name in RoundOut.model_fields if name != "actions"}
    return RoundOut(**members, actions=LIFECYCLE.actions(row.status, None, caller.roles))


def show_pair(row: RoundPairRow) -> PairOut:
    """A pair."""
    return PairOut(**{name: getattr(row, name) for name in PairOut.model_fields})
