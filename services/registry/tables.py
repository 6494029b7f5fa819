"""Tables of registry. Rows are the truth; other services know them from events only."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Index, LargeBinary, MetaData, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import registry
from sqlalchemy.types import Uuid
from sqlmodel import Field, SQLModel

from shared.data import columns
from shared.service import KernelTables

NAMES = {
    "ix": "%(table_name)s_%(column_0_N_name)s",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "pk": "%(table_name)s_pkey",
}


class Base(SQLModel, registry=registry(metadata=MetaData(naming_convention=NAMES))):
    """Tables of registry."""


class InstitutionRow(Base, table=True):
    """An institution with its contact, which never leaves but to those who may see it."""

    __tablename__ = "institution"
    __table_args__ = (
        Index("institution_country_id", "country", "id"),
        Index("institution_updated_at_id", "updated_at", "id"),
        Index("institution_verified_until", "verified_until", postgresql_where=text("status = 'verified'")),
    )

    id: UUID = columns.key()
    version: int = 1
    status: str = columns.text()
    status_before: str | None = columns.text(null=True)
    """The status to which a suspended institution returns."""
    name: str = columns.text()
    acronym: str | None = columns.text(null=True)
    other_names: list[dict[str, str]] = columns.document()
    type: str = columns.text()
    country: str | None = columns.text(null=True)
    languages: list[str] = columns.texts()
    website: str | None = columns.text(null=True)
    parent_id: UUID | None = columns.uuid(null=True, index=True)
    external_ids: list[dict[str, str]] = columns.document()
    contact: dict[str, str | None] | None = columns.document(null=True)
    folded_names: list[str] = columns.texts()
    """Its names as they are compared for near duplicates."""
    searched: str = columns.text()
    """Its names and acronym, folded, for `?q=`."""
    verified_until: date | None = columns.day(null=True)
    reason_code: str | None = columns.text(null=True)
    reason_text: str | None = columns.text(null=True)
    created_at: datetime = columns.moment()
    updated_at: datetime = columns.moment()


class ExternalIdRow(Base, table=True):
    """One identifier in somebody's scheme belongs to one institution only."""

    __tablename__ = "external_id"

    scheme: str = Field(sa_type=Text, primary_key=True)
    value: str = Field(sa_type=Text, primary_key=True)
    institution_id: UUID = columns.uuid(index=True)


class VerificationRow(Base, table=True):
    """A due-diligence questionnaire and its decision."""

    __tablename__ = "verification"
    __table_args__ = (
        Index("verification_open", "institution_id", unique=True, postgresql_where=text("status = 'submitted'")),
    )

    id: UUID = columns.key()
    version: int = 1
    status: str = columns.text()
    institution_id: UUID = columns.uuid(index=True)
    answers: dict[str, dict[str, Any]] = columns.document()
    submitted_by: str = columns.text()
    decided_by: str | None = columns.text(null=True)
    reason_code: str | None = columns.text(null=True)
    reason_text: str | None = columns.text(null=True)
    submitted_at: datetime = columns.moment()
    decided_at: datetime | None = columns.moment(null=True)
    updated_at: datetime = columns.moment()


class CapabilityRow(Base, table=True):
    """What an institution offers."""

    __tablename__ = "capability"
    __table_args__ = (
        Index("capability_institution_id_id", "institution_id", "id"),
        Index("capability_updated_at_id", "updated_at", "id"),
        Index("capability_renew_by", "renew_by", postgresql_where=text("status = 'published'")),
    )

    id: UUID = columns.key()
    version: int = 1
    status: str = columns.text()
    institution_id: UUID = columns.uuid()
    title: str = columns.text()
    summary: str = columns.text()
    language: str = columns.text()
    resource_kinds: list[str] = columns.texts()
    isic: list[str] = columns.texts()
    hs: list[str] = columns.texts()
    sdg_targets: list[str] = columns.texts()
    technologies: list[str] = columns.texts()
    languages: list[str] = columns.texts()
    delivery_modes: list[str] = columns.texts()
    serves: dict[str, Any] = columns.document()
    capacity: int
    renew_by: date = columns.day()
    centre_id: UUID | None = columns.uuid(null=True, index=True)
    evidence: list[dict[str, str]] = columns.document()
    reason_code: str | None = columns.text(null=True)
    reason_text: str | None = columns.text(null=True)
    published_at: datetime | None = columns.moment(null=True)
    created_at: datetime = columns.moment()
    updated_at: datetime = columns.moment()


class NeedRow(Base, table=True):
    """What an institution seeks."""

    __tablename__ = "need"
    __table_args__ = (
        Index("need_institution_id_id", "institution_id", "id"),
        Index("need_updated_at_id", "updated_at", "id"),
        Index("need_deadline", "deadline", postgresql_where=text("status = 'open'")),
    )

    id: UUID = columns.key()
    version: int = 1
    status: str = columns.text()
    institution_id: UUID = columns.uuid()
    title: str = columns.text()
    problem: str = columns.text()
    language: str = columns.text()
    country: str | None = columns.text(null=True)
    resource_kinds: list[str] = columns.texts()
    isic: list[str] = columns.texts()
    hs: list[str] = columns.texts()
    sdg_targets: list[str] = columns.texts()
    technologies: list[str] = columns.texts()
    languages: list[str] = columns.texts()
    urgency: str = columns.text()
    budget: dict[str, str] | None = columns.document(null=True)
    funding_gap: dict[str, str] | None = columns.document(null=True)
    deadline: date = columns.day()
    domestic_welcome: bool
    partners_wanted: int
    reason_code: str | None = columns.text(null=True)
    reason_text: str | None = columns.text(null=True)
    posted_at: datetime | None = columns.moment(null=True)
    created_at: datetime = columns.moment()
    updated_at: datetime = columns.moment()


