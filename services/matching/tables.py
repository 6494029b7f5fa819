"""Tables of matching.

Three groups: what others decide (institutions, capabilities, needs, trade, projects, practices: projections of their
events, guarded by `sequence`), what is decided here (matches and their parts, engagements), and what the engine
needs (policies, term statistics, the work queue). No foreign keys between the groups: topics arrive in any order.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Float, Identity, Index, LargeBinary, MetaData, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from shared.data import columns
from shared.service import KernelTables

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(SQLModel, registry=registry(metadata=MetaData(naming_convention=NAMES))):
    """Tables of matching."""


def _uuids() -> Any:  # noqa: ANN401 (stands where SQLModel wants a Field)
    return Field(default_factory=list, sa_type=ARRAY(Uuid), nullable=False)


def _columns(row: Any) -> Any:  # noqa: ANN401 (SQLModel does not type the columns of a table class)
    return row.__table__.c


# What others decide


class InstitutionRow(Base, table=True):
    """Standing, home and languages of an institution, as registry last said."""

    __tablename__ = "institution"
    id: UUID = columns.key()
    sequence: str = columns.text()
    version: int
    status: str = columns.text()
    name: str = columns.text()
    country: str | None = columns.text(null=True)
    type: str = columns.text()
    languages: list[str] = columns.texts()


class CapabilityRow(Base, table=True):
    """A capability as registry last said. How many places are taken stands in `engagement`."""

    __tablename__ = "capability"
    id: UUID = columns.key()
    sequence: str = columns.text()
    version: int
    status: str = columns.text()
    institution_id: UUID = columns.uuid(index=True)
    title: str = columns.text()
    summary: str = columns.text()
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


class NeedRow(Base, table=True):
    """A need as registry last said, and how far the engine is with it.

    `version_seen` is the version of the last ranking, `cutoff` the score of its k-th proposal (null while there
    are fewer): a capability that scores less cannot be among the best.
    """

    __tablename__ = "need"
    id: UUID = columns.key()
    sequence: str = columns.text()
    version: int
    status: str = columns.text(index=True)
    institution_id: UUID = columns.uuid(index=True)
    institution_name: str = columns.text()
    institution_country: str | None = columns.text(null=True)
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
    budget: dict[str, Any] | None = columns.document(null=True)
    funding_gap: dict[str, Any] | None = columns.document(null=True)
    deadline: date = columns.day()
    domestic_welcome: bool
    partners_wanted: int
    version_seen: int | None = None
    cutoff: float | None = Field(default=None, sa_type=Float)


class TradeProfileRow(Base, table=True):
    """What a country exports and imports, as registry last said: US dollars as text by HS chapter.

    `id` is made of the country's code (`store.trade.profile_id`), so that the work queue can name it.
    """

    __tablename__ = "trade_profile"
    id: UUID = columns.key()
    sequence: str = columns.text()
    country: str = columns.text()
    exports: dict[str, str] = columns.document()
    imports: dict[str, str] = columns.document()


class ProjectRow(Base, table=True):
    """A project that ended: the track record of its pivotal partners when it was completed."""

    __tablename__ = "project"
    id: UUID = columns.key()
    sequence: str = columns.text()
    status: str = columns.text()
    ended_on: date | None = columns.day(null=True)
    pivotal_ids: list[UUID] = _uuids()
    countries: list[str] = columns.texts()


class PracticeRow(Base, table=True):
    """A published practice: evidence for the partners of its project."""

    __tablename__ = "practice"
    id: UUID = columns.key()
    partner_ids: list[UUID] = _uuids()


class ReplicationRow(Base, table=True):
    """A replication of a practice: more evidence for the partners of the practice."""

    __tablename__ = "replication"
    id: UUID = columns.key()
    partner_ids: list[UUID] = _uuids()


Index("project_partners", _columns(ProjectRow).pivotal_ids, postgresql_using="gin")
Index("practice_partners", _columns(PracticeRow).partner_ids, postgresql_using="gin")
Index("replication_partners", _columns(ReplicationRow).partner_ids, postgresql_using="gin")


# What is decided here


class MatchRow(Base, table=True):
    """A proposal of one capability for one need, and what became of it.

    `named_by` is the side that named the other one, which is no answer to a proposal. `closed` follows `status` (true
    from declined, expired, withdrawn and formalised on) and orders lists; `remind_at` is null when no reminder is due
    any more.
    """

    __tablename__ = "match"
    id: UUID = columns.key()
    version: int = 1
    status: str = columns.text()
    closed: bool = False
    origin: str = columns.text()
    need_id: UUID = columns.uuid(index=True)
    need_version: int
    need_title: str = columns.text()
    capability_id: UUID = columns.uuid(index=True)
    capability_version: int
    capability_title: str = columns.text()
    beneficiary_id: UUID = columns.uuid(index=True)
    beneficiary_name: str = columns.text()
    beneficiary_country: str | None = columns.text(null=True)
    provider_id: UUID = columns.uuid(index=True)
    provider_name: str = columns.text()
    provider_country: str | None = columns.text(null=True)
    score: float = Field(sa_type=Float)
    rank: int
    policy_version: int
    as_of: date = columns.day()
    beneficiary_answer: str | None = columns.text(null=True)
    provider_answer: str | None = columns.text(null=True)
    confirmations: list[str] = columns.texts()
    project_id: UUID | None = columns.uuid(null=True)
    beneficiary_answered_at: datetime | None = columns.moment(null=True)
    provider_answered_at: datetime | None = columns.moment(null=True)
    named_by: str | None = columns.text(null=True)
    justification_code: str | None = columns.text(null=True)
    justification_text: str | None = columns.text(null=True)
    reason_code: str | None = columns.text(null=True)
    reason_text: str | None = columns.text(null=True)
    proposed_at: datetime = columns.moment()
    expires_at: datetime | None = columns.moment(null=True)
    remind_at: datetime | None = columns.moment(null=True)
    updated_at: datetime = columns.moment()


_match = _columns(MatchRow)
_OPEN = text("not closed")
Index("match_open_pair", _match.need_id, _match.capability_id, unique=True, postgresql_where=_OPEN)
Index("match_expiring", _match.expires_at, postgresql_where=_OPEN)
Index("match_reminding", _match.remind_at, postgresql_where=text("not closed and remind_at is not null"))
Index("match_updated", _match.updated_at, _match.id)
Index("match_proposed", _match.proposed_at)


class ExplanationRow(Base, table=True):
    """Why a match was proposed, for ever: all inputs of its score (`engine.score.Scored.explanation`)."""

    __tablename__ = "explanation"
    match_id: UUID = columns.key()
    document: dict[str, Any] = columns.document()


class FacilitatorRow(Base, table=True):
    """An institution invited to the facilitating role of a match."""

    __tablename__ = "facilitator"
    match_id: UUID = columns.key()
    institution_id: UUID = Field(sa_type=Uuid, primary_key=True, index=True)
    name: str = columns.text()
    country: str | None = columns.text(null=True)
    status: str = columns.text()
    reason_code: str | None = columns.text(null=True)
    reason_text: str | None = columns.text(null=True)
    invited_at: datetime = columns.moment()


class MessageRow(Base, table=True):
    """What one party wrote to the others; never in an event."""

    __tablename__ = "message"
    id: UUID = columns.key()
    match_id: UUID = columns.uuid(index=True)
    side: str = columns.text()
    text: str = columns.text()
    at: datetime = columns.moment()


class QuestionRow(Base, table=True):
    """What a party of a match asks about its need, and the beneficiary's answer; the words are never in an event."""

    __tablename__ = "question"
    id: UUID = columns.key()
    version: int = 1
    need_id: UUID = columns.uuid(index=True)
    match_id: UUID = columns.uuid()
    asker_id: UUID = columns.uuid()
    beneficiary_id: UUID = columns.uuid()
    text: str = columns.text()
    asked_at: datetime = columns.moment()
    answer: str | None = columns.text(null=True)
    answered_at: datetime | None = columns.moment(null=True)


