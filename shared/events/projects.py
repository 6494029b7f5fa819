"""Events of projects: from agreement to replication. Everything of one project shares its key and its order."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from shared.events import topics
from shared.events.states import DatedRole, Reason, State, Sum
from shared.messaging.envelope import Event, Visibility
from shared.reference.types import Quantity, UtcDateTime


class ProjectState(State):
    """A project after an event."""

    id: UUID
    version: int
    status: str
    modality: str
    title: str
    language: str
    match_id: UUID | None
    need_id: UUID | None
    capability_id: UUID | None
    partners: list[DatedRole]
    resource_kinds: list[str]
    isic: list[str]
    hs: list[str]
    sdg_targets: list[str]
    budget: Sum | None
    planned_start_on: date | None
    planned_end_on: date | None
    started_on: date | None
    completed_on: date | None
    reopen_need: bool | None = None
    """Only on a cancelled project: whether its need seeks again."""
    reason: Reason | None = None
    updated_at: UtcDateTime


class ProjectEvent(Event):
    """Something happened to a project; the thread is the need's, or its own when it was opened directly."""

    topic: ClassVar[str] = topics.PROJECTS
    visibility: ClassVar[Visibility] = Visibility.PARTIES
    project: ProjectState

    def key(self) -> UUID:
        return self.project.id

    def subject(self) -> str:
        return f"projects/{self.project.id}"

    def correlation(self) -> UUID:
        return self.project.need_id or self.project.id

    def parties(self) -> frozenset[UUID]:
        return frozenset(partner.institution_id for partner in self.project.partners)


class ProjectOpened(ProjectEvent):
    """It exists, in the pipeline."""

    wire: ClassVar[str] = "org.bandung.ProjectOpened.v1"


class PartnerRoleChanged(ProjectEvent):
    """A partner joined or left a role."""

    wire: ClassVar[str] = "org.bandung.PartnerRoleChanged.v1"


class ProjectStarted(ProjectEvent):
    """It is active."""

    wire: ClassVar[str] = "org.bandung.ProjectStarted.v1"
    visibility: ClassVar[Visibility] = Visibility.PUBLIC


class ProjectSuspended(ProjectEvent):
    """It rests."""

    wire: ClassVar[str] = "org.bandung.ProjectSuspended.v1"


class ProjectResumed(ProjectEvent):
    """It goes on."""

    wire: ClassVar[str] = "org.bandung.ProjectResumed.v1"


class ProjectCancelled(ProjectEvent):
    """It ended without result."""

    wire: ClassVar[str] = "org.bandung.ProjectCancelled.v1"


class ProjectCompleted(ProjectEvent):
    """Its work is done and reported."""

    wire: ClassVar[str] = "org.bandung.ProjectCompleted.v1"
    visibility: ClassVar[Visibility] = Visibility.PUBLIC


class ProjectClosed(ProjectEvent):
    """Its books are closed."""

    wire: ClassVar[str] = "org.bandung.ProjectClosed.v1"


class ProjectPart(State):
    """What every child of a project tells of it, so that a reader needs no other event."""

    id: UUID
    version: int
    status: str
    project_id: UUID
    project_title: str
    partner_ids: list[UUID]
    """The institutions that are partners of the project at that time: who may see the event."""


class Document(State):
    """A document kept by one of the partners."""

    name: str
    url: str
    sha256: str


class Signature(State):
    """A party of an agreement and the day it signed."""

    institution_id: UUID
    signed_on: date | None


class AgreementState(ProjectPart):
    """An agreement after an event."""

    kind: str
    title: str
    effective_on: date
    document: Document | None
    parties: list[Signature]


class PartEvent(Event):
    """Something happened to a child of a project: ordered with the project, seen by its partners.

    Published with `correlation=` the project's thread, which the child does not carry.
    """

    topic: ClassVar[str] = topics.PROJECTS
    visibility: ClassVar[Visibility] = Visibility.PARTIES
    resources: ClassVar[str] = ""

    def part(self) -> ProjectPart:
        """The child."""
        raise NotImplementedError

    def key(self) -> UUID:
        return self.part().project_id

    def subject(self) -> str:
        return f"{self.resources}/{self.part().id}"

    def parties(self) -> frozenset[UUID]:
        return frozenset(self.part().partner_ids)


class AgreementEvent(PartEvent):
    """Something happened to an agreement."""

    resources: ClassVar[str] = "agreements"
    agreement: AgreementState

    def part(self) -> AgreementState:
        return self.agreement


class AgreementProposed(AgreementEvent):
    """Its parties are to sign."""

    wire: ClassVar[str] = "org.bandung.AgreementProposed.v1"


class AgreementSigned(AgreementEvent):
    """The last party signed."""

    wire: ClassVar[str] = "org.bandung.AgreementSigned.v1"


class DeliveryState(State):
    """One part of a contribution that was delivered."""

    id: UUID
    quantity: Quantity | None
    amount: Decimal | None
    delivered_on: date
    status: str
    reason: Reason | None = None


