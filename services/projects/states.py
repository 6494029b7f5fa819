"""Rows as the states that events carry: everything public, no free text about people."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from services.projects.domain import roles
from services.projects.store.contributions import Contribution
from services.projects.store.projects import Project
from services.projects.tables import (
    AgreementRow,
    ContributionRow,
    DeliveryRow,
    MilestoneRow,
    PracticeRow,
    ReplicationRow,
    ReportRow,
)
from shared.events.projects import (
    AgreementState,
    ContributionState,
    DeliveryState,
    Document,
    MilestoneState,
    PovertyReduction,
    PracticeState,
    ProjectState,
    ReplicationState,
    ReportState,
    Signature,
)
from shared.events.states import DatedRole, Reason, Sum
from shared.reference.vocabulary import ReportKind


def reason_of(stored: dict[str, Any] | None) -> Reason | None:
    """The code alone."""
    return Reason(code=stored["code"]) if stored else None


def partners_of(project: Project) -> list[DatedRole]:
    """The roles with names as known now; an institution not heard of yet shows as its id."""
    return [
        DatedRole(
            institution_id=role.institution_id,
            name=name_of(project, role.institution_id),
            country=country_of(project, role.institution_id),
            role=role.role,
            from_=role.from_on,
            to=role.to_on,
        )
        for role in project.roles
    ]


def name_of(project: Project, institution_id: UUID) -> str:
    """The name, or the id."""
    known = project.known.get(institution_id)
    return known.name if known and known.name else str(institution_id)


def country_of(project: Project, institution_id: UUID) -> str | None:
    """The country; None for a multilateral and for an institution not heard of yet."""
    known = project.known.get(institution_id)
    return known.country if known else None


def project_state(project: Project, today: date, *, reason: dict[str, Any] | None = None) -> ProjectState:
    """The project; `reason` is that of the event when the project itself keeps none."""
    row = project.row
    return ProjectState(
        id=row.id,
        version=row.version,
        status=row.status,
        modality=roles.modality(project.roles, today, row.completed_on),
        title=row.title,
        language=row.language,
        match_id=row.match_id,
        need_id=row.need_id,
        capability_id=row.capability_id,
        partners=partners_of(project),
        resource_kinds=row.resource_kinds,
        isic=row.isic,
        hs=row.hs,
        sdg_targets=row.sdg_targets,
        budget=Sum.model_validate(row.budget) if row.budget else None,
        planned_start_on=row.planned_start_on,
        planned_end_on=row.planned_end_on,
        started_on=row.started_on,
        completed_on=row.completed_on,
        reopen_need=row.reopen_need,
        reason=reason_of(reason or row.reason),
        updated_at=row.updated_at,
    )


def _part(row: AgreementRow | ContributionRow | MilestoneRow | ReportRow, project: Project) -> dict[str, Any]:
    """What every child tells of itself and its project."""
    return {
        "id": row.id,
        "version": row.version,
        "status": row.status,
        "project_id": project.row.id,
        "project_title": project.row.title,
        "partner_ids": project.partner_ids,
    }


def agreement_state(row: AgreementRow, project: Project) -> AgreementState:
    """The agreement."""
    return AgreementState(
        **_part(row, project),
        kind=row.kind,
        title=row.title,
        effective_on=row.effective_on,
        document=Document.model_validate(row.document) if row.document else None,
        parties=[Signature.model_validate(party) for party in row.parties],
    )


def contribution_state(contribution: Contribution) -> ContributionState:
    """The contribution with all its deliveries."""
    row = contribution.row
    return ContributionState(
        **_part(row, contribution.project),
        giver_id=row.giver_id,
        receiver_id=row.receiver_id,
        resource_kind=row.resource_kind,
        kind=row.kind,
        unit=row.unit,
        quantity=row.quantity,
        value=Sum(amount=row.amount, currency=row.currency) if row.amount is not None and row.currency else None,
        valuation_method=row.valuation_method,
        description=row.description,
        due_on=row.due_on,
        deliveries=[_delivery_state(delivery) for delivery in contribution.deliveries],
    )


def _delivery_state(delivery: DeliveryRow) -> DeliveryState:
    return DeliveryState(
        id=delivery.id,
        quantity=delivery.quantity,
        amount=delivery.amount,
        delivered_on=delivery.delivered_on,
        status=delivery.status,
        reason=reason_of(delivery.reason),
    )


def milestone_state(row: MilestoneRow, project: Project) -> MilestoneState:
    """The milestone."""
    return MilestoneState(
        **_part(row, project),
        title=row.title,
        due_on=row.due_on,
        reached_on=row.reached_on,
        reason=reason_of(row.reason),
    )


def report_state(row: ReportRow, project: Project, today: date) -> ReportState:
    """The report without its text."""
    return ReportState(
        **_part(row, project),
        kind=row.kind,
        submitted_by=row.submitted_by,
        signatures=signatures_of(row, project, today),
    )


def signatures_of(row: ReportRow, project: Project, today: date) -> list[Signature]:
    """Who signed a completion report, then who is still to sign among the partners in a role today."""
    if row.kind != ReportKind.COMPLETION:
        return []
    signed = [Signature.model_validate(signature) for signature in row.signatures]
    done = {signature.institution_id for signature in signed}
    missing = [i for i in project.partner_ids if i in roles.holders_on(project.roles, today) - done]
    return [*signed, *(Signature(institution_id=i, signed_on=None) for i in missing)]


def practice_state(row: PracticeRow, source: Project) -> PracticeState:
    """The practice and the project it comes from."""
    return PracticeState(
        id=row.id,
        version=row.version,
        status=row.status,
        project_id=row.project_id,
        project_title=source.row.title,
        partner_ids=source.partner_ids,
        title=row.title,
        language=row.language,
        challenge=row.challenge,
        approach=row.approach,
        conditions=row.conditions,
        results=row.results,
        poverty_reduction=PovertyReduction.model_validate(row.poverty_reduction) if row.poverty_reduction else None,
        isic=row.isic,
        sdg_targets=row.sdg_targets,
        published_at=row.published_at,
        updated_at=row.updated_at,
    )


def replication_state(row: ReplicationRow, by: Project) -> ReplicationState:
    """The replication and the partners of the project that reuses the practice."""
    return ReplicationState(
        id=row.id,
        version=row.version,
        practice_id=row.practice_id,
        source_project_id=row.source_project_id,
        project_id=row.project_id,
        adaptation=row.adaptation,
        outcome=row.outcome,
        partner_ids=by.partner_ids,
    )
