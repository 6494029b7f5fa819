"""`bandung tail`: every event on Kafka as it happens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer
from aiokafka import AIOKafkaConsumer
from rich.console import Console

from shared.events.topics import TOPICS
from shared.messaging.envelope import CloudEvent, NotACloudEvent, short
from shared.messaging.kafka import stop_bounded

if TYPE_CHECKING:
    from shared.ops.settings import ServiceSettings


async def follow(settings: ServiceSettings, *, thread: str | None, since_start: bool, as_json: bool) -> None:
    """Prints events until cancelled; without a group, so it disturbs nobody."""
    consumer = AIOKafkaConsumer(
        *(settings.topic_prefix + topic.name for topic in TOPICS),
        bootstrap_servers=settings.kafka_bootstrap,
        auto_offset_reset="earliest" if since_start or thread else "latest",
    )
    await consumer.start()
    try:
        async for record in consumer:
            _print(record.headers, record.value, thread=thread, as_json=as_json)
    finally:
        await stop_bounded(consumer)


def _print(headers: list[tuple[str, bytes]], value: bytes | None, *, thread: str | None, as_json: bool) -> None:
    try:
        event = CloudEvent.from_record(headers, value)
        document = event.structured()
    except (NotACloudEvent, ValueError) as error:
        typer.secho(f"no event: {error}", err=True, fg="red")
        return
    if thread is not None and event.correlationid != thread:
        return
    if as_json:
        typer.echo(json.dumps(document, ensure_ascii=False))
        return
    who = document["data"].get("by", {}).get("institution_id") or "system"
    what = f"[bold]{short(event.type):<24}[/] {event.subject:<52}"
    words = f"[dim]{document['time']}[/]  {what} [dim]thread {event.correlationid} by {who}[/]"
    Console().print(words, highlight=False, soft_wrap=True)
