"""How long matching takes to start: the index of a million stored capabilities, against reading their texts again.

Real tables on the embedded PostgreSQL: capabilities with texts, their institutions, and their readings as the engine
keeps them. The index that a start builds must rank as the one that the readings were taken from.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import numpy as np
from opentelemetry.trace import get_tracer

from services.matching.engine.columns import Ids
from services.matching.engine.policy import POLICY_1
from services.matching.engine.prepared import content_of
from services.matching.engine.readings import Draft
from services.matching.loading import edition
from services.matching.ranking import Ranker
from services.matching.store import policies, readings
from services.matching.tables import KERNEL
from shared.data.database import Database
from shared.data.migrate import upgrade
from shared.messaging.transaction import Transactions
from shared.ops.clock import Clock
from tests.bench.postgres_side import Server
from tests.bench.ranking import resident_mb
from tests.bench.results import keep
from tests.bench.synthetic import ON, market, needs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from services.matching.engine.index import Index
    from shared.messaging.transaction import Tx

K = 20
COMPARED = 20
READ_AGAIN = 2_000
"""Capabilities whose texts are read again, for comparison."""
AT_ONCE = 20_000
TICK_SECONDS = 0.005
MIGRATIONS = Path(__file__).parents[2] / "services" / "matching" / "migrations"
WORDS_OF_TEXT = 60


def uuids(number: int, kind: int) -> list[UUID]:
    """Ids in rising order."""
    return [UUID(int=kind << 120 | place) for place in range(number)]


def stored_market(size: int) -> Index:
    """The market of the other benches, with ids as they are stored."""
    index = market(size)
    store = index.store
    store.rows.ids = Ids(np.array([str(i).encode() for i in uuids(len(store.rows), 1)], dtype="S36"))
    store.providers.ids = Ids(np.array([str(i).encode() for i in uuids(len(store.providers), 2)], dtype="S36"))
    for row in range(len(store.providers)):
        # practices and replications are stored below; projects and answers are not
        store.providers.put(replace(store.providers.facts(row), completed=(), answered_in_time=0, answerable=0))
    return index


async def fill(connection: asyncpg.Connection, index: Index) -> None:
    """Institutions with practices and replications, capabilities and the places taken of them, as rows."""
    for first in range(0, len(index.store.providers), AT_ONCE):
        await connection.copy_records_to_table("institution", records=list(_institutions(index, first)))
    for table, name in (("practice", "practices"), ("replication", "replications")):
        counts = index.store.providers.count(name)
        owners = np.repeat(np.arange(len(counts)), counts).tolist()
        records = [(UUID(int=n), [UUID(int=2 << 120 | owner)]) for n, owner in enumerate(owners)]
        await connection.copy_records_to_table(table, records=records)
    columns = [*_CAPABILITY, "resource_kinds", "isic", "hs", "sdg_targets", "technologies", "languages"]
    columns += ["delivery_modes", "serves"]
    for first in range(0, len(index.store.rows), AT_ONCE):
        records = list(_capabilities(index, first))
        await connection.copy_records_to_table("capability", records=records, columns=columns)
    taken = np.flatnonzero(index.store.rows["engaged"]).tolist()
    places = [(slot, place) for slot in taken for place in range(int(index.store.rows["engaged"][slot]))]
    ids = uuids(len(index.store.rows), 1)
    records = [(UUID(int=n), UUID(int=n), ids[slot], UUID(int=n), "active", None) for n, (slot, _) in enumerate(places)]
    await connection.copy_records_to_table("engagement", records=records)


def _institutions(index: Index, first: int) -> Iterator[tuple[Any, ...]]:
    providers = index.store.providers
    for row in range(first, min(first + AT_ONCE, len(providers))):
        facts = providers.facts(row)
        yield UUID(facts.id), "1", 1, facts.status, facts.id, facts.country, facts.type, list(facts.languages)


_CAPABILITY = ("id", "sequence", "version", "status", "institution_id", "title", "summary", "capacity", "renew_by")


def _capabilities(index: Index, first: int) -> Iterator[tuple[Any, ...]]:
    rows, owners = index.store.rows, uuids(len(index.store.providers), 2)
    for slot, capability_id in enumerate(uuids(min(first + AT_ONCE, len(rows)), 1)[first:], first):
        packed = (rows.terms.of(slot)[:WORDS_OF_TEXT] >> 8).tolist()
        said = " ".join(index.store.words.terms.values[number] for number in packed)
        renew_by = date.fromordinal(int(rows["renew_by"][slot]))
        plain = (int(rows["version"][slot]), "published", owners[int(rows["provider"][slot])], said[:60], said)
        yield (capability_id, "1", *plain, int(rows["capacity"][slot]), renew_by, *([[]] * 7), "{}")


async def keep_readings(tx: Tx, index: Index) -> None:
    """As the engine does, in larger steps."""
    draft = Draft.of(index.store)
    taken = list(draft.written(await readings.numbers(tx, draft.words())))
    sequences = dict.fromkeys((one.capability_id for one in taken), "1")
    for first in range(0, len(taken), AT_ONCE):
        await readings.keep(tx, edition(), taken[first : first + AT_ONCE], sequences)


@asynccontextmanager
async def watched() -> AsyncIterator[list[float]]:
    """The longest pause of the event loop meanwhile, in milliseconds, as the only member of a list."""
    longest = [0.0]

    async def tick() -> None:
        while True:
            asked = time.perf_counter()
            await asyncio.sleep(TICK_SECONDS)
            longest[0] = max(longest[0], (time.perf_counter() - asked - TICK_SECONDS) * 1000)

    ticking = asyncio.create_task(tick())
    try:
        yield longest
    finally:
        ticking.cancel()


@asynccontextmanager
async def served(index: Index) -> AsyncIterator[Transactions]:
    """A database of matching that holds the index, with its readings."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        await asyncio.to_thread(folder.chmod, 0o755)
        server = Server(folder, None, durable=False)
        await server.start()
        try:
            url = server.url("postgres")
            await store(url, index)
            database = Database(url, name="bench", requests=1)
            yield transactions(database)
            await database.close()
        finally:
            await server.stop()


