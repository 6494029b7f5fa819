"""Policies and term statistics: versioned data, never changed in place."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from services.matching.engine.policy import CRITERIA, Policy
from services.matching.engine.text import TermStatistics
from services.matching.tables import ChoreRow, PolicyRow, StatisticsRow
from shared.data.keyset import page
from shared.web.problems import not_found

if TYPE_CHECKING:
    from datetime import date

    from shared.messaging.transaction import Tx
    from shared.web.paging import PageQuery


ACTIVE, DRAFT, RETIRED = "active", "draft", "retired"


async def seed(tx: Tx, policy: Policy) -> None:
    """Makes sure that there is a policy and a snapshot of term statistics."""
    values = {
        "version": policy.version,
        "revision": 1,
        "status": ACTIVE,
        "document": document_of(policy),
        "made_at": tx.now,
        "activated_at": tx.now,
    }
    await tx.session.execute(insert(PolicyRow).values(**values).on_conflict_do_nothing())
    empty = {"version": 1, "documents": 0, "average_length": 0.0, "document_frequency": {}, "made_at": tx.now}
    await tx.session.execute(insert(StatisticsRow).values(**empty).on_conflict_do_nothing())


async def active(tx: Tx) -> Policy:
    """The policy in force."""
    return policy_of((await tx.session.scalars(select(PolicyRow).where(col(PolicyRow.status) == ACTIVE))).one())


def policy_of(row: PolicyRow) -> Policy:
    """What a row says; members that came later have their defaults, and criteria that came later weigh nothing."""
    known = {field.name for field in fields(Policy)}
    members = {name: value for name, value in row.document.items() if name in known}
    return Policy(**members | {"weights": dict.fromkeys(CRITERIA, 0.0) | members["weights"]})


async def get(tx: Tx, version: int) -> PolicyRow:
    """One; raises `not_found`."""
    row = await tx.session.get(PolicyRow, version)
    if row is None:
        raise not_found("policy")
    return row


async def lock_all(tx: Tx) -> dict[int, PolicyRow]:
    """All policies, held in the order of their versions: one of them changes the place of another."""
    rows = select(PolicyRow).order_by(col(PolicyRow.version)).with_for_update()
    found = (await tx.session.scalars(rows.execution_options(populate_existing=True))).all()
    return {row.version: row for row in found}


async def page_of(tx: Tx, query: PageQuery) -> tuple[list[PolicyRow], str | None]:
    """One page, newest first."""
    keys: list[Any] = [PolicyRow.version]
    found, after = await page(tx.session, select(PolicyRow), keys, query, descending=True)
    return list(found), after


def document_of(policy: Policy) -> dict[str, Any]:
    """A policy as JSON."""
    mappings = {
        field.name: dict(value) for field in fields(policy) if hasattr(value := getattr(policy, field.name), "keys")
    }
    plain = {field.name: getattr(policy, field.name) for field in fields(policy) if field.name not in mappings}
    return plain | mappings


async def statistics(tx: Tx) -> TermStatistics:
    """The newest snapshot."""
    row = (await tx.session.scalars(select(StatisticsRow).order_by(col(StatisticsRow.version).desc()).limit(1))).one()
    return TermStatistics(row.version, row.documents, row.average_length, row.document_frequency)


async def newest_statistics(tx: Tx) -> int:
    """Number of the newest snapshot."""
    return int(await tx.session.scalar(select(func.max(StatisticsRow.version))) or 0)


async def next_version(tx: Tx) -> int:
    """Number of the next snapshot."""
    return int(await tx.session.scalar(select(func.max(StatisticsRow.version))) or 0) + 1


def keep(tx: Tx, frozen: TermStatistics) -> None:
    """Stores a snapshot."""
    tx.session.add(
        StatisticsRow(
            version=frozen.version,
            documents=frozen.documents,
            average_length=frozen.average_length,
            document_frequency=dict(frozen.document_frequency),
            made_at=tx.now,
        )
    )


async def first_today(tx: Tx, chore: str, today: date) -> bool:
    """Whether this daily chore is still to be done today; marks it as done."""
    new = insert(ChoreRow).values(name=chore, done_on=today)
    done = new.on_conflict_do_update(
        index_elements=["name"], set_={"done_on": today}, where=col(ChoreRow.done_on) < today
    )
    return (await tx.session.execute(done.returning(col(ChoreRow.name)))).first() is not None
