"""Relay and consumer step by step, with a crash between any two of their steps and any repeated or shuffled delivery.

The steps are the kernel's own, on a real PostgreSQL and a real Kafka; only their order is hypothesis's.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID, uuid4

from aiokafka import AIOKafkaConsumer, TopicPartition
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pydantic import SecretStr

from shared.data.database import direct_connection
from shared.messaging import relay
from shared.messaging.envelope import SYSTEM_BY, CloudEvent
from shared.messaging.kafka import stop_bounded
from shared.messaging.logs import find_logs
from shared.service import Running
from tests.support.kafka import read_topic
from tests.support.probe import TOPIC, ProbeSettings, ThingMade, build, probe_database
from tests.support.stack import ISSUER, Issuer

if TYPE_CHECKING:
    from tests.support.parts import Parts

EXAMPLES, STEPS = 12, 30
KEYS = [UUID(int=n) for n in range(1, 4)]


class Kernel:
    """One service whose loops do not run: every step is asked for."""

    def __init__(self, parts: Parts, url: str) -> None:
        self.parts, self.url, self.prefix = parts, url, f"s{uuid4().hex[:8]}."
        self.service = build(
            ProbeSettings(
                instance="test",
                embedded=True,
                home=Path(tempfile.gettempdir()),
                database_url=SecretStr(url),
                kafka_bootstrap=parts.bootstrap,
                topic_prefix=self.prefix,
                issuer=ISSUER,
            )
        )
        self.running = Running(self.service, keys=Issuer())

    async def open(self) -> None:
        await self.running.ensure_topics()
        self.topic = self.prefix + TOPIC.name
        self.reader = AIOKafkaConsumer(
            bootstrap_servers=self.parts.bootstrap, enable_auto_commit=False, fetch_max_wait_ms=20
        )
        await self.reader.start()
        self.partitions = [TopicPartition(self.topic, n) for n in range(TOPIC.partitions)]
        self.log = (await find_logs(self.reader._client, [self.topic]))[self.topic].id
        await self.empty()

    async def empty(self) -> None:
        async with direct_connection(self.url, "test") as connection:
            await connection.execute("truncate outbox, sequences, inbox, consumer_positions, heard, dead_letter")

    async def close(self) -> None:
        await stop_bounded(self.reader)
        await self.running.relay.sender.drop()
        await self.running.close()

    # steps of a command

    async def write(self, key: UUID, *, commit: bool) -> None:
        async with self.running.database.background_session() as session:
            tx = self.running.transactions.delivery(session, None)  # type: ignore[arg-type]
            tx.publish(ThingMade(id=key, title=f"by {uuid4()}", by=SYSTEM_BY))
            await tx.flush()
            if commit:
                await session.commit()

    # steps of the relay

    async def unsent(self, most: int) -> list[Any]:
        async with direct_connection(self.url, "test") as connection:
            return list(await connection.fetch(relay._UNSENT, 0, most))

    async def send(self, rows: list[Any]) -> list[int]:
        return await self.running.relay.sender.send(self.running.relay._split(rows))

    async def mark(self, acknowledged: list[int]) -> None:
        async with direct_connection(self.url, "test") as connection:
            await self.running.relay._mark(connection, acknowledged)

    # steps of the consumer

    async def records(self, tp: TopicPartition, begin: int, most: int) -> list[Any]:
        end = (await self.reader.end_offsets([tp]))[tp]
        if begin >= end:
            return []
        self.reader.assign([tp])
        self.reader.seek(tp, begin)
        while True:
            polled = await self.reader.getmany(tp, timeout_ms=1_000, max_records=most)
            if polled.get(tp):
                return list(polled[tp])

    async def position(self, tp: TopicPartition) -> int:
        return (await self.running.consumer.delivery.positions({self.topic: self.log})).get((tp.topic, tp.partition), 0)

    async def handle(self, tp: TopicPartition, records: list[Any]) -> None:
        await self.running.consumer.delivery.handle(self.log, tp, records)

    async def handle_and_die(self, tp: TopicPartition, records: list[Any]) -> None:
        """Everything but the commit."""
        delivery = self.running.consumer.delivery
        session = delivery.session()
        session.commit = session.rollback  # type: ignore[method-assign]
        dying = type(delivery)(**{**delivery.__dict__, "session": lambda: session})
        await dying.handle(self.log, tp, records)

    async def told(self) -> tuple[list[Any], list[Any]]:
        """What is in the outbox, and heard."""
        async with direct_connection(self.url, "test") as connection:
            rows = await connection.fetch("select event_id, key, sequence, published_at from outbox order by id")
            heard = await connection.fetch("select id, thing_id, sequence from heard order by ctid")
            assert await connection.fetchval("select count(*) from dead_letter") == 0
        return rows, heard

    async def on_kafka(self) -> list[CloudEvent]:
        """Of all examples."""
        return await read_topic(self.parts.bootstrap, self.topic)


class Steps(RuleBasedStateMachine):
    """The rules; `runner` and `kernel` are bound by the test, as hypothesis makes the instances."""

    runner: ClassVar[asyncio.Runner]
    kernel: ClassVar[Kernel]

    @initialize()
    def begin(self) -> None:
        self.runner.run(self.kernel.empty())
        self.begun = dict(self.runner.run(self.kernel.reader.end_offsets(self.kernel.partitions)))
        self.runner.run(self._start_at_the_end())
        self.in_hand: list[Any] = []
        self.acknowledged: list[int] = []

    async def _start_at_the_end(self) -> None:
        """Each example has the log to itself from here on."""
        async with direct_connection(self.kernel.url, "test") as connection:
            for tp, end in self.begun.items():
                await connection.execute(
                    "insert into consumer_positions values ($1, $2, $3, $4)",
                    self.kernel.log,
                    tp.topic,
                    tp.partition,
                    end,
                )

    @rule(key=st.sampled_from(KEYS), commit=st.booleans())
    def command(self, key: UUID, *, commit: bool) -> None:
        self.runner.run(self.kernel.write(key, commit=commit))

    @precondition(lambda self: not self.in_hand)
    @rule(most=st.integers(1, 5))
    def relay_reads(self, most: int) -> None:
        self.in_hand = self.runner.run(self.kernel.unsent(most))

    @precondition(lambda self: self.in_hand and not self.acknowledged)
    @rule()
    def relay_sends(self) -> None:
        self.acknowledged = self.runner.run(self.kernel.send(self.in_hand))
        assert len(self.acknowledged) == len(self.in_hand)

    @precondition(lambda self: self.acknowledged)
    @rule()
    def relay_marks(self) -> None:
        self.runner.run(self.kernel.mark(self.acknowledged))
        self.in_hand, self.acknowledged = [], []

    @rule()
    def relay_dies(self) -> None:
        self.in_hand, self.acknowledged = [], []

    @rule(partition=st.integers(0, TOPIC.partitions - 1), most=st.integers(1, 4), dies=st.booleans())
    def consumer_works(self, partition: int, most: int, *, dies: bool) -> None:
        tp = self.kernel.partitions[partition]
        records = self.runner.run(self.kernel.records(tp, self.runner.run(self.kernel.position(tp)), most))
        if records:
            self.runner.run(self.kernel.handle_and_die(tp, records) if dies else self.kernel.handle(tp, records))

    @rule(partition=st.integers(0, TOPIC.partitions - 1), data=st.data())
    def records_come_again(self, partition: int, data: st.DataObject) -> None:
        """What was read before, in any order: the position moves with it, as after a lost rebalance."""
        tp = self.kernel.partitions[partition]
        here = self.runner.run(self.kernel.position(tp))
        old = self.runner.run(self.kernel.records(tp, self.begun[tp], 500))
        old = [record for record in old if record.offset < here]
        if old:
            shuffled = data.draw(st.permutations(old))
            self.runner.run(self.kernel.handle(tp, [*shuffled, old[-1]]))

    @invariant()
    def nobody_hears_what_never_was(self) -> None:
        if not hasattr(self, "begun"):
            return
        rows, heard = self.runner.run(self.kernel.told())
        assert {row["id"] for row in heard} <= {row["event_id"] for row in rows}
        assert len({row["id"] for row in heard}) == len(heard)

    def teardown(self) -> None:
        if not hasattr(self, "begun"):
            return
        while rows := self.runner.run(self.kernel.unsent(500)):
            self.runner.run(self.kernel.mark(self.runner.run(self.kernel.send(rows))))
        for tp in self.kernel.partitions:
            while records := self.runner.run(self.kernel.records(tp, self.runner.run(self.kernel.position(tp)), 500)):
                self.runner.run(self.kernel.handle(tp, records))
        self._nothing_is_lost_and_all_is_in_order()

    def _nothing_is_lost_and_all_is_in_order(self) -> None:
        rows, heard = self.runner.run(self.kernel.told())
        on_kafka = self.runner.run(self.kernel.on_kafka())
        ids = [row["event_id"] for row in rows]
        assert set(ids) <= {event.id for event in on_kafka}
        assert sorted(row["id"] for row in heard) == sorted(ids)
        told: dict[str, list[str]] = defaultdict(list)
        for row in heard:
            told[str(row["thing_id"])].append(row["sequence"])
        for sequences in told.values():
            assert sequences == [f"0001-{n:010d}" for n in range(1, len(sequences) + 1)]


def test_whatever_dies_between_two_steps_every_event_has_its_effect_once_and_in_order(parts: Parts) -> None:
    with asyncio.Runner() as runner:
        kernel = Kernel(parts, runner.run(probe_database(parts)))
        runner.run(kernel.open())
        try:
            run_state_machine_as_test(
                type("BoundSteps", (Steps,), {"runner": runner, "kernel": kernel}),
                settings=settings(
                    max_examples=EXAMPLES,
                    stateful_step_count=STEPS,
                    deadline=None,
                    derandomize=True,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                    phases=[Phase.generate, Phase.shrink],
                ),
            )
        finally:
            runner.run(kernel.close())
