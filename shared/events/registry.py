"""Events of registry: institutions, capabilities, needs, centres, countries and their trade, reviews."""

from __future__ import annotations

from datetime import date
from typing import ClassVar
from uuid import UUID

from shared.events import topics
from shared.events.states import Evidence, Owner, Reason, Serves, State, Sum
from shared.messaging.envelope import Event, Visibility
from shared.reference.types import TradeValue, UtcDateTime


class ExternalId(State):
    """An identifier of an institution in somebody's scheme (org-id.guide)."""

    scheme: str
    value: str


class OtherName(State):
    """The name in another language."""

    language: str
    name: str


class InstitutionState(State):
    """An institution without its contact: personal data never travel."""

    id: UUID
    version: int
    status: str
    name: str
    acronym: str | None
    other_names: list[OtherName]
    type: str
    country: str | None
    south: bool | None
    languages: list[str]
    website: str | None
    parent_id: UUID | None
    external_ids: list[ExternalId]
    verified_until: date | None
    reason: Reason | None = None
    created_at: UtcDateTime
    updated_at: UtcDateTime


class InstitutionEvent(Event):
    """Something happened to an institution."""

    topic: ClassVar[str] = topics.INSTITUTIONS
    visibility: ClassVar[Visibility] = Visibility.PUBLIC
    institution: InstitutionState

    def key(self) -> UUID:
        return self.institution.id

    def subject(self) -> str:
        return f"institutions/{self.institution.id}"

    def parties(self) -> frozenset[UUID]:
        return frozenset({self.institution.id})


class InstitutionRegistered(InstitutionEvent):
    """An operator registered it."""

    wire: ClassVar[str] = "org.bandung.InstitutionRegistered.v1"


class InstitutionUpdated(InstitutionEvent):
    """Its profile changed."""

    wire: ClassVar[str] = "org.bandung.InstitutionUpdated.v1"


class InstitutionVerified(InstitutionEvent):
    """Its due diligence was approved."""

    wire: ClassVar[str] = "org.bandung.InstitutionVerified.v1"


class InstitutionVerificationExpired(InstitutionEvent):
    """Its verification ended after five years."""

    wire: ClassVar[str] = "org.bandung.InstitutionVerificationExpired.v1"


class InstitutionSuspended(InstitutionEvent):
    """An operator suspended it."""

    wire: ClassVar[str] = "org.bandung.InstitutionSuspended.v1"


class InstitutionReinstated(InstitutionEvent):
    """It is back in the state it was suspended from."""

    wire: ClassVar[str] = "org.bandung.InstitutionReinstated.v1"


class CapabilityState(State):
    """A capability that was published."""

    id: UUID
    version: int
    status: str
    institution: Owner
    title: str
    summary: str
    language: str
    resource_kinds: list[str]
    isic: list[str]
    hs: list[str]
    sdg_targets: list[str]
    technologies: list[str]
    languages: list[str]
    delivery_modes: list[str]
    serves: Serves
    capacity: int
    renew_by: date
    centre_id: UUID | None
    evidence: list[Evidence]
    reason: Reason | None = None
    published_at: UtcDateTime | None
    updated_at: UtcDateTime


class CapabilityEvent(Event):
    """Something happened to a capability."""

    topic: ClassVar[str] = topics.CAPABILITIES
    visibility: ClassVar[Visibility] = Visibility.PUBLIC
    capability: CapabilityState

    def key(self) -> UUID:
        return self.capability.id

    def subject(self) -> str:
        return f"capabilities/{self.capability.id}"

    def parties(self) -> frozenset[UUID]:
        return frozenset({self.capability.institution.id})


class CapabilityPublished(CapabilityEvent):
    """It is offered (again)."""

    wire: ClassVar[str] = "org.bandung.CapabilityPublished.v1"


class CapabilityUpdated(CapabilityEvent):
    """Its text, codes, capacity or renewal date changed."""

    wire: ClassVar[str] = "org.bandung.CapabilityUpdated.v1"


class CapabilityWithdrawn(CapabilityEvent):
    """Its institution no longer offers it."""

    wire: ClassVar[str] = "org.bandung.CapabilityWithdrawn.v1"


class CapabilityExpired(CapabilityEvent):
    """It was not renewed in time."""

    wire: ClassVar[str] = "org.bandung.CapabilityExpired.v1"


class NeedState(State):
    """A need that was posted."""

    id: UUID
    version: int
    status: str
    institution: Owner
    title: str
    problem: str
    language: str
    country: str | None
    resource_kinds: list[str]
    isic: list[str]
    hs: list[str]
    sdg_targets: list[str]
    technologies: list[str]
    languages: list[str]
    urgency: str
    budget: Sum | None
    funding_gap: Sum | None
    deadline: date
    domestic_welcome: bool
    partners_wanted: int
    reason: Reason | None = None
    posted_at: UtcDateTime | None
    updated_at: UtcDateTime


class NeedEvent(Event):
    """Something happened to a need; its id is the thread."""

    topic: ClassVar[str] = topics.NEEDS
    visibility: ClassVar[Visibility] = Visibility.PUBLIC
    need: NeedState

    def key(self) -> UUID:
        return self.need.id

    def subject(self) -> str:
        return f"needs/{self.need.id}"

    def parties(self) -> frozenset[UUID]:
        return frozenset({self.need.institution.id})


