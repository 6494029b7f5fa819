"""The one checker: what was written, what stands on Kafka and what came of it, against the invariants I1 to I7.

It is pure: `tests/faults/gather.py` fills the evidence from an installation, `verify` says what is wrong with it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

HEALED_SECONDS = 60.0
VISIBLE_SECONDS = 30.0
MEMORY_MB = 400.0
CONNECTIONS = 20
"""Of one process: ten for requests, five for the background, one of the relay, and some that are just closing."""

EventId = tuple[str, str]
"""(source, id) of an event."""


@dataclass(frozen=True, slots=True)
class Write:
    """A request that was answered with success: exactly one event of this type about this subject bears its mark."""

    type: str
    subject: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One committed outbox row."""

    event: EventId
    topic: str
    key: str
    sequence: str
    type: str
    subject: str
    sent: bool = True
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """One record of Kafka, in the order of its partition."""

    event: EventId
    topic: str
    key: str
    sequence: str
    type: str
    partition: int = 0


@dataclass(frozen=True, slots=True)
class Effect:
    """Something that must exist once: an inbox entry, a row of the feed, a project of a match, a thing of a request."""

    kind: str
    of: str


@dataclass(frozen=True, slots=True)
class Projection:
    """What one consumer holds of a key of a topic: the sequence of the last event it applied."""

    consumer: str
    topic: str
    key: str
    sequence: str


@dataclass(frozen=True, slots=True)
class Post:
    """A request that a webhook endpoint got."""

    endpoint: str
    event: EventId
    sequence: str = ""


@dataclass(frozen=True, slots=True)
class Vitals:
    """One process at the end, with what it must not use up."""

    process: str
    memory_mb: float
    connections: int


@dataclass(frozen=True, slots=True)
class Healing:
    """How the installation came back after the fault's end."""

    seconds: float
    unsent: int = 0
    lag: int = 0
    restarts_by_hand: int = 0


@dataclass(frozen=True, slots=True)
class Sight:
    """What `/readyz` said of a fault that lasted: the seconds until it was seen (None: never), and the words."""

    fault: str
    seconds: float | None
    words: str = ""
    cause: str = ""
    """A word that must stand among them."""


