"""P4: needs from their event to their proposals, against the same without Kafka and inbox, in one run.

One service of matching on the embedded PostgreSQL and Kafka: a side publishes `NeedPosted` records, the other hands
such records to the handlers, by partition and in slices as large as a consumer's. Both end when every need is ranked
and its matches stand in the database with their events; the relay publishes these in both.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg

from services.matching.handlers import HANDLERS
from shared.events.registry import NeedPosted
from shared.local.parts import LocalParts
from shared.messaging.consumer import SLICE_RECORDS
from shared.messaging.kafka import partition_of
from shared.ops.clock import Clock
from tests.bench.results import keep
from tests.bench.starting import store, stored_market
from tests.bench.synthetic import needs
from tests.support.kafka import PARTITIONS
from tests.support.parts import Parts
from tests.support.samples import SYSTEM, need, sample
from tests.support.stack import RunningService, running_service
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from services.matching.engine.model import NeedFacts
    from shared.messaging.envelope import CloudEvent

    Side = Callable[[RunningService, list[CloudEvent]], Awaitable[None]]

PATIENCE_SECONDS = 300
RANKED = "select count(*) from need where version_seen = version"
UNSENT = "select count(*) from outbox where published_at is null"
MATCHES = "select count(*) from match"


def posted(s: RunningService, sought: list[NeedFacts]) -> Iterator[CloudEvent]:
    """Their records, each of an institution of its own."""
    deadline = Clock().today() + timedelta(days=90)
    for one in sought:
        institution = {"id": uuid4(), "name": one.institution_id, "country": one.country, "type": "association"}
        state = need(
            institution=institution, title=one.title, problem=one.problem, country=one.country, isic=list(one.isic),
            hs=list(one.hs), sdg_targets=list(one.sdg_targets), technologies=list(one.technologies),
            languages=list(one.languages), resource_kinds=list(one.resource_kinds), urgency=one.urgency,
            domestic_welcome=one.domestic_welcome, deadline=deadline,
        )  # fmt: skip
        yield s.foreign.record(sample(NeedPosted, SYSTEM, need=state))


async def through_kafka(s: RunningService, records: list[CloudEvent]) -> None:
    """As they come in production."""
    await asyncio.gather(*(s.foreign.send_record(NeedPosted.topic, record) for record in records))


async def handed_over(s: RunningService, records: list[CloudEvent]) -> None:
    """To the handlers, in a transaction per slice, without inbox and position."""
    for some in slices(records):
        async with s.running.database.background_session() as session:
            works = []
            for record in some:
                found = HANDLERS.read(record)
                assert found is not None
                typed, handler = found
                works.append(s.running.transactions.delivery(session, record))
                await handler(works[-1], typed)
                await works[-1].flush()
            await session.commit()
        for tx in works:
            tx.committed()


def slices(records: list[CloudEvent]) -> Iterator[list[CloudEvent]]:
    """As a consumer that finds them all on Kafka takes them: by partition."""
    partitions: dict[int, list[CloudEvent]] = defaultdict(list)
    for record in records:
        partitions[partition_of(record.partitionkey.encode(), PARTITIONS[NeedPosted.topic])].append(record)
    for waiting in partitions.values():
        for first in range(0, len(waiting), SLICE_RECORDS):
            yield waiting[first : first + SLICE_RECORDS]


async def seconds(s: RunningService, connection: asyncpg.Connection, side: Side, records: list[CloudEvent]) -> float:
    """Until all of them are ranked; nothing of an earlier round is on its way when it begins."""

    async def reaches(sql: str, number: int) -> bool:
        return bool(await connection.fetchval(sql) == number)

    before = int(await connection.fetchval(RANKED))
    await eventually(lambda: reaches(UNSENT, 0), PATIENCE_SECONDS)
    begun = time.perf_counter()
    await side(s, records)
    await eventually(lambda: reaches(RANKED, before + len(records)), PATIENCE_SECONDS)
    return time.perf_counter() - begun


async def measure(capabilities: int, number: int, rounds: int) -> None:
    """Prints the table; the sides take turns, and the first turn of each does not count."""
    index = stored_market(capabilities)
    with tempfile.TemporaryDirectory() as folder:
        local = LocalParts(Path(folder), durable=False, say=lambda _line: None)
        async with local:
            parts = Parts(local.postgres.url("{}"), local.kafka.bootstrap)
            url = await parts.new_database("matching")
            await store(url, index)
            del index
            async with running_service(parts, "matching", database_url=url) as s:
                connection = await asyncpg.connect(url.replace("+asyncpg", ""))
                records = list(posted(s, needs(number * rounds * 2, seed=7)))
                turns = [records[first : first + number] for first in range(0, len(records), number)]
                took: dict[str, list[float]] = {name: [] for name in SIDES}
                for turn in range(rounds):
                    # each begins every other time: who comes second meets more rows
                    for name in sorted(SIDES, reverse=bool(turn % 2)):
                        took[name].append(await seconds(s, connection, SIDES[name], turns.pop()))
                matches = int(await connection.fetchval(MATCHES))
                await connection.close()
    report(capabilities, number, took, matches / len(records))


SIDES: dict[str, Side] = {"Kafka": through_kafka, "direct": handed_over}


def report(capabilities: int, number: int, took: dict[str, list[float]], matches: float) -> None:
    """Lines and the figures that are kept."""
    rates = {name: number / median(times[1:]) for name, times in took.items()}
    print(f"{capabilities} capabilities, {number} needs a turn, {matches:.1f} matches a need")
    for name, times in took.items():
        print(f"{name:10}{rates[name]:8.0f} needs/s   turns: {' '.join(f'{each:.2f}' for each in times)} s")
    ratio = rates["Kafka"] / rates["direct"]
    print(f"through Kafka and inbox at {ratio:.2f} of the rate without")
    keep(
        "handle a need",
        {"capabilities": capabilities, "needs_per_s": rates["Kafka"], "ratio": ratio, "matches": matches},
    )


def main() -> None:
    """Takes the sizes."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--capabilities", type=int, default=100_000)
    arguments.add_argument("--needs", type=int, default=500, help="of one turn")
    arguments.add_argument("--rounds", type=int, default=5, help="the first does not count")
    given = arguments.parse_args()
    asyncio.run(measure(given.capabilities, given.needs, given.rounds))


if __name__ == "__main__":
    main()
