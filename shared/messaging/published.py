"""Whether Kafka still is the one that was published to; if not, what is kept in the outbox is sent again.

A broker that lost its disk and a topic that was deleted come back empty under their old names. What consumers had not
read is gone then, although it was acknowledged and marked; the outbox still has it, for as long as it keeps sent rows.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from shared.messaging.logs import ASK_SECONDS, find_logs

if TYPE_CHECKING:
    from collections.abc import Collection

    import asyncpg

log = structlog.get_logger(__name__)

FRESH_SECONDS = 1.0  # a broker needs longer than that to come back without its disk
_BATCH = 5_000

_UNMARK = """
    update outbox set published_at = null where id = any(array(
        select id from outbox where topic = $1 and published_at is not null order by id limit $2
    ))
"""
_REMEMBER = "insert into published_log values ($1, $2) on conflict (topic) do update set log = excluded.log"


@dataclass
class PublishedLogs:
    """The logs of the topics that one service publishes."""

    topics: Collection[str]
    prefix: str
    asked_at: float = float("-inf")
    """When Kafka last said which they are."""
    _known: dict[str, str] = field(default_factory=dict)
    _of: Any = None

    async def are_new(self, connection: asyncpg.Connection, client: Any) -> bool:  # noqa: ANN401 (aiokafka's client)
        """True when rows must be read again, since some were unmarked. Asks Kafka once a second at most.

        Raises KafkaError or TimeoutError when Kafka does not say.
        """
        now = asyncio.get_running_loop().time()
        if not self.topics or (self._of is client and now - self.asked_at < FRESH_SECONDS):
            return False
        async with asyncio.timeout(ASK_SECONDS):
            logs = await find_logs(client, [self.prefix + topic for topic in self.topics])
        found = {topic.removeprefix(self.prefix): each.id for topic, each in logs.items()}
        self.asked_at, self._of = now, client
        if found == self._known:
            return False
        again = await self._compare(connection, found)
        self._known = found
        return again > 0

    def forget(self) -> None:
        """What was said until now may be of another broker: Kafka is asked before anything is sent again."""
        self.asked_at = float("-inf")

    async def _compare(self, connection: asyncpg.Connection, found: dict[str, str]) -> int:
        # what this process saw counts where the table says nothing: a migration down and up again empties it
        known = self._known | dict(await connection.fetch("select topic, log from published_log"))
        again = 0
        for topic, log_id in found.items():
            if topic in known and known[topic] != log_id:
                unmarked = await _unmark(connection, topic)
                log.warning("log_is_new", topic=topic, sent_again=unmarked)
                again += unmarked
            if known.get(topic) != log_id:
                # after the rows: when this process dies in between, all is done again
                await connection.execute(_REMEMBER, topic, log_id)
        return again


async def _unmark(connection: asyncpg.Connection, topic: str) -> int:
    unmarked = 0
    while number := int((await connection.execute(_UNMARK, topic, _BATCH)).split()[-1]):
        unmarked += number
    return unmarked
