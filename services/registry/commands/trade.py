"""Trade flows: an import, and the profiles that it changes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict

from services.registry.commands.common import apply
from services.registry.domain.trade import Flows
from services.registry.states import trade_profile_state
from services.registry.store import trade as store
from services.registry.store.common import hold, touch
from services.registry.tables import TradeProfileRow
from shared.events.registry import TradeProfileChanged
from shared.messaging.transaction import Tx


async def import_flows(tx: Tx, flows: Flows) -> list[str]:
    """Stores all flows of a file in the place of older ones; the countries whose profiles are others now.

    Of a reporter and year that occur in the file nothing else is left, so that the same file again changes nothing.
    """
    await hold(tx, "trade-flows")  # two imports of one reporter and year at once would leave a mixture of both
    before = await store.replace_flows(tx, flows)
    changed = await _tell(tx, flows.countries | before)
    await tx.audit("TradeFlowsImported", "trade_flows")
    return changed


async def _tell(tx: Tx, countries: Collection[str]) -> list[str]:
    known = {row.country: row for row in await store.lock_profiles(tx, countries)}
    totals = await store.totals(tx, countries)
    changed = []
    for country in sorted(countries):
        row = known.get(country) or TradeProfileRow(country=country, exports={}, imports={})
        if apply(row, asdict(totals[country])):
            touch(tx, row)
            tx.session.add(row)
            tx.publish(TradeProfileChanged(trade_profile=trade_profile_state(row), by=tx.by))
            changed.append(country)
    return changed
