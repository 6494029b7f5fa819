"""From rows to what the engine knows: the only place where the two meet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from services.matching.engine import model
from services.matching.engine.world import Flows
from services.matching.store import capabilities, institutions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import date
    from uuid import UUID

    from services.matching.tables import CapabilityRow, InstitutionRow, NeedRow, ProjectRow, TradeProfileRow
    from shared.messaging.transaction import Tx


def need_facts(row: NeedRow) -> model.NeedFacts:
    """A need; one without a country gets none, so nothing but an offer to all can serve it."""
    return model.NeedFacts(
        id=str(row.id),
        version=row.version,
        institution_id=str(row.institution_id),
        country=row.country or "",
        title=row.title,
        problem=row.problem,
        resource_kinds=tuple(row.resource_kinds),
        technologies=tuple(row.technologies),
        isic=tuple(row.isic),
        hs=tuple(row.hs),
        sdg_targets=tuple(row.sdg_targets),
        languages=tuple(row.languages),
        urgency=row.urgency,
        budget_gap=row.funding_gap is not None,
        domestic_welcome=row.domestic_welcome,
        deadline=row.deadline,
    )


def capability_facts(row: CapabilityRow, engaged: int) -> model.CapabilityFacts:
    """A capability with its places taken. Evidence counts once somebody has verified it; nobody does yet."""
    serves = row.serves
    return model.CapabilityFacts(
        id=str(row.id),
        version=row.version,
        institution_id=str(row.institution_id),
        title=row.title,
        summary=row.summary,
        resource_kinds=tuple(row.resource_kinds),
        renew_by=row.renew_by,
        serves=model.Serves(
            bool(serves.get("all_south")), tuple(serves.get("countries", ())), tuple(serves.get("blocs", ()))
        ),
        technologies=tuple(row.technologies),
        isic=tuple(row.isic),
        hs=tuple(row.hs),
        sdg_targets=tuple(row.sdg_targets),
        languages=tuple(row.languages),
        delivery_modes=tuple(row.delivery_modes),
        capacity=row.capacity,
        engaged=engaged,
        status=row.status,
    )


def flows(rows: Iterable[TradeProfileRow]) -> Flows:
    """Shares of HS chapters; a country of which nothing is known on a side does not stand there."""
    exports, imports = {}, {}
    for row in rows:
        exports[row.country], imports[row.country] = shares(row.exports), shares(row.imports)
    return Flows(_known(exports), _known(imports))


def shares(dollars: Mapping[str, str]) -> dict[str, float]:
    """Each amount as a part of their sum; empty when there is none, or all are 0."""
    amounts = {chapter: Decimal(amount) for chapter, amount in dollars.items()}
    total = sum(amounts.values())
    return {chapter: float(amount / total) for chapter, amount in amounts.items()} if total else {}


def _known(side: Mapping[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {country: chapters for country, chapters in side.items() if chapters}


def standing(row: Any) -> model.InstitutionFacts:  # noqa: ANN401 (an InstitutionRow, or these columns of it)
    """An institution without its record: enough for the hard rules."""
    return model.InstitutionFacts(
        id=str(row.id), country=row.country, type=row.type, status=row.status, languages=tuple(row.languages)
    )


async def load_capabilities(tx: Tx, rows: Iterable[CapabilityRow]) -> list[model.CapabilityFacts]:
    """The rows with their places taken."""
    listed = list(rows)
    engaged = await capabilities.engaged(tx, [row.id for row in listed])
    return [capability_facts(row, engaged.get(row.id, 0)) for row in listed]


@dataclass(frozen=True, slots=True)
class Records:
    """What institutions have done: completed projects, practices, their replications, answers."""

    projects: Mapping[UUID, Sequence[ProjectRow]]
    practices: Mapping[UUID, int]
    replications: Mapping[UUID, int]
    answers: Mapping[UUID, tuple[int, int]]

    @classmethod
    async def of(cls, tx: Tx, ids: Collection[UUID] | None) -> Records:
        """Those of some institutions, or of all, in four statements whatever their number."""
        return cls(
            await institutions.completed(tx, ids),
            await institutions.practices(tx, ids),
            await institutions.replications(tx, ids),
            await institutions.answers(tx, ids),
        )

    def institution(self, row: Any) -> model.InstitutionFacts:  # noqa: ANN401 (as for `standing`)
        """A row with its record."""
        known = standing(row)
        if not any(row.id in some for some in (self.projects, self.practices, self.replications, self.answers)):
            return known
        in_time, answerable = self.answers.get(row.id, (0, 0))
        return replace(
            known,
            completed=tuple(_completed(project) for project in self.projects.get(row.id, ())),
            practices=self.practices.get(row.id, 0),
            replications=self.replications.get(row.id, 0),
            answered_in_time=in_time,
            answerable=answerable,
        )


async def load_institutions(tx: Tx, rows: Iterable[InstitutionRow]) -> list[model.InstitutionFacts]:
    """The rows with their records."""
    listed = list(rows)
    records = await Records.of(tx, [row.id for row in listed])
    return [records.institution(row) for row in listed]


def _completed(row: ProjectRow) -> model.CompletedProject:
    ended_on: date = row.ended_on  # type: ignore[assignment]  # a completed project has its day
    return model.CompletedProject(ended_on, countries=tuple(row.countries))
