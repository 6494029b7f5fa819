"""Notices a Kafka client that stands still, so that a new one can take its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiokafka.client import ConnectionGroup

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, TopicPartition

PROGRESS_SECONDS = 60.0
ANSWER_SECONDS = 20.0  # Kafka answers a fetch within five, whether there are records or not
MOST_STEP_SECONDS = 5.0
"""What one look may add: a process that was frozen, or busy with a slice, did not wait for Kafka meanwhile."""


class MustRebuild(Exception):  # noqa: N818
    """This consumer object cannot go on; a new one can."""


@dataclass
class _Silence:
    """How long a partition has had no answer. `stamp`: when the last one came, and where the next is waited for.

    When either changes it begins anew: a request whose connection broke is asked again on another, and one that may
    wait for records is never answered where connections do not last as long; nothing is wrong with the client.
    """

    stamp: tuple[int | None, object]
    seconds: float = 0.0


@dataclass
class Watchdog:
    """Outlives the clients of one consumer; told of each and of each new share, and looks after every poll."""

    rebuilds: int = 0
    """Clients replaced since records last came because others waited: more of them, and a new process may help."""
    _looked_at: float = 0.0
    _waited: float = 0.0
    _silences: dict[TopicPartition, _Silence] = field(default_factory=dict)

    def begin(self, now: float) -> None:
        """Another client or another share from now on, or a broker that was away."""
        self._looked_at, self._waited = now, 0.0
        self._silences.clear()

    def look(self, consumer: AIOKafkaConsumer, now: float, *, waiting: int, advanced: bool, away: bool) -> None:
        """Raises `MustRebuild` when records wait and none come, or when Kafka has stopped answering.

        `waiting`: records not handled yet. `advanced`: some came. `away`: the broker is known to be so.
        """
        step = min(now - self._looked_at, MOST_STEP_SECONDS)
        self._looked_at = now
        if advanced:
            self.rebuilds = 0
        if away:
            self.begin(now)
            return
        self._progress(step, idle=advanced or not waiting or bool(consumer.paused()), waiting=waiting)
        # nothing is asked of a broker while records that it sent are still in the buffer
        self._answers(consumer, 0.0 if advanced else step)

    def _progress(self, step: float, *, idle: bool, waiting: int) -> None:
        """Seen after resets that the client did not notice."""
        self._waited = 0.0 if idle else self._waited + step
        if self._waited > PROGRESS_SECONDS:
            self.rebuilds += 1
            raise MustRebuild(f"{waiting} records wait, none came for {PROGRESS_SECONDS:g} s")

    def _answers(self, consumer: AIOKafkaConsumer, step: float) -> None:
        """A client without answers knows of no records that wait, so that it would be taken for an idle one."""
        asked = {tp for tp in consumer.assignment() - consumer.paused() if _has_leader(consumer, tp)}
        self._silences = {tp: self._silence(consumer, tp, step) for tp in asked}
        silent = [tp for tp, silence in self._silences.items() if silence.seconds > ANSWER_SECONDS]
        if silent:
            raise MustRebuild(f"Kafka has not answered for {len(silent)} partitions in {ANSWER_SECONDS:g} s")

    def _silence(self, consumer: AIOKafkaConsumer, tp: TopicPartition, step: float) -> _Silence:
        stamp, known = (consumer.last_poll_timestamp(tp), _connection(consumer, tp)), self._silences.get(tp)
        if known is None or known.stamp != stamp:
            return _Silence(stamp)
        return _Silence(stamp, known.seconds + step)


def _connection(consumer: AIOKafkaConsumer, tp: TopicPartition) -> object:
    """The one on which its records are asked for (private names: the version is pinned)."""
    leader = consumer._client.cluster.leader_for_partition(tp)  # noqa: SLF001
    return consumer._client._conns.get((leader, ConnectionGroup.DEFAULT))  # noqa: SLF001


def _has_leader(consumer: AIOKafkaConsumer, tp: TopicPartition) -> bool:
    """Nobody is asked for a partition without one, and the others go on (private name: the version is pinned)."""
    return consumer._client.cluster.leader_for_partition(tp) not in (None, -1)  # noqa: SLF001
