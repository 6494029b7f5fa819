"""The rule that says whether a need seeks partners, in Python and in SQL: the same needs."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import product
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from sqlalchemy import insert

from services.matching.domain import seeking
from services.matching.store import needs
from services.matching.tables import EngagementRow, InstitutionRow, NeedRow
from shared.ops.ids import new_id
from tests.support.stack import running_service

if TYPE_CHECKING:
    from shared.messaging.transaction import Tx
    from tests.support.parts import Parts

TODAY = date(2026, 11, 28)
STATUSES = ("open", "engaged", "withdrawn", "expired", "fulfilled")
DEADLINES = (TODAY - timedelta(days=1), TODAY, TODAY + timedelta(days=1))
PLACES = ((0, 1), (1, 1), (1, 2), (2, 1))
OWNERS = (None, "registered", "verified", "suspended")


async def stored(tx: Tx, status: str, deadline: date, places: tuple[int, int], owner: str | None) -> UUID:
    """A need with so many places taken of those it wants, of an institution with this status or an unheard one."""
    need_id, institution_id, (found, wanted) = new_id(), new_id(), places
    if owner is not None:
        row = {"id": institution_id, "sequence": "1", "version": 1, "status": owner, "name": "n", "country": "ETH"}
        await tx.session.execute(insert(InstitutionRow).values(**row, type="enterprise", languages=[]))
    plain = dict.fromkeys(("institution_name", "title", "problem", "language", "urgency"), "x")
    lists = {key: list[str]() for key in ("resource_kinds", "isic", "hs", "sdg_targets", "technologies", "languages")}
    row = {"id": need_id, "sequence": "1", "version": 1, "status": status, "institution_id": institution_id}
    row |= {"deadline": deadline, "partners_wanted": wanted, "domestic_welcome": False}
    await tx.session.execute(insert(NeedRow).values(**row, **plain, **lists))
    for state in ["active"] * found + ["cancelled"]:
        ids = {name: new_id() for name in ("match_id", "capability_id", "project_id")}
        await tx.session.execute(insert(EngagementRow).values(need_id=need_id, state=state, **ids))
    return need_id


@pytest.mark.asyncio
async def test_the_database_finds_the_needs_that_the_rule_finds(parts: Parts) -> None:
    async with running_service(parts, "matching") as service, service.running.transactions.background() as tx:
        expected, cases = set(), list(product(STATUSES, DEADLINES, PLACES, OWNERS))
        for status, deadline, (found, wanted), owner in cases:
            need_id = await stored(tx, status, deadline, (found, wanted), owner)
            row = NeedRow(status=status, deadline=deadline, partners_wanted=wanted)
            if seeking.why_not(row, found, owner, TODAY) is None:
                expected.add(need_id)
        rows = await needs.seeking(tx, UUID(int=0), TODAY, limit=len(cases))
        assert {row.id for row, _ in rows} == expected
        assert len(expected) == 2 * 2 * 3, "open, not past, a place left, not suspended"
        await tx.session.rollback()


def test_it_says_why_not() -> None:
    row = NeedRow(status="open", deadline=TODAY, partners_wanted=1)
    assert seeking.why_not(row, 0, "verified", TODAY) is None
    assert seeking.why_not(row, 1, "verified", TODAY) == "need_already_engaged"
    assert seeking.why_not(row, 1, "suspended", TODAY) == "institution_suspended"
    assert seeking.why_not(row, 1, None, TODAY + timedelta(days=1)) == "need_not_open"