_question = _columns(QuestionRow)
Index("question_beneficiary", _question.beneficiary_id)
Index("question_asker", _question.asker_id)
Index("question_asked", _question.asked_at, _question.id)


class EngagementRow(Base, table=True):
    """The place of a capability and of a need that a formalised match takes: `active`, `completed`, `cancelled`."""

    __tablename__ = "engagement"
    match_id: UUID = columns.key()
    need_id: UUID = columns.uuid(index=True)
    capability_id: UUID = columns.uuid(index=True)
    project_id: UUID = columns.uuid()
    state: str = columns.text()
    seed: dict[str, Any] | None = columns.document(null=True)


class RoundRow(Base, table=True):
    """One allocation of free places over all open needs; `figures` compare it with first come, first served."""

    __tablename__ = "round"
    id: UUID = columns.key()
    version: int = 1
    status: str = columns.text(index=True)
    note: str | None = columns.text(null=True)
    policy_version: int
    as_of: date = columns.day()
    figures: dict[str, Any] | None = columns.document(null=True)
    made_at: datetime = columns.moment()
    updated_at: datetime = columns.moment()


class RoundPairRow(Base, table=True):
    """A place that a round gives to a need; `outcome` is null until the approved round has come to it."""

    __tablename__ = "round_pair"
    round_id: UUID = columns.key()
    need_id: UUID = Field(sa_type=Uuid, primary_key=True)
    capability_id: UUID = Field(sa_type=Uuid, primary_key=True)
    rank: int
    score: float = Field(sa_type=Float)
    priority: float = Field(sa_type=Float)
    explanation: dict[str, Any] = columns.document()
    outcome: str | None = columns.text(null=True)
    match_id: UUID | None = columns.uuid(null=True)


