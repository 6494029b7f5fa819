"""Consume Bandung's topics on Kafka: at least once, no effect twice, nothing stale. Needs `pip install aiokafka`.

    KAFKA=127.0.0.1:9092 GROUP=ministry TOPICS=registry.needs,matching.matches python consume_kafka.py

Order: handle, then commit. What a crash in between repeats has a sequence that was applied already, and is dropped.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord

TOPICS = os.environ.get("TOPICS", "registry.needs,registry.capabilities,registry.institutions").split(",")
database = sqlite3.connect(os.environ.get("DATABASE", "kafka.sqlite"), isolation_level=None)
database.executescript("""
    pragma journal_mode = wal;
    create table if not exists applied (topic text, key text, sequence text, primary key (topic, key));
    create table if not exists state (subject text primary key, data text);
""")


def on_need_posted(subject: str, data: dict[str, Any]) -> None:
    """Your own work, one function per type; runs in one transaction with the mark that it is done."""
    database.execute("insert or replace into state values (?, ?)", (subject, json.dumps(data["need"])))


def on_match_proposed(subject: str, data: dict[str, Any]) -> None:
    """The same for another type."""
    database.execute("insert or replace into state values (?, ?)", (subject, json.dumps(data["match"])))


HANDLERS = {
    "org.bandung.NeedPosted.v1": on_need_posted,
    "org.bandung.MatchProposed.v1": on_match_proposed,
}


def handle(record: ConsumerRecord) -> str:
    """One record, once: what became of it."""
    headers = {name: value.decode() for name, value in record.headers}
    handler = HANDLERS.get(headers.get("ce_type", ""))
    if handler is None or record.value is None:
        return "skipped"  # a type we do not know (new ones may come at any time), or a tombstone
    key = (record.key or b"").decode()
    database.execute("begin immediate")
    try:
        # contiguous per topic and key, and compares as text; a snapshot tells the same under a higher epoch
        known = database.execute("select sequence from applied where topic = ? and key = ?", (record.topic, key))
        if headers["ce_sequence"] <= (known.fetchone() or ("",))[0]:
            return "stale"
        handler(headers["ce_subject"], json.loads(record.value))
        mark = (record.topic, key, headers["ce_sequence"])
        database.execute("insert or replace into applied values (?, ?, ?)", mark)
        database.execute("commit")
    finally:
        if database.in_transaction:
            database.execute("rollback")
    return "handled"


async def main() -> None:
    """Until SIGTERM; a record that `handle` fails on ends the program, and is the first one next time."""
    consumer = AIOKafkaConsumer(
        *TOPICS,
        bootstrap_servers=os.environ.get("KAFKA", "127.0.0.1:9092"),
        group_id=os.environ.get("GROUP", "partner"),
        group_instance_id=os.environ.get("INSTANCE", "1"),  # after a crash it takes its own place again, at once
        auto_offset_reset="earliest",  # the default, `latest`, would miss what was there before us
        enable_auto_commit=False,  # a timer would commit what is not handled yet
    )
    work = asyncio.ensure_future(consume(consumer))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    await asyncio.wait({work})
    await asyncio.wait({asyncio.ensure_future(consumer.stop())}, timeout=5)
    if not work.cancelled():
        work.result()


async def consume(consumer: AIOKafkaConsumer) -> None:
    """The loop."""
    await consumer.start()
    print(f"Consuming {', '.join(TOPICS)}", file=sys.stderr, flush=True)
    while True:
        for partition, records in (await consumer.getmany(timeout_ms=1000, max_records=500)).items():
            for record in records:
                outcome = handle(record)
                place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
                print(json.dumps({"outcome": outcome} | place), flush=True)
            await consumer.commit({partition: records[-1].offset + 1})


if __name__ == "__main__":
    asyncio.run(main())