class ContributionState(ProjectPart):
    """A contribution after an event."""

    giver_id: UUID
    receiver_id: UUID
    resource_kind: str
    kind: str
    unit: str | None
    quantity: Quantity | None
    value: Sum | None
    valuation_method: str | None
    description: str
    due_on: date | None
    deliveries: list[DeliveryState]


class ContributionEvent(PartEvent):
    """Something happened to a contribution."""

    resources: ClassVar[str] = "contributions"
    contribution: ContributionState

    def part(self) -> ContributionState:
        return self.contribution


class ContributionPledged(ContributionEvent):
    """A partner will give."""

    wire: ClassVar[str] = "org.bandung.ContributionPledged.v1"


class ContributionCommitted(ContributionEvent):
    """The giver is bound."""

    wire: ClassVar[str] = "org.bandung.ContributionCommitted.v1"


class ContributionDelivered(ContributionEvent):
    """The giver says that it delivered."""

    wire: ClassVar[str] = "org.bandung.ContributionDelivered.v1"


class ContributionConfirmed(ContributionEvent):
    """The receiver says that it received."""

    wire: ClassVar[str] = "org.bandung.ContributionConfirmed.v1"


class ContributionDisputed(ContributionEvent):
    """The receiver says that it did not."""

    wire: ClassVar[str] = "org.bandung.ContributionDisputed.v1"


class MilestoneState(ProjectPart):
    """A milestone after an event."""

    title: str
    due_on: date | None
    reached_on: date | None
    reason: Reason | None


class MilestoneEvent(PartEvent):
    """Something happened to a milestone."""

    resources: ClassVar[str] = "milestones"
    milestone: MilestoneState

    def part(self) -> MilestoneState:
        return self.milestone


class MilestonePlanned(MilestoneEvent):
    """It is expected."""

    wire: ClassVar[str] = "org.bandung.MilestonePlanned.v1"


class MilestoneReached(MilestoneEvent):
    """It was reached."""

    wire: ClassVar[str] = "org.bandung.MilestoneReached.v1"


class MilestoneWaived(MilestoneEvent):
    """It no longer counts."""

    wire: ClassVar[str] = "org.bandung.MilestoneWaived.v1"


class ReportState(ProjectPart):
    """A report after an event; its text stays in the API."""

    kind: str
    submitted_by: UUID
    signatures: list[Signature]


class ReportEvent(PartEvent):
    """Something happened to a report."""

    resources: ClassVar[str] = "reports"
    report: ReportState

    def part(self) -> ReportState:
        return self.report


class ReportSubmitted(ReportEvent):
    """The partners are to read (and, when it is the completion report, to sign) it."""

    wire: ClassVar[str] = "org.bandung.ReportSubmitted.v1"


class ReportSigned(ReportEvent):
    """The last partner signed."""

    wire: ClassVar[str] = "org.bandung.ReportSigned.v1"


class PovertyReduction(State):
    """What a practice did against poverty."""

    summary: str
    people_reached: int | None


class PracticeState(State):
    """A practice that was published."""

    id: UUID
    version: int
    status: str
    project_id: UUID
    project_title: str
    partner_ids: list[UUID]
    title: str
    language: str
    challenge: str
    approach: str
    conditions: str | None
    results: str
    poverty_reduction: PovertyReduction | None
    isic: list[str]
    sdg_targets: list[str]
    published_at: UtcDateTime | None
    updated_at: UtcDateTime


class PracticeEvent(Event):
    """Something happened to a practice. Published with `correlation=` the thread of its project."""

    topic: ClassVar[str] = topics.PRACTICES
    visibility: ClassVar[Visibility] = Visibility.PUBLIC
    practice: PracticeState

    def key(self) -> UUID:
        return self.practice.id

    def subject(self) -> str:
        return f"practices/{self.practice.id}"

    def parties(self) -> frozenset[UUID]:
        return frozenset(self.practice.partner_ids)


class PracticePublished(PracticeEvent):
    """It may be replicated."""

    wire: ClassVar[str] = "org.bandung.PracticePublished.v1"


class ReplicationState(State):
    """Where a practice was reused and with what outcome."""

    id: UUID
    version: int
    practice_id: UUID
    source_project_id: UUID
    project_id: UUID
    adaptation: str
    outcome: str
    partner_ids: list[UUID]
    """The partners of the replicating project."""


class PracticeReplicated(PracticeEvent):
    """Another project reuses it."""

    wire: ClassVar[str] = "org.bandung.PracticeReplicated.v1"
    replication: ReplicationState

    def parties(self) -> frozenset[UUID]:
        return frozenset([*self.practice.partner_ids, *self.replication.partner_ids])


EVENTS: tuple[type[Event], ...] = (
    ProjectOpened,
    PartnerRoleChanged,
    ProjectStarted,
    ProjectSuspended,
    ProjectResumed,
    ProjectCancelled,
    ProjectCompleted,
    ProjectClosed,
    AgreementProposed,
    AgreementSigned,
    ContributionPledged,
    ContributionCommitted,
    ContributionDelivered,
    ContributionConfirmed,
    ContributionDisputed,
    MilestonePlanned,
    MilestoneReached,
    MilestoneWaived,
    ReportSubmitted,
    ReportSigned,
    PracticePublished,
    PracticeReplicated,
)