async def store(url: str, index: Index) -> None:
    """All tables of an empty database, filled with the index and its readings."""
    await asyncio.to_thread(lambda: asyncio.run(upgrade(url, MIGRATIONS)))
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    await connection.set_type_codec(
        "jsonb", encoder=lambda text: b"\1" + text.encode(), decoder=bytes, schema="pg_catalog", format="binary"
    )
    await fill(connection, index)
    database = Database(url, name="bench", requests=1)
    async with transactions(database).background() as tx:
        await policies.seed(tx, POLICY_1)
        policies.keep(tx, replace(index.scorer.frame.statistics, version=2))
        await keep_readings(tx, index)
    await database.close()
    await connection.execute("vacuum analyze")
    await connection.close()


def transactions(database: Database) -> Transactions:
    """Units of work on it."""
    return Transactions(
        clock=Clock(),
        audit_table=KERNEL.audit,
        wake_relay=lambda: None,
        tracer=get_tracer("bench"),
        request_session=database.request_session,
        background_session=database.background_session,
    )


def read_again(index: Index) -> float:
    """Seconds for one text, as a start without readings takes them."""
    store = index.store
    texts = [" ".join(_words(index, slot)) for slot in range(min(READ_AGAIN, len(store.rows)))]
    offers = [replace(store.offer(slot).capability, title=text[:60], summary=text) for slot, text in enumerate(texts)]
    start = time.perf_counter()
    for offer in offers:
        content_of(offer, store.lexicon)
    return (time.perf_counter() - start) / len(offers)


def _words(index: Index, slot: int) -> list[str]:
    return [index.store.words.terms.values[number] for number in (index.store.rows.terms.of(slot) >> 8).tolist()]


async def measure(size: int) -> None:
    """Prints the table of one size."""
    index = stored_market(size)
    async with served(index) as work:
        ranker = Ranker()
        gc.collect()
        gc.freeze()  # a process that starts does not have the stored index in its heap
        async with watched() as longest:
            before, start = resident_mb(), time.perf_counter()
            await ranker.load(work)
            took, grown = time.perf_counter() - start, resident_mb() - before
        async with work.background() as tx:
            agrees = await ranker.agrees(tx)
    each = read_again(index)
    wanted = needs(COMPARED)
    ranker.index.store.lexicon = index.store.lexicon  # made-up words have concepts of their own
    ranker.index.use(index.scorer)
    equal = sum(ranker.index.top(need, ON, K) == index.top(need, ON, K) for need in wanted)
    print(f"{len(ranker.index)} capabilities, {len(index.store.providers)} institutions: index built in {took:.1f} s")
    print(f"event loop held up for {longest[0]:.0f} ms at most; equal to the rows: {agrees}")
    print(f"reading the texts again: {each * size:.0f} s, {each * size / took:.1f}x as long")
    print(f"first {K} and their scores equal to those of the index that was stored: {equal} of {len(wanted)} needs")
    print(f"process grew by {grown:.0f} MB meanwhile")
    figures = {
        "capabilities": size,
        "grown_mb": grown,
        "seconds": took,
        "loop_ms": longest[0],
        "equal": equal,
        "compared": len(wanted),
    }
    keep("start", figures | {"texts_again_ratio": each * size / took})


def main() -> None:
    """Takes the size."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--capabilities", type=int, default=1_000_000)
    asyncio.run(measure(arguments.parse_args().capabilities))


if __name__ == "__main__":
    main()
