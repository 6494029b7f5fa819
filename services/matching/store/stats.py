"""Counts over all matches, made by the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from shared.messaging.transaction import Tx


@dataclass(frozen=True, slots=True)
class Window:
    """Proposals from one day (with it) to another (without it)."""

    since: date
    until: date

    @property
    def moments(self) -> dict[str, datetime]:
        """Its ends as UTC times."""
        return {"since": _start(self.since), "until": _start(self.until)}


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


_ANSWERS = text("""
    with said as (
        select provider_id as institution_id, 'provider' as side, provider_answer as answer,
            provider_answered_at as answered_at, status, proposed_at from match
        where proposed_at >= :since and proposed_at < :until and named_by is distinct from 'provider'
        union all
        select beneficiary_id, 'beneficiary', beneficiary_answer,
            beneficiary_answered_at, status, proposed_at from match
        where proposed_at >= :since and proposed_at < :until and named_by is distinct from 'beneficiary'
    )
    select said.institution_id, i.name, i.country, side,
        count(*) as proposed,
        count(*) filter (where answer is not null) as answered,
        count(*) filter (where answer is null and said.status = 'expired') as expired,
        percentile_cont(0.5) within group (order by extract(epoch from answered_at - proposed_at) / 3600)
            filter (where answered_at is not null) as median_hours
    from said join institution i on i.id = said.institution_id
    where cast(:institution as uuid) is null or said.institution_id = cast(:institution as uuid)
    group by 1, 2, 3, 4 order by proposed desc, said.institution_id, side limit :limit
""")
_COUNTRIES = text("""
    select n.country, count(distinct n.id) as needs, count(distinct m.need_id) as served,
        count(m.id) as proposed, count(m.id) filter (where m.status = 'formalised') as formalised
    from need n left join match m on m.need_id = n.id and m.proposed_at >= :since and m.proposed_at < :until
        and m.status <> 'withdrawn'
    where n.country is not null and (n.status = 'open' or m.id is not null)
    group by n.country order by n.country
""")
_PROVIDERS = text("""
    select provider_country as country, count(*) as proposed from match
    where proposed_at >= :since and proposed_at < :until and status <> 'withdrawn'
    group by provider_id, provider_country order by proposed desc, provider_id
""")


async def answers(tx: Tx, window: Window, institution_id: UUID | None, limit: int) -> Sequence[Any]:
    """Per institution and side: proposals, answers, expired unanswered, and the median time to the first answer.

    Left out are matches that it named itself.
    """
    given = {**window.moments, "institution": institution_id, "limit": limit}
    return (await tx.session.execute(_ANSWERS, given)).all()


async def countries(tx: Tx, window: Window) -> Sequence[Any]:
    """Per country of needs: needs that are open or had proposals, those with any, proposals, and formalised ones."""
    return (await tx.session.execute(_COUNTRIES, window.moments)).all()


async def providers(tx: Tx, window: Window) -> Sequence[Any]:
    """Per provider its country and how many proposals it had, most first."""
    return (await tx.session.execute(_PROVIDERS, window.moments)).all()
