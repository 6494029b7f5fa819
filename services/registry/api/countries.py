"""Countries: their groups, blocs and income group on a day, each with its source."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

from fastapi import Query

from services.registry.commands import places as commands
from services.registry.schemas.countries import ConfirmIn, CountryOut, Scheduled, Status
from services.registry.store import places as store
from shared.api import CallerDep, Router, TxDep
from shared.messaging.transaction import Tx
from shared.reference import blocs, countries
from shared.reference.countries import Confirmations, Group, StatusRow
from shared.reference.types import BlocCode, Day
from shared.web.auth import SIGNED_IN, Caller, only
from shared.web.paging import Page, PageQuery, Paging
from shared.web.problems import not_found, refuse
from shared.web.versions import IfMatch

router = Router("countries")
AsOf = Annotated[Day | None, Query(description="The day that counts; today when left out")]


@router.get("/countries", SIGNED_IN)
async def list_countries(
    tx: TxDep,
    caller: CallerDep,
    paging: Paging,
    group: Annotated[Group | Literal["south"] | None, Query()] = None,
    bloc: BlocCode | None = None,
    as_of: AsOf = None,
) -> Page[CountryOut]:
    """Countries of a group or bloc on a day, by code."""
    view = await _view(tx, caller, as_of)
    codes = sorted(countries.countries())
    if group is not None:
        codes = [code for code in codes if code in countries.members_of(group, view.day, view.confirmed)]
    if bloc is not None:
        codes = [code for code in codes if code in blocs.members(bloc, view.day)]
    shown, after = _page(codes, paging)
    return Page(items=[view.show(code) for code in shown], next=after)


@router.get("/countries/{code}", SIGNED_IN)
async def get_country(tx: TxDep, caller: CallerDep, code: str, as_of: AsOf = None) -> CountryOut:
    """One country on a day."""
    _check_known(code)
    return (await _view(tx, caller, as_of)).show(code)


@router.post("/countries/{code}/confirm-status", only("operator"), refuses=("invalid_transition",))
async def confirm_country_status(
    tx: TxDep, caller: CallerDep, code: str, body: ConfirmIn, if_match: IfMatch
) -> CountryOut:
    """Confirms or moves a scheduled end of a status, or calls it off with `leaves_on: null`."""
    _check_known(code)
    await commands.confirm_status(tx, code, body, if_match)
    return (await _view(tx, caller, None)).show(code)


def _check_known(code: str) -> None:
    if not countries.is_country(code):
        raise not_found("country")


def _page(codes: list[str], paging: PageQuery) -> tuple[list[str], str | None]:
    if paging.after is not None:
        if len(paging.after) != 1 or not isinstance(paging.after[0], str):
            raise refuse("invalid_cursor", "This cursor belongs to another list.")
        codes = [code for code in codes if code > paging.after[0]]
    shown = codes[: paging.limit]
    return shown, paging.cursor([shown[-1]]) if len(codes) > len(shown) else None


@dataclass(frozen=True, slots=True)
class _View:
    """Everything that an answer depends on beside the code."""

    caller: Caller
    day: date
    confirmed: Confirmations
    versions: dict[str, int]

    def show(self, code: str) -> CountryOut:
        known = countries.country(code)
        return CountryOut(
            code=code,
            alpha2=known.alpha2,
            name=known.name,
            version=self.versions.get(code, 1),
            as_of=self.day,
            groups=sorted(countries.groups(code, self.day, self.confirmed)),
            south=countries.is_south(code, self.day),
            income_group=countries.income_group(code, self.day),
            blocs=sorted(blocs.blocs_of(code, self.day)),
            scheduled=[Scheduled.model_validate(s, from_attributes=True) for s in self._scheduled(code)],
            statuses=[_status(row, self.confirmed) for row in countries.statuses(code, self.day, self.confirmed)],
            actions=["confirm-status"] if self.caller.is_operator and self._confirmable(code) else [],
        )

    def _scheduled(self, code: str) -> list[countries.ScheduledChange]:
        return countries.scheduled(code, self.day, self.confirmed)

    @staticmethod
    def _confirmable(code: str) -> bool:
        return any(row.scheduled for row in countries.history(code))


async def _view(tx: Tx, caller: Caller, as_of: date | None) -> _View:
    return _View(caller, as_of or tx.clock.today(), await store.confirmations(tx), await store.country_versions(tx))


def _status(row: StatusRow, confirmed: Confirmations) -> Status:
    return Status(
        status=row.status,
        valid_from=row.valid_from,
        valid_to=row.leaves_on(confirmed),
        state=row.state,
        source=row.source,
        note=row.note or None,
    )