class NeedPosted(NeedEvent):
    """It is open for partners."""

    wire: ClassVar[str] = "org.bandung.NeedPosted.v1"


class NeedUpdated(NeedEvent):
    """It changed while open."""

    wire: ClassVar[str] = "org.bandung.NeedUpdated.v1"


class NeedWithdrawn(NeedEvent):
    """Its institution withdrew it."""

    wire: ClassVar[str] = "org.bandung.NeedWithdrawn.v1"


class NeedExpired(NeedEvent):
    """Its deadline passed."""

    wire: ClassVar[str] = "org.bandung.NeedExpired.v1"


class NeedEngaged(NeedEvent):
    """It has all the partners it wanted."""

    wire: ClassVar[str] = "org.bandung.NeedEngaged.v1"


class NeedReopened(NeedEvent):
    """A project of it was cancelled, it seeks again."""

    wire: ClassVar[str] = "org.bandung.NeedReopened.v1"


class NeedFulfilled(NeedEvent):
    """Its projects are completed."""

    wire: ClassVar[str] = "org.bandung.NeedFulfilled.v1"


class CentreStep(State):
    """One dated status; `since` has day, month or year precision."""

    status: str
    since: str | None
    source: str


class CentreState(State):
    """A centre with its dated lifecycle."""

    id: UUID
    version: int
    name: str
    kind: str
    host_country: str
    status: str
    since: str | None
    source: str
    note: str | None = None
    history: list[CentreStep]


class CentreStatusChanged(Event):
    """A centre took a step of its lifecycle."""

    wire: ClassVar[str] = "org.bandung.CentreStatusChanged.v1"
    topic: ClassVar[str] = topics.CENTRES
    visibility: ClassVar[Visibility] = Visibility.PUBLIC
    centre: CentreState

    def key(self) -> UUID:
        return self.centre.id

    def subject(self) -> str:
        return f"centres/{self.centre.id}"


class ScheduledEnd(State):
    """A planned end of a group membership; changes nothing until it is `confirmed`."""

    group: str
    leaves_on: date
    source: str
    confirmed: bool


class CountryState(State):
    """The status of a country on a day."""

    code: str
    version: int
    name: str
    as_of: date
    groups: list[str]
    south: bool
    income_group: str | None
    scheduled: list[ScheduledEnd]


class CountryStatusChanged(Event):
    """An operator confirmed or amended a scheduled end, or the day of a confirmed one has come."""

    wire: ClassVar[str] = "org.bandung.CountryStatusChanged.v1"
    topic: ClassVar[str] = topics.COUNTRIES
    visibility: ClassVar[Visibility] = Visibility.PUBLIC
    country: CountryState

    def key(self) -> str:
        return self.country.code

    def subject(self) -> str:
        return f"countries/{self.country.code}"


class TradeProfileState(State):
    """What a country exports and imports by HS chapter, in US dollars, each in the latest year that is known of it."""

    country: str
    version: int
    name: str
    exports_year: int | None
    exports: dict[str, TradeValue]
    imports_year: int | None
    imports: dict[str, TradeValue]
    updated_at: UtcDateTime


class TradeProfileChanged(Event):
    """An import of trade flows changed what is known of a country's exports or imports."""

    wire: ClassVar[str] = "org.bandung.TradeProfileChanged.v1"
    topic: ClassVar[str] = topics.TRADE
    visibility: ClassVar[Visibility] = Visibility.PUBLIC
    trade_profile: TradeProfileState

    def key(self) -> str:
        return self.trade_profile.country

    def subject(self) -> str:
        return f"trade_profiles/{self.trade_profile.country}"


class VerificationState(State):
    """A due-diligence questionnaire: answers without comments."""

    id: UUID
    version: int
    status: str
    institution_id: UUID
    answers: dict[str, bool]


class VerificationSubmitted(Event):
    """A questionnaire waits for a second pair of eyes."""

    wire: ClassVar[str] = "org.bandung.VerificationSubmitted.v1"
    topic: ClassVar[str] = topics.REVIEWS
    visibility: ClassVar[Visibility] = Visibility.PRIVATE
    verification: VerificationState

    def key(self) -> UUID:
        return self.verification.institution_id

    def subject(self) -> str:
        return f"verifications/{self.verification.id}"

    def correlation(self) -> UUID:
        return self.verification.institution_id

    def parties(self) -> frozenset[UUID]:
        return frozenset({self.verification.institution_id})


EVENTS: tuple[type[Event], ...] = (
    InstitutionRegistered,
    InstitutionUpdated,
    InstitutionVerified,
    InstitutionVerificationExpired,
    InstitutionSuspended,
    InstitutionReinstated,
    CapabilityPublished,
    CapabilityUpdated,
    CapabilityWithdrawn,
    CapabilityExpired,
    NeedPosted,
    NeedUpdated,
    NeedWithdrawn,
    NeedExpired,
    NeedEngaged,
    NeedReopened,
    NeedFulfilled,
    CentreStatusChanged,
    CountryStatusChanged,
    TradeProfileChanged,
    VerificationSubmitted,
)