@dataclass(frozen=True)
class Evidence:
    """Everything that one installation shows after a fault."""

    writes: list[Write] = field(default_factory=list)
    refused: list[Write] = field(default_factory=list)
    """Requests that were answered with a refusal, under marks of their own: no event may bear one."""
    rows: list[Row] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    subscribed: dict[str, set[str]] = field(default_factory=dict)
    """Consumer -> event types it handles."""
    taken: dict[str, list[EventId]] = field(default_factory=dict)
    """Consumer -> events in its inbox."""
    buried: dict[str, set[EventId]] = field(default_factory=dict)
    """Consumer -> events among its dead letters."""
    effects: list[Effect] = field(default_factory=list)
    expected: set[Effect] = field(default_factory=set)
    """Effects that must be there."""
    projections: list[Projection] = field(default_factory=list)
    applied: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)
    """(consumer, topic, key) -> sequences in the order in which they had their effect."""
    posts: list[Post] = field(default_factory=list)
    owed: set[tuple[str, EventId]] = field(default_factory=set)
    """(endpoint, event) that a webhook must have been told of."""
    vitals: list[Vitals] = field(default_factory=list)
    healing: Healing | None = None
    sights: list[Sight] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong, and which invariant says so."""

    invariant: str
    text: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.text}"


@dataclass(frozen=True, slots=True)
class Figures:
    """What the table of faults shows."""

    events: int
    lost: int
    ghosts: int
    duplicates: int
    inversions: int


def verify(evidence: Evidence) -> list[Violation]:
    """Everything that is wrong, worst first; empty when the promise was kept."""
    checks = (_lost, _ghosts, _repeated, _disordered, _unhealed, _unbounded, _unseen)
    return [violation for check in checks for violation in check(evidence)]


def figures(evidence: Evidence) -> Figures:
    """Numbers of the same evidence. Duplicates on Kafka are no violation: the inbox is there for them."""
    kinds = Counter(violation.invariant for violation in verify(evidence))
    return Figures(
        events=len({row.event for row in evidence.rows}),
        lost=kinds["I1"],
        ghosts=kinds["I2"],
        duplicates=len(evidence.records) - len({record.event for record in evidence.records}),
        inversions=kinds["I4"],
    )


def _lost(e: Evidence) -> list[Violation]:
    return [Violation("I1", text) for text in (*_unwritten(e), *_unpublished(e), *_unheard(e), *_untold(e))]


def _unwritten(e: Evidence) -> list[str]:
    written = {(row.type, row.subject, row.mark) for row in e.rows}
    return [
        f"{write.type} of {write.subject} was acknowledged and has no event"
        for write in e.writes
        if (write.type, write.subject, write.mark) not in written
    ]


def _unpublished(e: Evidence) -> list[str]:
    on_kafka = {record.event for record in e.records}
    return [
        f"{row.type} {row.event[1]} is committed{' and marked as sent' if row.sent else ''} and not on Kafka"
        for row in e.rows
        if row.event not in on_kafka
    ]


def _unheard(e: Evidence) -> list[str]:
    missing = []
    for consumer, types in e.subscribed.items():
        dealt_with = {*e.taken.get(consumer, ()), *e.buried.get(consumer, ())}
        missing += [
            f"{consumer} has not had {record.type} {record.event[1]}"
            for record in {record.event: record for record in e.records}.values()
            if record.type in types and record.event not in dealt_with
        ]
    return missing


def _untold(e: Evidence) -> list[str]:
    there, posted = set(e.effects), {(post.endpoint, post.event) for post in e.posts}
    texts = [f"{effect.kind} of {effect.of} is missing" for effect in e.expected - there]
    return texts + [f"webhook {endpoint} was not told of {event[1]}" for endpoint, event in e.owed - posted]


def _ghosts(e: Evidence) -> list[Violation]:
    committed = {row.event for row in e.rows}
    strangers = {record.event: record for record in e.records if record.event not in committed}
    texts = [f"{record.type} {event[1]} is on Kafka and was never committed" for event, record in strangers.items()]
    marked = {(row.type, row.mark) for row in e.rows}
    texts += [f"{w.type} of a refused request was committed" for w in e.refused if (w.type, w.mark) in marked]
    texts += [
        f"webhook {post.endpoint} was told of {post.event[1]}, which never was"
        for post in e.posts
        if post.event not in committed
    ]
    return [Violation("I2", text) for text in texts]


def _repeated(e: Evidence) -> list[Violation]:
    texts = [f"{count} times {effect.kind} of {effect.of}" for effect, count in Counter(e.effects).items() if count > 1]
    for consumer, events in e.taken.items():
        texts += [f"{consumer} took {event[1]} {count} times" for event, count in Counter(events).items() if count > 1]
    once = Counter((row.type, row.subject, row.mark) for row in e.rows if row.mark)
    texts += [
        f"{count} events of one request: {kind} of {about}" for (kind, about, _), count in once.items() if count > 1
    ]
    return [Violation("I3", text) for text in texts]


def _disordered(e: Evidence) -> list[Violation]:
    texts = [*_gaps("committed", [(row.topic, row.key, row.sequence) for row in _by_sequence(e.rows)])]
    texts += _gaps("published", _first_of_each(e.records))
    texts += _homeless(e.records)
    texts += _stale(e)
    texts += [
        f"{consumer} applied {topic} {key} backwards: {sequences}"
        for (consumer, topic, key), sequences in e.applied.items()
        if sequences != sorted(sequences)
    ]
    return [Violation("I4", text) for text in texts]


def _stale(e: Evidence) -> list[str]:
    last: dict[tuple[str, str, str], str] = {}
    for consumer, types in e.subscribed.items():
        for row in e.rows:
            if row.type in types:
                place = (consumer, row.topic, row.key)
                last[place] = max(row.sequence, last.get(place, ""))
    return [
        f"{p.consumer} is at {p.sequence} of {p.topic} {p.key}, which ended at {end}"
        for p in e.projections
        if p.sequence != (end := last.get((p.consumer, p.topic, p.key), p.sequence))
    ]


def _by_sequence(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row.topic, row.key, row.sequence))


def _first_of_each(records: list[Record]) -> list[tuple[str, str, str]]:
    seen: set[EventId] = set()
    found = []
    for record in records:
        if record.event not in seen:
            seen.add(record.event)
            found.append((record.topic, record.key, record.sequence))
    return found


def _gaps(what: str, sequences: list[tuple[str, str, str]]) -> list[str]:
    """Per topic and key 1, 2, 3 ...; a later epoch goes on with the next number, or from where a backup was."""
    by_key: dict[tuple[str, str], list[str]] = defaultdict(list)
    for topic, key, sequence in sequences:
        by_key[topic, key].append(sequence)
    texts = []
    for (topic, key), found in by_key.items():
        if found != sorted(found):
            texts.append(f"{topic} {key} was {what} out of order: {found}")
        elif not all(map(_follows, ["0000-0", *found], found)):
            texts.append(f"{topic} {key} was {what} with gaps: {found}")
    return texts


def _follows(before: str, after: str) -> bool:
    (old_epoch, last), (epoch, number) = (tuple(map(int, each.split("-"))) for each in (before, after))
    return number == last + 1 if epoch == old_epoch or last == 0 else 0 < number <= last + 1


def _homeless(records: list[Record]) -> list[str]:
    homes: dict[tuple[str, str], set[int]] = defaultdict(set)
    for record in records:
        homes[record.topic, record.key].add(record.partition)
    return [f"{topic} {key} stands in partitions {sorted(of)}" for (topic, key), of in homes.items() if len(of) > 1]


def _unhealed(e: Evidence) -> list[Violation]:
    if e.healing is None:
        return []
    h, texts = e.healing, []
    if h.seconds > HEALED_SECONDS:
        texts.append(f"healed after {h.seconds:.0f} s")
    if h.unsent:
        texts.append(f"{h.unsent} rows are unsent")
    if h.lag:
        texts.append(f"{h.lag} records are unread")
    if h.restarts_by_hand:
        texts.append(f"{h.restarts_by_hand} restarts by hand")
    return [Violation("I5", text) for text in texts]


def _unbounded(e: Evidence) -> list[Violation]:
    texts = [f"{v.process} has {v.memory_mb:.0f} MB" for v in e.vitals if v.memory_mb > MEMORY_MB]
    texts += [f"{v.process} holds {v.connections} connections" for v in e.vitals if v.connections > CONNECTIONS]
    return [Violation("I6", text) for text in texts]


def _unseen(e: Evidence) -> list[Violation]:
    texts = []
    for sight in e.sights:
        if sight.seconds is None or sight.seconds > VISIBLE_SECONDS:
            texts.append(f"{sight.fault} did not show within {VISIBLE_SECONDS:g} s")
        elif sight.cause not in sight.words:
            texts.append(f"{sight.fault} shows as {sight.words!r}, which does not name {sight.cause!r}")
    return [Violation("I7", text) for text in texts]
