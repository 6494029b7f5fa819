"""Matches with their facilitators, messages and explanations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Select, exists, func, or_, select
from sqlmodel import col

from services.matching.domain.conversing import TALKING
from services.matching.domain.facilitators import DECLINED, LAPSED
from services.matching.domain.matches import BENEFICIARY, PROVIDER, MatchFacts
from services.matching.store.arrays import among
from services.matching.tables import EngagementRow, ExplanationRow, FacilitatorRow, MatchRow, MessageRow, NeedRow
from shared.data.keyset import page
from shared.ops.ids import new_id
from shared.web.problems import not_found

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from shared.messaging.transaction import Tx
    from shared.web.auth import Caller
    from shared.web.paging import PageQuery


@dataclass
class Match:
    """A match row with its facilitators, in the order of their invitations."""

    row: MatchRow
    facilitators: list[FacilitatorRow] = field(default_factory=list)

    @property
    def facts(self) -> MatchFacts:
        """What the state table looks at."""
        return MatchFacts(self.row.beneficiary_answer, self.row.provider_answer, tuple(self.row.confirmations))

    def hats(self, caller: Caller) -> frozenset[str]:
        """The caller's parts in this match."""
        invited = [f.institution_id for f in self.facilitators]
        return caller.hats(beneficiary=[self.row.beneficiary_id], provider=[self.row.provider_id], facilitator=invited)

    def hears(self, caller: Caller) -> bool:
        """Whether the caller reads what the parties write: staff never, nor whose invitation has lapsed."""
        invitation = self.facilitator(caller.institution_id) if caller.institution_id else None
        lapsed = invitation is not None and invitation.status == LAPSED
        return bool(self.hats(caller) - caller.roles) and not lapsed

    def side(self, caller: Caller) -> str:
        """The side of a caller that is a principal."""
        return BENEFICIARY if caller.institution_id == self.row.beneficiary_id else PROVIDER

    def facilitator(self, institution_id: UUID) -> FacilitatorRow | None:
        """The invitation of this institution, if there is one."""
        return next((f for f in self.facilitators if f.institution_id == institution_id), None)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters of the list."""

    need_id: UUID | None = None
    capability_id: UUID | None = None
    statuses: tuple[str, ...] = ()
    updated_since: datetime | None = None


async def get_visible(tx: Tx, caller: Caller, match_id: UUID) -> Match:
    """One that the caller may see; raises `not_found`."""
    row = (await tx.session.scalars(_visible(caller).where(col(MatchRow.id) == match_id))).one_or_none()
    if row is None:
        raise not_found("match")
    return (await with_facilitators(tx, [row]))[0]


async def lock_visible(tx: Tx, caller: Caller, match_id: UUID) -> Match:
    """The same, held with its need's row: need first, then the match."""
    seen = await get_visible(tx, caller, match_id)
    await tx.session.execute(select(col(NeedRow.id)).where(col(NeedRow.id) == seen.row.need_id).with_for_update())
    await lock_rows(tx, select(MatchRow).where(col(MatchRow.id) == match_id))
    return await get_visible(tx, caller, match_id)


async def lock_open(tx: Tx, need_id: UUID) -> list[Match]:
    """All open matches of a need whose row is held, in id order."""
    rows = await lock_rows(tx, select(MatchRow).where(col(MatchRow.need_id) == need_id, ~col(MatchRow.closed)))
    return await with_facilitators(tx, rows)


async def count_named(tx: Tx, capability_id: UUID) -> int:
    """How many open matches of this capability its provider named."""
    rows = select(func.count()).where(
        col(MatchRow.capability_id) == capability_id, ~col(MatchRow.closed), col(MatchRow.named_by) == PROVIDER
    )
    return int(await tx.session.scalar(rows) or 0)


async def lock_talking(tx: Tx, need_id: UUID) -> list[Match]:
    """All matches of a need whose parties talk, formalised ones among them, in id order; the need's row is held."""
    wanted = select(MatchRow).where(col(MatchRow.need_id) == need_id, col(MatchRow.status).in_(TALKING))
    return await with_facilitators(tx, await lock_rows(tx, wanted))


async def lock_rows(tx: Tx, rows: Select[Any]) -> Sequence[MatchRow]:
    """Holds match rows in id order and reads them anew."""
    held = rows.order_by(col(MatchRow.id)).with_for_update().execution_options(populate_existing=True)
    return (await tx.session.scalars(held)).all()


