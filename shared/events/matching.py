"""Events of matching: the life of a match."""

from __future__ import annotations

from datetime import date
from typing import Any, ClassVar
from uuid import UUID

from shared.events import topics
from shared.events.states import PartyRef, Reason, RoleRef, State, Sum
from shared.messaging.envelope import Event, Visibility
from shared.reference.types import UtcDateTime


class FacilitatorRef(PartyRef):
    """An institution invited to the facilitating role: `invited`, `joined`, `declined` or `lapsed`."""

    status: str


class Answers(State):
    """What each side said: null, `interested` or `declined`."""

    beneficiary: str | None
    provider: str | None


class MatchState(State):
    """A match after an event."""

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
    reason: Reason | None
    proposed_at: UtcDateTime
    expires_at: UtcDateTime | None
    updated_at: UtcDateTime
    justification: Reason | None = None
    """Why a person named the two sides, where `origin` is `direct`."""


class MatchEvent(Event):
    """Something happened to a match; the need's id is the thread."""

    topic: ClassVar[str] = topics.MATCHES
    visibility: ClassVar[Visibility] = Visibility.PARTIES
    match: MatchState

    def key(self) -> UUID:
        return self.match.id

    def subject(self) -> str:
        return f"matches/{self.match.id}"

    def correlation(self) -> UUID:
        return self.match.need_id

    def parties(self) -> frozenset[UUID]:
        principals = {self.match.beneficiary.institution_id, self.match.provider.institution_id}
        return frozenset(principals | {f.institution_id for f in self.match.facilitators if f.status != "declined"})


class MatchProposed(MatchEvent):
    """It is proposed: by a ranking, a round, or somebody who names both sides (`origin`)."""

    wire: ClassVar[str] = "org.bandung.MatchProposed.v1"


class MatchInterestExpressed(MatchEvent):
    """A side is interested."""

    wire: ClassVar[str] = "org.bandung.MatchInterestExpressed.v1"


class MatchAccepted(MatchEvent):
    """The beneficiary chose it."""

    wire: ClassVar[str] = "org.bandung.MatchAccepted.v1"


class MatchDeclined(MatchEvent):
    """A side declined it."""

    wire: ClassVar[str] = "org.bandung.MatchDeclined.v1"


class MatchConfirmed(MatchEvent):
    """The first owner confirmed."""

    wire: ClassVar[str] = "org.bandung.MatchConfirmed.v1"


class ProjectSeed(State):
    """What projects needs to open a project without asking anybody."""

    id: UUID
    title: str
    language: str
    partners: list[RoleRef]
    resource_kinds: list[str]
    isic: list[str]
    hs: list[str]
    sdg_targets: list[str]
    budget: Sum | None
    funding_gap: Sum | None


class MatchFormalised(MatchEvent):
    """Both owners confirmed; a place is taken and a project will open under `project.id`."""

    wire: ClassVar[str] = "org.bandung.MatchFormalised.v1"
    project: ProjectSeed


class MatchExpired(MatchEvent):
    """Nobody answered in time."""

    wire: ClassVar[str] = "org.bandung.MatchExpired.v1"


class MatchWithdrawn(MatchEvent):
    """The system took it back, for the reason it gives."""

    wire: ClassVar[str] = "org.bandung.MatchWithdrawn.v1"


class MatchReminderDue(MatchEvent):
    """A side has seven days left to answer."""

    wire: ClassVar[str] = "org.bandung.MatchReminderDue.v1"


class FacilitatorInvited(MatchEvent):
    """A principal invited an institution to the facilitating role."""

    wire: ClassVar[str] = "org.bandung.FacilitatorInvited.v1"


class FacilitatorJoined(MatchEvent):
    """The invited institution joined."""

    wire: ClassVar[str] = "org.bandung.FacilitatorJoined.v1"


class FacilitatorDeclined(MatchEvent):
    """The invited institution declined."""

    wire: ClassVar[str] = "org.bandung.FacilitatorDeclined.v1"


class MatchTalk(MatchEvent):
    """Something was written; who was invited and never joined hears nothing of it once the match is formalised."""

    def parties(self) -> frozenset[UUID]:
        return super().parties() - {f.institution_id for f in self.match.facilitators if f.status == "lapsed"}


class MatchMessageSent(MatchTalk):
    """One party wrote to the others; the words stay in matching."""

    wire: ClassVar[str] = "org.bandung.MatchMessageSent.v1"


class MatchQuestionAsked(MatchTalk):
    """A party asks the beneficiary to make the need clearer; the words stay in matching."""

    wire: ClassVar[str] = "org.bandung.MatchQuestionAsked.v1"


class MatchQuestionAnswered(MatchTalk):
    """The beneficiary answered a question on the need: one such event for each of its matches that are not closed."""

    wire: ClassVar[str] = "org.bandung.MatchQuestionAnswered.v1"


class PolicyState(State):
    """A policy as `GET /policies/{id}` shows it, but for the operator's note; `id` is its number."""

    id: int
    version: int
    status: str
    document: dict[str, Any]
    activated_at: UtcDateTime | None


class PolicyActivated(Event):
    """An operator put a policy in force: from now on proposals are made by its numbers."""

    wire: ClassVar[str] = "org.bandung.PolicyActivated.v1"
    topic: ClassVar[str] = topics.POLICIES
    visibility: ClassVar[Visibility] = Visibility.PUBLIC
    policy: PolicyState

    def key(self) -> str:
        return str(self.policy.id)

    def subject(self) -> str:
        return f"policies/{self.policy.id}"


class RoundState(State):
    """A round after it was carried out: counts, no pairs."""

    id: UUID
    version: int
    status: str
    policy_version: int
    as_of: date
    needs: int
    pairs: int
    outcomes: dict[str, int]
    updated_at: UtcDateTime


class RoundCompleted(Event):
    """An approved round has been carried out; the matches it made are told of one by one."""

    wire: ClassVar[str] = "org.bandung.RoundCompleted.v1"
    topic: ClassVar[str] = topics.POLICIES
    visibility: ClassVar[Visibility] = Visibility.PUBLIC
    round: RoundState

    def key(self) -> UUID:
        return self.round.id

    def subject(self) -> str:
        return f"rounds/{self.round.id}"


EVENTS: tuple[type[Event], ...] = (
    MatchProposed,
    MatchInterestExpressed,
    MatchAccepted,
    MatchDeclined,
    MatchConfirmed,
    MatchFormalised,
    MatchExpired,
    MatchWithdrawn,
    MatchReminderDue,
    MatchMessageSent,
    MatchQuestionAsked,
    MatchQuestionAnswered,
    FacilitatorInvited,
    FacilitatorJoined,
    FacilitatorDeclined,
    PolicyActivated,
    RoundCompleted,
)