class EngagementRow(Base, table=True):
    """What became of one formalised match: a projection of matching's and projects' events, one row per match."""

    __tablename__ = "engagement"
    __table_args__ = (
        Index("engagement_need_id", "need_id"),
        Index("engagement_running", "capability_id", postgresql_where=text("state = 'running'")),
    )

    match_id: UUID = columns.key()
    need_id: UUID = columns.uuid()
    capability_id: UUID | None = columns.uuid(null=True)
    project_id: UUID | None = columns.uuid(null=True)
    state: str = columns.text()
    reopens: bool = False
    """Only for a cancelled project: whether its need seeks again."""
    updated_at: datetime = columns.moment()


class MatchViewRow(Base, table=True):
    """Who is a party of which match and how it stands: decides who sees whose contact."""

    __tablename__ = "match_view"
    __table_args__ = (Index("match_view_parties", "parties", postgresql_using="gin"),)

    match_id: UUID = columns.key()
    sequence: str = columns.text()
    status: str = columns.text()
    parties: list[UUID] = Field(default_factory=list, sa_type=ARRAY(Uuid), nullable=False)


class KeyRow(Base, table=True):
    """An API key; of its secret only the SHA-256 is kept."""

    __tablename__ = "api_key"
    __table_args__ = (UniqueConstraint("client_id"),)

    id: UUID = columns.key()
    version: int = 1
    status: str = columns.text()
    name: str = columns.text()
    institution_id: UUID | None = columns.uuid(null=True, index=True)
    role: str = columns.text()
    can_sign: bool
    client_id: str = columns.text()
    secret_sha256: bytes = Field(sa_type=LargeBinary, nullable=False)
    expires_on: date | None = columns.day(null=True)
    created_at: datetime = columns.moment()
    updated_at: datetime = columns.moment()


class SigningKeyRow(Base, table=True):
    """An Ed25519 key for access tokens. The newest signs; all that are not retired are served for verification."""

    __tablename__ = "signing_key"

    kid: str = Field(sa_type=Text, primary_key=True)
    jwk: dict[str, str] = columns.document()
    created_at: datetime = columns.moment()
    retired_at: datetime | None = columns.moment(null=True)


class CentreRow(Base, table=True):
    """A centre with its dated lifecycle."""

    __tablename__ = "centre"

    id: UUID = columns.key()
    version: int = 1
    name: str = columns.text()
    kind: str = columns.text(index=True)
    host_country: str = columns.text()
    host_institution: str | None = columns.text(null=True)
    focus_isic: list[str] = columns.texts()
    status: str = columns.text()
    history: list[dict[str, str | None]] = columns.document()
    """Oldest first, never empty: `status`, `since`, `source`, `note`."""
    created_at: datetime = columns.moment()
    updated_at: datetime = columns.moment()


class CountryRow(Base, table=True):
    """The version of a country on whose scheduled status an operator has spoken; all others are at version 1."""

    __tablename__ = "country"

    code: str = Field(sa_type=Text, primary_key=True)
    version: int = 1
    updated_at: datetime = columns.moment()


class ConfirmationRow(Base, table=True):
    """An operator's word on one scheduled end of a status; `leaves_on` null calls the end off."""

    __tablename__ = "country_confirmation"

    country: str = Field(sa_type=Text, primary_key=True)
    group: str = Field(sa_type=Text, primary_key=True)
    leaves_on: date | None = columns.day(null=True)
    source: str = columns.text()
    confirmed_by: str = columns.text()
    confirmed_at: datetime = columns.moment()
    announced: bool = False
    """Whether the event of the day on which it takes effect has been published."""


class TradeFlowRow(Base, table=True):
    """What one country exported to another in a year, by HS chapter, in US dollars."""

    __tablename__ = "trade_flow"
    __table_args__ = (
        Index("trade_flow_reporter_year", "reporter", "year"),
        Index("trade_flow_partner_year", "partner", "year"),
    )

    year: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    reporter: str = Field(sa_type=Text, primary_key=True)
    partner: str = Field(sa_type=Text, primary_key=True)
    hs: str = Field(sa_type=Text, primary_key=True)
    value: Decimal = columns.number()


class TradeProfileRow(Base, table=True):
    """What a country trades, as it was told last: US dollars as text by HS chapter, on each side of its latest year."""

    __tablename__ = "trade_profile"

    country: str = Field(sa_type=Text, primary_key=True)
    version: int = 0
    exports_year: int | None = None
    exports: dict[str, str] = columns.document()
    imports_year: int | None = None
    imports: dict[str, str] = columns.document()
    updated_at: datetime = columns.moment()


KERNEL = KernelTables.on(Base.metadata)
