"""Tables of projects. Every child carries its project's id; names come from `institution` at read."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Index, MetaData, UniqueConstraint
from sqlalchemy.orm import registry
from sqlmodel import SQLModel

from shared.data import columns
from shared.service import KernelTables

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(SQLModel, registry=registry(metadata=MetaData(naming_convention=NAMES))):
    """Tables of projects."""


class InstitutionRow(Base, table=True):
    """What registry last said of an institution; a placeholder has an empty `sequence` and may have no name."""

    __tablename__ = "institution"
    id: UUID = columns.key()
    name: str | None = columns.text(null=True)
    country: str | None = columns.text(null=True)
    south: bool | None = None
    status: str | None = columns.text(null=True)
    sequence: str = columns.text()


class ProjectRow(Base, table=True):
    """A project: the row that is locked before anything below it changes."""

    __tablename__ = "project"
    __table_args__ = (Index(None, "opened_at", "id"), Index(None, "updated_at", "id"))
    id: UUID = columns.key()
    version: int = 1
    status: str = columns.text(index=True)
    title: str = columns.text()
    language: str = columns.text()
    match_id: UUID | None = columns.uuid(null=True, unique=True)
    need_id: UUID | None = columns.uuid(null=True)
    capability_id: UUID | None = columns.uuid(null=True)
    correlation_id: UUID = columns.uuid()
    resource_kinds: list[str] = columns.texts()
    isic: list[str] = columns.texts()
    hs: list[str] = columns.texts()
    sdg_targets: list[str] = columns.texts()
    budget: dict[str, Any] | None = columns.document(null=True)
    justification: dict[str, Any] | None = columns.document(null=True)
    planned_start_on: date | None = columns.day(null=True)
    planned_end_on: date | None = columns.day(null=True)
    started_on: date | None = columns.day(null=True)
    completed_on: date | None = columns.day(null=True)
    reason: dict[str, Any] | None = columns.document(null=True)
    reopen_need: bool | None = None
    opened_at: datetime = columns.moment()
    updated_at: datetime = columns.moment()


class RoleRow(Base, table=True):
    """A role that a partner holds from `from_on` until before `to_on`."""

    __tablename__ = "project_role"
    __table_args__ = (UniqueConstraint("project_id", "position"),)
    id: UUID = columns.key()
    project_id: UUID = columns.uuid()
    position: int
    institution_id: UUID = columns.uuid(index=True)
    role: str = columns.text()
    from_on: date = columns.day()
    to_on: date | None = columns.day(null=True)
    reason: dict[str, Any] | None = columns.document(null=True)


class AgreementRow(Base, table=True):
    """An agreement; `parties` are `{"institution_id", "signed_on"}` in the order given."""

    __tablename__ = "agreement"
    id: UUID = columns.key()
    project_id: UUID = columns.uuid(index=True)
    version: int = 1
    status: str = columns.text()
    kind: str = columns.text()
    title: str = columns.text()
    effective_on: date = columns.day()
    document: dict[str, Any] | None = columns.document(null=True)
    parties: list[dict[str, Any]] = columns.document()
    updated_at: datetime = columns.moment()


class ContributionRow(Base, table=True):
    """What one partner gives another: cash has a value only, in kind a unit and a quantity."""

    __tablename__ = "contribution"
    id: UUID = columns.key()
    project_id: UUID = columns.uuid(index=True)
    version: int = 1
    status: str = columns.text()
    giver_id: UUID = columns.uuid()
    receiver_id: UUID = columns.uuid()
    resource_kind: str = columns.text()
    kind: str = columns.text()
    unit: str | None = columns.text(null=True)
    quantity: Decimal | None = columns.number(null=True)
    amount: Decimal | None = columns.number(null=True)
    currency: str | None = columns.text(null=True)
    valuation_method: str | None = columns.text(null=True)
    description: str = columns.text()
    due_on: date | None = columns.day(null=True)
    updated_at: datetime = columns.moment()


class DeliveryRow(Base, table=True):
    """One part of a contribution: a `quantity` in kind or an `amount` of cash."""

    __tablename__ = "delivery"
    __table_args__ = (UniqueConstraint("contribution_id", "position"),)
    id: UUID = columns.key()
    contribution_id: UUID = columns.uuid()
    position: int
    quantity: Decimal | None = columns.number(null=True)
    amount: Decimal | None = columns.number(null=True)
    delivered_on: date = columns.day()
    status: str = columns.text()
    reason: dict[str, Any] | None = columns.document(null=True)


class MilestoneRow(Base, table=True):
    """A milestone."""

    __tablename__ = "milestone"
    id: UUID = columns.key()
    project_id: UUID = columns.uuid(index=True)
    version: int = 1
    status: str = columns.text()
    title: str = columns.text()
    due_on: date | None = columns.day(null=True)
    reached_on: date | None = columns.day(null=True)
    reason: dict[str, Any] | None = columns.document(null=True)
    updated_at: datetime = columns.moment()


class ReportRow(Base, table=True):
    """A report; `signatures` are `{"institution_id", "signed_on"}` of those who signed, in that order."""

    __tablename__ = "report"
    id: UUID = columns.key()
    project_id: UUID = columns.uuid(index=True)
    version: int = 1
    status: str = columns.text()
    kind: str = columns.text()
    summary: str = columns.text()
    results: str | None = columns.text(null=True)
    lessons: str | None = columns.text(null=True)
    submitted_by: UUID = columns.uuid()
    signatures: list[dict[str, Any]] = columns.document()
    updated_at: datetime = columns.moment()


class PracticeRow(Base, table=True):
    """A solution proven in a project; `words` is its text folded for the search."""

    __tablename__ = "practice"
    __table_args__ = (Index(None, "updated_at", "id"), Index("ix_practice_isic", "isic", postgresql_using="gin"))
    id: UUID = columns.key()
    project_id: UUID = columns.uuid(index=True)
    institution_id: UUID = columns.uuid()
    correlation_id: UUID = columns.uuid()
    version: int = 1
    status: str = columns.text()
    title: str = columns.text()
    language: str = columns.text()
    challenge: str = columns.text()
    approach: str = columns.text()
    conditions: str | None = columns.text(null=True)
    results: str = columns.text()
    poverty_reduction: dict[str, Any] | None = columns.document(null=True)
    isic: list[str] = columns.texts()
    sdg_targets: list[str] = columns.texts()
    words: str = columns.text()
    published_at: datetime | None = columns.moment(null=True)
    updated_at: datetime = columns.moment()


class ReplicationRow(Base, table=True):
    """The reuse of a practice by another project."""

    __tablename__ = "replication"
    __table_args__ = (UniqueConstraint("practice_id", "project_id"),)
    id: UUID = columns.key()
    practice_id: UUID = columns.uuid()
    source_project_id: UUID = columns.uuid()
    project_id: UUID = columns.uuid(index=True)
    version: int = 1
    adaptation: str = columns.text()
    outcome: str = columns.text()


KERNEL = KernelTables.on(Base.metadata)
