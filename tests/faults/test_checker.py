"""The checker is fed each violation and must name it; what keeps the promise must pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.faults.checker import (
    Effect,
    Evidence,
    Healing,
    Post,
    Projection,
    Record,
    Row,
    Sight,
    Vitals,
    Write,
    figures,
    verify,
)

SOURCE = "urn:bandung:faults:registry"
TOPIC = "registry.needs"


def row(number: int, *, key: str = "k", mark: str = "", sent: bool = True, epoch: int = 1) -> Row:
    sequence = f"{epoch:04d}-{number:010d}"
    return Row((SOURCE, f"{key}{number}"), TOPIC, key, sequence, "NeedUpdated", f"needs/{key}", sent, mark)


def record(of: Row, partition: int = 2) -> Record:
    return Record(of.event, of.topic, of.key, of.sequence, of.type, partition)


ROWS = [row(1, mark="a"), row(2, mark="b"), row(3), row(1, key="l")]
ENTRY = Effect("inbox entry", "k1 institution:x")


def sound() -> Evidence:
    """Three events of one key and one of another, published with a duplicate, heard by one of two consumers."""
    records = [record(r) for r in (ROWS[0], ROWS[1], ROWS[0], ROWS[3], ROWS[2])]
    return Evidence(
        writes=[Write("NeedUpdated", "needs/k", "a"), Write("NeedUpdated", "needs/k", "b")],
        refused=[Write("NeedUpdated", "needs/k", "refused")],
        rows=list(ROWS),
        records=records,
        subscribed={"matching": {"NeedUpdated"}, "projects": {"MatchFormalised"}},
        taken={"matching": [r.event for r in ROWS[:3]]},
        buried={"matching": {ROWS[3].event}},
        effects=[ENTRY],
        expected={ENTRY},
        projections=[Projection("matching", TOPIC, "k", ROWS[2].sequence)],
        applied={("matching", TOPIC, "k"): [r.sequence for r in ROWS[:3]]},
        posts=[Post("hook", ROWS[0].event), Post("hook", ROWS[0].event)],
        owed={("hook", ROWS[0].event)},
        vitals=[Vitals("registry", 120, 9)],
        healing=Healing(3.2),
        sights=[Sight("kafka away", 4.0, "no broker reachable", "broker")],
    )


def test_a_kept_promise_has_no_violation_and_its_duplicates_are_counted() -> None:
    assert verify(sound()) == []
    found = figures(sound())
    assert (found.events, found.lost, found.ghosts, found.duplicates, found.inversions) == (4, 0, 0, 1, 0)


def without(e: Evidence, gone: Row) -> list[Record]:
    return [r for r in e.records if r.event != gone.event]


Change = Callable[[Evidence], Evidence]
VIOLATIONS: dict[str, tuple[str, str, Change]] = {
    "an acknowledged write without an event": (
        "I1", "was acknowledged and has no event",
        lambda e: replace(e, writes=[*e.writes, Write("NeedPosted", "needs/z", "c")]),
    ),
    "an event that never reached Kafka": (
        "I1", "NeedUpdated k3 is committed and not on Kafka",
        lambda e: replace(e, rows=[*ROWS[:2], replace(ROWS[2], sent=False), ROWS[3]], records=without(e, ROWS[2])),
    ),
    "an event that was marked and never reached Kafka": (
        "I1", "k3 is committed and marked as sent and not on Kafka",
        lambda e: replace(e, records=without(e, ROWS[2])),
    ),
    "a consumer that missed an event": (
        "I1", "matching has not had NeedUpdated k2",
        lambda e: replace(e, taken={"matching": [ROWS[0].event, ROWS[2].event]}),
    ),
    "a buried event that nobody has": (
        "I1", "matching has not had NeedUpdated l1",
        lambda e: replace(e, buried={}),
    ),
    "an effect that is missing": (
        "I1", "inbox entry of k1 institution:x is missing",
        lambda e: replace(e, effects=[]),
    ),
    "a webhook that was not told": (
        "I1", "webhook hook was not told of k2",
        lambda e: replace(e, owed={("hook", ROWS[1].event)}),
    ),
    "an event of a transaction that was rolled back": (
        "I2", "NeedUpdated k9 is on Kafka and was never committed",
        lambda e: replace(e, records=[*e.records, record(row(9))]),
    ),
    "an event of a refused request": (
        "I2", "of a refused request was committed",
        lambda e: replace(e, refused=[Write("NeedUpdated", "needs/k", "b")]),
    ),
    "a webhook told of what never was": (
        "I2", "was told of k9, which never was",
        lambda e: replace(e, posts=[*e.posts, Post("hook", row(9).event)]),
    ),
    "an effect that is there twice": (
        "I3", "2 times inbox entry of k1 institution:x",
        lambda e: replace(e, effects=[ENTRY, ENTRY]),
    ),
    "an event taken twice": (
        "I3", "matching took k1 2 times",
        lambda e: replace(e, taken={"matching": [r.event for r in (*ROWS[:3], ROWS[0])]}),
    ),
    "one request with two events": (
        "I3", "2 events of one request",
        lambda e: replace(e, rows=[row(1, mark="a"), row(2, mark="b"), row(3, mark="b"), ROWS[3]]),
    ),
    "an order turned round on Kafka": (
        "I4", "registry.needs k was published out of order",
        lambda e: replace(e, records=[record(r) for r in (ROWS[1], ROWS[0], ROWS[2], ROWS[3])]),
    ),
    "a gap in the numbers": (
        "I4", "registry.needs k was committed with gaps",
        lambda e: replace(e, rows=[ROWS[0], row(2, mark="b"), row(4), ROWS[3]]),
    ),
    "a key in two partitions": (
        "I4", "registry.needs k stands in partitions [2, 5]",
        lambda e: replace(e, records=[*e.records, record(ROWS[0], 5)]),
    ),
    "a read model that stands still": (
        "I4", "matching is at 0001-0000000002 of registry.needs k, which ended at 0001-0000000003",
        lambda e: replace(e, projections=[Projection("matching", TOPIC, "k", ROWS[1].sequence)]),
    ),
    "a read model that went back": (
        "I4", "matching applied registry.needs k backwards",
        lambda e: replace(e, applied={("matching", TOPIC, "k"): [r.sequence for r in (ROWS[0], ROWS[2], ROWS[1])]}),
    ),
    "a slow recovery": ("I5", "healed after 75 s", lambda e: replace(e, healing=Healing(75))),
    "rows left unsent": ("I5", "2 rows are unsent", lambda e: replace(e, healing=Healing(1, unsent=2))),
    "records left unread": ("I5", "7 records are unread", lambda e: replace(e, healing=Healing(1, lag=7))),
    "help by hand": ("I5", "1 restarts by hand", lambda e: replace(e, healing=Healing(1, restarts_by_hand=1))),
    "memory without a bound": ("I6", "has 900 MB", lambda e: replace(e, vitals=[Vitals("registry", 900, 9)])),
    "connections without a bound": ("I6", "holds 60", lambda e: replace(e, vitals=[Vitals("registry", 90, 60)])),
    "a fault that nobody can see": (
        "I7", "kafka away did not show within 30 s",
        lambda e: replace(e, sights=[Sight("kafka away", None)]),
    ),
    "a fault that shows too late": (
        "I7", "kafka away did not show within 30 s",
        lambda e: replace(e, sights=[Sight("kafka away", 44, "no broker", "broker")]),
    ),
    "a fault without its cause": (
        "I7", "does not name 'broker'",
        lambda e: replace(e, sights=[Sight("kafka away", 4, "something", "broker")]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", VIOLATIONS)
def test_each_violation_is_named(what: str) -> None:
    invariant, words, change = VIOLATIONS[what]
    told = [str(violation) for violation in verify(change(sound()))]
    assert any(text.startswith(f"{invariant}: ") and words in text for text in told), told


@pytest.mark.parametrize(("rows", "sound_"), [
    ([row(1), row(2), row(3, epoch=2)], True),
    ([row(1), row(2), row(3), row(2, epoch=2), row(3, epoch=2)], True),
    ([row(1), row(2), row(4, epoch=2)], False),
    ([row(2), row(3)], False),
])  # fmt: skip
def test_a_later_epoch_goes_on_with_the_next_number_or_from_where_a_backup_was(
    rows: list[Row], *, sound_: bool
) -> None:
    rows = [replace(r, event=(SOURCE, r.sequence)) for r in rows]
    told = verify(Evidence(rows=rows, records=[record(r) for r in rows]))
    assert (told == []) == sound_, told