# What the engine needs


class PolicyRow(Base, table=True):
    """A version of weights and rules, as data of `engine.policy.Policy`; one is `active`, others `draft` or `retired`.

    `revision` counts the changes of status; what the policy says never changes.
    """

    __tablename__ = "policy"
    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    revision: int = 1
    status: str = columns.text()
    note: str | None = columns.text(null=True)
    document: dict[str, Any] = columns.document()
    made_at: datetime = columns.moment()
    activated_at: datetime | None = columns.moment(null=True)


Index("policy_active", _columns(PolicyRow).status, unique=True, postgresql_where=text("status = 'active'"))


class StatisticsRow(Base, table=True):
    """A frozen snapshot of how common terms are; the newest is in use."""

    __tablename__ = "term_statistics"
    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    documents: int
    average_length: float = Field(sa_type=Float)
    document_frequency: dict[str, int] = columns.document()
    made_at: datetime = columns.moment()


class WorkRow(Base, table=True):
    """Something the engine must look at again, and the event that made it so.

    Rows are only added, and deleted by the engine: adding one never waits for anybody, so no handler and no
    request can deadlock over it. Many rows of one subject are worked off at once.
    """

    __tablename__ = "work"
    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    kind: str = columns.text()
    subject: UUID = columns.uuid()
    causation: str | None = columns.text(null=True)


_work = _columns(WorkRow)
Index("work_subject", _work.kind, _work.subject)


class WordRow(Base, table=True):
    """A facet or a term by number, for readings; only ever added (`engine.readings`)."""

    __tablename__ = "word"
    number: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    kind: int
    word: str = columns.text()


Index("word_known", _columns(WordRow).kind, _columns(WordRow).word, unique=True)


class ReadingRow(Base, table=True):
    """What a capability says as the event `sequence` left it, by one edition of the engine; spares a start the work."""

    __tablename__ = "reading"
    capability_id: UUID = columns.key()
    sequence: str = columns.text()
    edition: str = columns.text()
    head: bytes = Field(sa_type=LargeBinary)
    facets: bytes = Field(sa_type=LargeBinary)
    terms: bytes = Field(sa_type=LargeBinary)


class ChoreRow(Base, table=True):
    """The last day on which a daily chore was done."""

    __tablename__ = "chore"
    name: str = Field(primary_key=True, sa_type=Text)
    done_on: date = columns.day()


KERNEL = KernelTables.on(Base.metadata)
