"""What a consumer of Kafka relies on besides the values: headers, keys, and how long topics keep records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shared.contracting import asyncapi, records
from shared.contracting.structure import Change, Comparison, Direction, escaped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shared.messaging.envelope import Event
    from shared.service import Service

Json = dict[str, Any]
_KEPT = ("retention.ms", "retention.bytes", "min.compaction.lag.ms")
_FOR_EVER = -1
_BY = "/by/"  # who caused it may be whom it is about, but is no key


def message() -> Json:
    """The form that all records share."""
    its = asyncapi.trait()
    return {"contentType": its["contentType"], "headers": its["headers"], "key": its["bindings"]["kafka"]["key"]}


def topics(service: Service) -> Json:
    """Partitions and retention of every topic of the installation; each service declares all of them."""
    return {topic.name: {"partitions": topic.partitions, "config": topic.config()} for topic in service.topics}


def keys(event: type[Event], values: Mapping[str, Any]) -> list[str]:
    """Which members of the value are the record's key, as JSON pointers, in the example of the story."""
    made = records.story(event, values)
    return [
        place
        for place, value in _leaves(json.loads(made.data))
        if value == made.partitionkey and not place.startswith(_BY)
    ]


def compare_messages(old: Json, new: Json) -> list[Change]:
    """What breaks in the form that all records share."""
    comparison = Comparison(old, new, Direction.EVENT)
    if old["contentType"] != new["contentType"]:
        was, now = old["contentType"], new["contentType"]
        comparison.changes.append(Change("retyped", "/contentType", f"{was} became {now}"))
    comparison.compare(old["headers"], new["headers"], "/headers")
    comparison.compare(old["key"], new["key"], "/bindings/kafka/key")
    return comparison.changes


def compare_topics(old: Json, new: Json) -> Iterator[Change]:
    """Topics that are gone, shuffle their keys or keep less than before."""
    for name, topic in old.items():
        where = f"/channels/{escaped(name)}"
        if name not in new:
            yield Change("removed", where, "the topic is gone")
            continue
        now = new[name]
        if topic["partitions"] != now["partitions"]:
            words = f"{topic['partitions']} became {now['partitions']}: keys change their partition"
            yield Change("moved", f"{where}/partitions", words)
        yield from _retention(topic["config"], now["config"], where)


def _retention(old: Json, new: Json, where: str) -> Iterator[Change]:
    before, after = old["cleanup.policy"], new["cleanup.policy"]
    if before != after:
        yield Change("narrowed", f"{where}/cleanup.policy", f"{before} became {after}")
        return
    for word in _KEPT:
        if word in old and _length(new.get(word)) < _length(old[word]):
            yield Change("narrowed", f"{where}/{word}", f"{old[word]} became {new.get(word, 'none')}")


def _length(given: str | None) -> float:
    length = int(given or 0)
    return float("inf") if length == _FOR_EVER else length


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 (any JSON)
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _leaves(member, f"{place}/{escaped(name)}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _leaves(item, f"{place}/{number}")
    else:
        yield place, value
