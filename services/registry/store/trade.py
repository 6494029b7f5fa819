"""Trade flows and the profiles made of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Text, cast, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import col

from services.registry.domain.trade import Flows
from services.registry.store import common
from services.registry.tables import TradeFlowRow, TradeProfileRow
from shared.data import keyset
from shared.messaging.transaction import Tx
from shared.reference.types import dollars_text
from shared.web.paging import PageQuery
from shared.web.problems import not_found

AT_ONCE = 20_000
"""Rows of one statement."""
_FORGET = text(
    "with gone as (delete from trade_flow f"
    " using unnest(cast(:reporters as text[]), cast(:years as integer[])) as given (reporter, year)"
    " where f.reporter = given.reporter and f.year = given.year returning f.partner)"
    " select distinct partner from gone"
)
_ADD = text(
    "insert into trade_flow (year, reporter, partner, hs, value)"
    " select * from unnest(cast(:years as integer[]), cast(:reporters as text[]), cast(:partners as text[]),"
    " cast(:chapters as text[]), cast(:values as numeric[]))"
)


@dataclass(slots=True)
class Totals:
    """The trade of a country: on each side the latest year that is known, and US dollars as text by HS chapter."""

    exports_year: int | None = None
    exports: dict[str, str] = field(default_factory=dict)
    imports_year: int | None = None
    imports: dict[str, str] = field(default_factory=dict)


async def replace_flows(tx: Tx, flows: Flows) -> set[str]:
    """Stores them in the place of all that was known of the same reporters and years; the partners named till then."""
    reporters, years = zip(*sorted(flows.covered), strict=True)
    gone = await tx.session.scalars(_FORGET, {"reporters": list(reporters), "years": list(years)})
    partners = set(gone)
    for some in _batches(flows):
        await tx.session.execute(_ADD, some)
    return partners


def _batches(flows: Flows) -> Iterator[dict[str, list[Any]]]:
    items = list(flows.values.items())
    for start in range(0, len(items), AT_ONCE):
        places, values = zip(*items[start : start + AT_ONCE], strict=True)
        years, reporters, partners, chapters = (list(column) for column in zip(*places, strict=True))
        yield {
            "years": years,
            "reporters": reporters,
            "partners": partners,
            "chapters": chapters,
            "values": list(values),
        }


async def flows(
    tx: Tx, reporter: str | None, partner: str | None, year: int | None, hs: str | None, query: PageQuery
) -> tuple[list[TradeFlowRow], str | None]:
    """One page, the latest year first."""
    row = TradeFlowRow
    rows = select(row)
    wanted = ((row.reporter, reporter), (row.partner, partner), (row.year, year), (row.hs, hs))
    for column, value in wanted:
        if value is not None:
            rows = rows.where(col(column) == value)
    keys = [row.year, row.reporter, row.partner, row.hs]
    return await keyset.page(tx.session, rows, keys, query, descending=True)  # type: ignore[arg-type]  # columns


async def totals(tx: Tx, countries: Collection[str]) -> dict[str, Totals]:
    """What the flows say of these countries now."""
    found = {country: Totals() for country in countries}
    for country, year, hs, value in await tx.session.execute(_latest(col(TradeFlowRow.reporter), countries)):
        found[country].exports_year = year
        found[country].exports[hs] = dollars_text(value)
    for country, year, hs, value in await tx.session.execute(_latest(col(TradeFlowRow.partner), countries)):
        found[country].imports_year = year
        found[country].imports[hs] = dollars_text(value)
    return found


def _latest(side: Any, countries: Collection[str]) -> Any:  # noqa: ANN401 (a column; a select)
    """(country, year, chapter, sum) over the latest year in which each country is on this side of a flow.

    One look at the index per country finds the year, however many years are stored.
    """
    year, hs, value = col(TradeFlowRow.year), col(TradeFlowRow.hs), col(TradeFlowRow.value)
    given = select(func.unnest(cast(list(countries), ARRAY(Text))).label("country")).subquery()
    newest = select(func.max(year)).where(side == given.c.country).scalar_subquery()
    latest = select(given.c.country, newest.label("year")).subquery()
    sums = select(latest.c.country, year, hs, func.sum(value))
    on = (side == latest.c.country) & (year == latest.c.year)
    return sums.join(TradeFlowRow, on).group_by(latest.c.country, year, hs)


async def profile(tx: Tx, country: str) -> TradeProfileRow:
    """The profile of a country as it was told last; raises `not_found`."""
    row = await common.load(tx, TradeProfileRow, country)
    if row is None:
        raise not_found("trade profile")
    return row


async def lock_profiles(tx: Tx, countries: Collection[str] | None = None) -> Sequence[TradeProfileRow]:
    """The profiles of some countries, or all, by code; held until the end."""
    rows = select(TradeProfileRow).order_by(col(TradeProfileRow.country)).with_for_update()
    if countries is not None:
        rows = rows.where(col(TradeProfileRow.country).in_(countries))
    return (await tx.session.scalars(rows.execution_options(populate_existing=True))).all()