async def page_visible(tx: Tx, caller: Caller, wanted: Wanted, query: PageQuery) -> tuple[list[Match], str | None]:
    """One page: of a need open ones first by rank, since a time by change, else newest first."""
    rows = _filtered(_visible(caller), wanted)
    keys: list[Any]
    if wanted.updated_since is not None:
        keys, descending = [MatchRow.updated_at, MatchRow.id], False
    elif wanted.need_id is not None:
        keys, descending = [MatchRow.closed, MatchRow.rank, MatchRow.id], False
    else:
        keys, descending = [MatchRow.proposed_at, MatchRow.id], True
    found, after = await page(tx.session, rows, keys, query, descending=descending)
    return await with_facilitators(tx, found), after


def _filtered(rows: Select[Any], wanted: Wanted) -> Select[Any]:
    if wanted.need_id is not None:
        rows = rows.where(col(MatchRow.need_id) == wanted.need_id)
    if wanted.capability_id is not None:
        rows = rows.where(col(MatchRow.capability_id) == wanted.capability_id)
    if wanted.statuses:
        rows = rows.where(col(MatchRow.status).in_(wanted.statuses))
    if wanted.updated_since is not None:
        rows = rows.where(col(MatchRow.updated_at) >= wanted.updated_since)
    return rows


def _visible(caller: Caller) -> Select[Any]:
    """Staff see all; others what they are a party of: as a principal, or invited and not declined."""
    rows = select(MatchRow).execution_options(populate_existing=True)
    if caller.is_staff:
        return rows
    me = caller.institution_id
    invited = exists().where(
        col(FacilitatorRow.match_id) == col(MatchRow.id),
        col(FacilitatorRow.institution_id) == me,
        col(FacilitatorRow.status) != DECLINED,
    )
    return rows.where(or_(col(MatchRow.beneficiary_id) == me, col(MatchRow.provider_id) == me, invited))


async def with_facilitators(tx: Tx, rows: Collection[MatchRow]) -> list[Match]:
    """The rows as whole matches, in their order."""
    matches = {row.id: Match(row) for row in rows}
    if matches:
        wanted = select(FacilitatorRow).where(among(col(FacilitatorRow.match_id), matches))
        ordered = wanted.order_by(col(FacilitatorRow.invited_at), col(FacilitatorRow.institution_id))
        for facilitator in (await tx.session.scalars(ordered.execution_options(populate_existing=True))).all():
            matches[facilitator.match_id].facilitators.append(facilitator)
    return list(matches.values())


async def in_id_order(tx: Tx, last: UUID, limit: int) -> list[Match]:
    """The next ones behind an id, held: for telling the present state of all."""
    rows = await lock_rows(tx, select(MatchRow).where(col(MatchRow.id) > last).limit(limit))
    return await with_facilitators(tx, rows)


async def due_needs(tx: Tx, column: Any, now: datetime, limit: int) -> list[UUID]:  # noqa: ANN401 (a column of MatchRow)
    """Needs, now held, that have open matches for which the moment in `column` has come.

    Needs that somebody else holds are left for the next turn, so a timer never waits.
    """
    due = select(col(MatchRow.need_id)).where(~col(MatchRow.closed), column <= now).distinct().limit(limit)
    ids = (await tx.session.scalars(due)).all()
    held = (
        select(col(NeedRow.id))
        .where(among(col(NeedRow.id), ids))
        .order_by(col(NeedRow.id))
        .with_for_update(skip_locked=True)
    )
    return list((await tx.session.scalars(held)).all())


async def explanation(tx: Tx, match_id: UUID) -> dict[str, Any]:
    """What the match stored of its score."""
    row = await tx.session.get(ExplanationRow, match_id)
    if row is None:
        raise not_found("explanation")
    return row.document


async def page_of_messages(tx: Tx, match_id: UUID, query: PageQuery) -> tuple[list[MessageRow], str | None]:
    """One page of what the parties wrote, newest first."""
    rows = select(MessageRow).where(col(MessageRow.match_id) == match_id)
    message: Any = MessageRow
    return await page(tx.session, rows, [message.id], query, descending=True)


async def newest_messages(tx: Tx, match_id: UUID, limit: int = 50) -> Sequence[MessageRow]:
    """The last things that the parties wrote, oldest first."""
    rows = select(MessageRow).where(col(MessageRow.match_id) == match_id).order_by(col(MessageRow.id).desc())
    return (await tx.session.scalars(rows.limit(limit))).all()[::-1]


def add_message(tx: Tx, match_id: UUID, side: str, text: str | None) -> None:
    """Keeps what a side wrote, if it wrote something."""
    if text is not None:
        tx.session.add(MessageRow(id=new_id(), match_id=match_id, side=side, text=text, at=tx.now))


async def engagement(tx: Tx, match_id: UUID) -> EngagementRow | None:
    """The place that a formalised match takes."""
    return await tx.session.get(EngagementRow, match_id)
