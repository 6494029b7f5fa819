"""Trade flows: imported by operators, read by everybody; and what each country trades."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Body, Query

from services.registry.commands import trade as commands
from services.registry.domain.trade import FIRST_YEAR, MOST_BYTES, read_csv
from services.registry.schemas.trade import Chapter, TradeFlowOut, TradeImportOut, TradeProfileOut
from services.registry.states import trade_profile_state
from services.registry.store import trade as store
from shared.api import Router, TxDep
from shared.reference.countries import is_country
from shared.reference.types import CountryCode
from shared.web.auth import SIGNED_IN, only
from shared.web.body import Plain
from shared.web.paging import Page, Paging
from shared.web.problems import not_found

router = Router("trade-flows")
CSV = Plain("text/csv", MOST_BYTES)
EXAMPLE = "reporter,partner,hs,year,value\nIND,ETH,41,2024,1250000.50\n"
File = Annotated[
    bytes,
    Body(
        media_type=CSV.media_type,
        openapi_examples={"one flow": {"value": EXAMPLE}},
        json_schema_extra={"contentMediaType": CSV.media_type},
    ),
]


@router.post("/trade-flows", only("operator"), reads=CSV)
async def import_trade_flows(tx: TxDep, file: File) -> TradeImportOut:
    """Imports a UTF-8 file with the columns `reporter,partner,hs,year,value` in any order: all of it or nothing.

    `value` is what the reporter exported to the partner in that year, in US dollars. Codes of 4 and 6 digits are
    counted to their chapter. The file replaces all that is stored of each reporter and year in it; the same file again
    changes nothing. At most 10 MB and 200,000 rows. `errors` names bad cells as `/<line>/<column>`, the first 50.
    """
    # a large file takes a second, in which others want to be answered
    flows = await asyncio.to_thread(read_csv, file, tx.clock.today())
    changed = await commands.import_flows(tx, flows)
    reporters, years = {reporter for reporter, _ in flows.covered}, {year for _, year in flows.covered}
    return TradeImportOut(rows=flows.rows, reporters=sorted(reporters), years=sorted(years), countries_changed=changed)


@router.get("/trade-flows", SIGNED_IN)
async def list_trade_flows(
    tx: TxDep,
    paging: Paging,
    reporter: CountryCode | None = None,
    partner: CountryCode | None = None,
    year: Annotated[int | None, Query(ge=FIRST_YEAR, le=9999)] = None,
    hs: Annotated[Chapter | None, Query(description="An HS chapter; flows are stored by chapter")] = None,
) -> Page[TradeFlowOut]:
    """Flows, the latest year first."""
    rows, after = await store.flows(tx, reporter, partner, year, hs, paging)
    return Page(items=[TradeFlowOut.model_validate(row, from_attributes=True) for row in rows], next=after)


@router.get("/trade-flows/profiles/{country}", SIGNED_IN)
async def get_trade_profile(tx: TxDep, country: str) -> TradeProfileOut:
    """What a country exports and imports by HS chapter; 404 while no flow of it was ever imported."""
    if not is_country(country):
        raise not_found("country")
    state = trade_profile_state(await store.profile(tx, country))
    return TradeProfileOut.model_validate(state, from_attributes=True)
