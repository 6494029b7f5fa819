"""Which log stands behind a topic's name.

A topic that was deleted and made again, or is on a broker that lost its disk, has its old name and other records.
aiokafka notices neither, and does not know topic ids (KIP-516), so the request is spelt out here.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any
from uuid import UUID

from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ASK_SECONDS = 5.0
_UNKNOWN_TOPIC = 3
_NO_ID = UUID(int=0)


class _Uuid(AbstractType):  # type: ignore[misc]  # aiokafka has no types
    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))


_NAME = CompactString("utf-8")


class _TopicsResponse(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = 3, 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(("node_id", Int32), ("host", _NAME), ("port", Int32), ("rack", _NAME), ("tags", TaggedFields)),
        ),
        ("cluster_id", _NAME),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", _NAME),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _TopicsRequestStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY, API_VERSION = 3, 12
    RESPONSE_TYPE = _TopicsResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("topic", _NAME), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _TopicsRequest(Request[_TopicsRequestStruct]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: Any) -> Any:  # noqa: ANN401 (aiokafka has no types)
        return request_struct_class([(_NO_ID, topic, {}) for topic in self._topics], False, False, {})


@dataclass(frozen=True, slots=True)
class Log:
    """What is behind the name of a topic now: `<cluster>/<topic id>`, which no other log has, and its partitions."""

    id: str
    partitions: int


async def find_logs(
    client: Any,  # noqa: ANN401 (aiokafka's AIOKafkaClient)
    topics: Iterable[str],
    *,
    group: int = ConnectionGroup.DEFAULT,
) -> dict[str, Log]:
    """Topic -> its log; raises KafkaError, also when a topic is missing. `group`: which connection to the broker."""
    answer = await client.send(client.get_random_node(), _TopicsRequest(sorted(topics)), group=group)
    found: dict[str, Log] = {}
    for error, topic, topic_id, _internal, partitions, *_ in answer.topics:
        if error == _UNKNOWN_TOPIC:
            raise UnknownTopicOrPartitionError(topic)
        if error or topic_id == _NO_ID:
            msg = f"topic {topic}: error {error}"
            raise KafkaError(msg)
        found[topic] = Log(f"{answer.cluster_id}/{topic_id}", len(partitions))
    return found


async def change_of(client: Any, known: Mapping[str, Log]) -> str | None:  # noqa: ANN401 (aiokafka's AIOKafkaClient)
    """In words, how these topics are not what they were; None also while Kafka does not say.

    Asked on the connection of the heartbeats: on the other one the answer stands behind that of a fetch, which waits
    some seconds for records, and whoever asks can do nothing else meanwhile.
    """
    try:
        async with asyncio.timeout(ASK_SECONDS):
            found = await find_logs(client, known, group=ConnectionGroup.COORDINATION)
    except UnknownTopicOrPartitionError as error:
        return f"topic {error} is gone"
    except (KafkaError, TimeoutError, OSError):
        return None
    changed = [topic for topic, log in found.items() if log != known[topic]]
    return f"made anew, or with more partitions: {', '.join(changed)}" if changed else None
