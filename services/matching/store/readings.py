"""Readings of capabilities, and the vocabulary of their numbers (`engine.readings`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select, text
from sqlmodel import col

from services.matching.engine.readings import Page
from services.matching.store.capabilities import PUBLISHED
from services.matching.tables import WordRow

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from services.matching.engine.readings import Taken, Word
    from shared.messaging.transaction import Tx

_GIVEN = "unnest(cast(:kinds as integer[]), cast(:words as text[])) as given (kind, word)"
_ADD = text(
    f"insert into word (kind, word) select * from {_GIVEN} where not exists"  # noqa: S608 (no value in it)
    " (select from word where (word.kind, word.word) = (given.kind, given.word)) order by 1, 2 on conflict do nothing"
)
_NUMBERS = text(f"select word.kind, word.word, word.number from word natural join {_GIVEN}")  # noqa: S608
_KEEP = text(
    "insert into reading (capability_id, sequence, edition, head, facets, terms)"
    " select id, sequence, :edition, head, facets, terms"
    " from unnest(cast(:ids as uuid[]), cast(:sequences as text[]), cast(:heads as bytea[]),"
    " cast(:facets as bytea[]), cast(:terms as bytea[])) as given (id, sequence, head, facets, terms)"
    " on conflict (capability_id) do update set sequence = excluded.sequence, edition = excluded.edition,"
    " head = excluded.head, facets = excluded.facets, terms = excluded.terms"
)
_READ = "r.capability_id = c.id and r.sequence = c.sequence and r.edition = :edition and r.capability_id > :last"
"""A reading is of a capability as one event left it, and of one edition of how it is read."""
_PAGE = text(
    "select count(*), string_agg(uuid_send(id), '' order by id), string_agg(uuid_send(institution_id), '' order by id),"  # noqa: S608
    " string_agg(head, '' order by id), string_agg(facets, '' order by id), string_agg(terms, '' order by id)"
    " from (select c.id, c.institution_id, r.head, r.facets, r.terms from capability c"
    f" join reading r on {_READ}"
    " where c.status = :published and c.id > :last order by c.id limit :limit) as page"
)
_LACKING = text(
    f"select c.id from capability c left join reading r on {_READ}"  # noqa: S608
    " where c.status = :published and c.id > :last and r.capability_id is null order by c.id limit :limit"
)
_DROP = text(
    "delete from reading r where not exists"
    " (select from capability c where c.id = r.capability_id and c.status = :published)"
)


async def words_after(tx: Tx, last: int, limit: int) -> Sequence[Any]:
    """(number, kind, word) of the next ones of the vocabulary."""
    rows = select(col(WordRow.number), col(WordRow.kind), col(WordRow.word)).where(col(WordRow.number) > last)
    return (await tx.session.execute(rows.order_by(col(WordRow.number)).limit(limit))).all()


async def numbers(tx: Tx, wanted: Collection[Word]) -> dict[Word, int]:
    """The numbers of these words; new ones get theirs."""
    given = {"kinds": [kind for kind, _ in wanted], "words": [word for _, word in wanted]}
    await tx.session.execute(_ADD, given)
    return {(kind, word): number for kind, word, number in await tx.session.execute(_NUMBERS, given)}


async def keep(tx: Tx, edition: str, taken: Iterable[Taken], sequences: Mapping[str, str]) -> None:
    """Stores what was taken of capabilities with these sequences, in the place of older readings."""
    rows = list(taken)
    if rows:
        ids, heads, facets, terms = (list(column) for column in zip(*rows, strict=True))
        given = {"heads": heads, "facets": facets, "terms": terms, "sequences": [sequences[i] for i in ids]}
        await tx.session.execute(_KEEP, given | {"edition": edition, "ids": [UUID(i) for i in ids]})


async def page_after(tx: Tx, edition: str, last: UUID, limit: int) -> Page | None:
    """Readings of the next published capabilities that have one; None when there is none."""
    given = {"edition": edition, "published": PUBLISHED, "last": last, "limit": limit}
    rows, *parts = (await tx.session.execute(_PAGE, given)).one()
    return Page(*parts) if rows else None


async def lacking(tx: Tx, edition: str, last: UUID, limit: int) -> Sequence[UUID]:
    """The next published capabilities that have none."""
    given = {"edition": edition, "published": PUBLISHED, "last": last, "limit": limit}
    return (await tx.session.scalars(_LACKING, given)).all()


async def drop_unused(tx: Tx) -> None:
    """Forgets those of capabilities that are not offered."""
    await tx.session.execute(_DROP, {"published": PUBLISHED})
