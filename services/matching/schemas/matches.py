"""Matches: what is asked and what is shown."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, ClassVar, Literal, Self
from uuid import UUID

from pydantic import BaseModel, PrivateAttr

from services.matching.domain import facilitators as invitations
from services.matching.domain.matches import LIFECYCLE
from services.matching.states import beneficiary_of, facilitators_of, provider_of
from shared.api import Body, Resource
from shared.events.matching import Answers, FacilitatorRef
from shared.events.states import PartyRef
from shared.reference.types import OptionalText, ShortText, Text, UtcDateTime
from shared.reference.vocabulary import DirectMatchCode, MatchDeclineReason
from shared.web.paging import Page

if TYPE_CHECKING:
    from collections.abc import Iterable

    from services.matching.store.matches import Match
    from services.matching.tables import MessageRow
    from shared.web.auth import Caller

Status = Literal["proposed", "interested", "accepted", "formalised", "declined", "expired", "withdrawn"]


class InterestIn(Body):
    """A few words to the other side, if any."""

    message: ShortText | None = None


class DeclineIn(Body):
    """Why not; `other` must say what."""

    reason_code: MatchDeclineReason
    text: OptionalText | None = None


class InvitationIn(Body):
    """Who is invited to the facilitating role, with a few words."""

    institution_id: UUID
    message: Text | None = None


class DirectIn(Body):
    """Two sides that are brought together by name, and why; `other` must say what."""

    need_id: UUID
    capability_id: UUID
    justification_code: DirectMatchCode
    text: OptionalText | None = None


class AboutMatch(Resource):
    """Base of answers about a match that do not name its need, which is the thread."""

    _need_id: UUID | None = PrivateAttr(None)

    @property
    def thread(self) -> UUID | None:
        """The need's id."""
        return self._need_id

    def about(self, match: Match) -> Self:
        """This answer, in the thread of the match."""
        self._need_id = match.row.need_id
        return self


class ReasonOut(BaseModel):
    """Why a match ended, or why its two sides were named directly."""

    code: str
    text: str | None


class MatchOut(Resource):
    """A match as this caller may see it; `actions` are what this caller may do now."""

    collection: ClassVar[str] = "matches"
    id: UUID
    version: int
    status: str
    origin: str
    need_id: UUID
    need_version: int
    need_title: str
    capability_id: UUID
    capability_version: int
    capability_title: str
    beneficiary: PartyRef
    provider: PartyRef
    facilitators: list[FacilitatorRef]
    score: float
    rank: int
    policy_version: int
    as_of: date
    answers: Answers
    confirmations: list[str]
    project_id: UUID | None
    reason: ReasonOut | None
    justification: ReasonOut | None
    correlation_id: UUID
    proposed_at: UtcDateTime
    expires_at: UtcDateTime | None
    updated_at: UtcDateTime
    actions: list[str]

    @property
    def thread(self) -> UUID:
        """The need's id."""
        return self.need_id


class MessageOut(BaseModel):
    """What one party wrote."""

    side: str
    text: str
    at: UtcDateTime


class MatchDetail(MatchOut):
    """One match with the newest 50 things that its parties wrote to each other; only they read them."""

    messages: list[MessageOut]


class MatchPage(Page[MatchOut]):
    """A page of matches."""


class NeedSeen(BaseModel):
    """How far matching is with a need: null means that it has not looked yet."""

    id: UUID
    version_seen: int | None


class NeedMatchPage(MatchPage):
    """A page of one need's matches; tells "no partner" from "not yet looked"."""

    need: NeedSeen


def show(match: Match, caller: Caller) -> MatchOut:
    """The match for this caller."""
    row = match.row
    same = MatchOut.model_fields.keys() & type(row).model_fields.keys()
    return MatchOut(
        **{name: getattr(row, name) for name in same},
        beneficiary=beneficiary_of(row),
        provider=provider_of(row),
        facilitators=facilitators_of(match),
        answers=Answers(beneficiary=row.beneficiary_answer, provider=row.provider_answer),
        reason=_why(row.reason_code, row.reason_text),
        justification=_why(row.justification_code, row.justification_text),
        correlation_id=row.need_id,
        actions=_actions(match, caller),
    )


def _why(code: str | None, text: str | None) -> ReasonOut | None:
    return ReasonOut(code=code, text=text) if code else None


def show_whole(match: Match, caller: Caller, messages: Iterable[MessageRow]) -> MatchDetail:
    """The match with messages for this caller."""
    written = [MessageOut(side=m.side, text=m.text, at=m.at) for m in messages]
    return MatchDetail(**dict(show(match, caller)), messages=written)


def _actions(match: Match, caller: Caller) -> list[str]:
    """State changes of the match, and of the caller's own invitation."""
    row, hats = match.row, match.hats(caller)
    actions = LIFECYCLE.actions(row.status, match.facts, hats, can_sign=caller.can_sign)
    invitation = match.facilitator(caller.institution_id) if caller.institution_id else None
    if invitation is not None:
        facts = invitations.InvitationFacts(row.status)
        actions += invitations.LIFECYCLE.actions(invitation.status, facts, hats, can_sign=caller.can_sign)
    return actions
