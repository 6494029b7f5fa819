"""The thread as a person reads it: when it was recorded, on which day it happened, who, what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shared.local.demo.client import Json
from shared.local.demo.observed import Observed, Seen

EXCHANGE = "the exchange"
DAYS = {
    "ProjectStarted": "started_on",
    "ProjectCompleted": "completed_on",
    "MilestoneReached": "reached_on",
    "AgreementSigned": "signed_on",
    "ContributionDelivered": "delivered_on",
    "ContributionConfirmed": "delivered_on",
}
"""Events that happened on a day of the story, and the member of their resource that says it."""


@dataclass(frozen=True)
class Line:
    """One step, or `times` steps of the same kind in a row."""

    recorded_at: str
    happened_on: str | None
    who: str
    what: str
    type: str
    times: int = 1


@dataclass(frozen=True)
class Timeline:
    """A thread: that of the need, or of a project that was opened directly."""

    thread_id: str
    title: str
    lines: list[Line]


def timelines(observed: Observed, names: dict[str, str]) -> list[Timeline]:
    """One per thread, the need's first; `names` gives institutions by id."""
    days = {key: day for seen in observed.seen for key, day in _days(seen).items()}
    titles = {seen.thread_id: seen.plan.title for seen in reversed(observed.seen)}
    made = []
    for thread_id, items in observed.threads.items():
        lines = [_line(item, names, days) for item in items]
        made.append(Timeline(thread_id, titles[thread_id], merged(lines)))
    return made


def _line(item: Json, names: dict[str, str], days: dict[tuple[str, str], str]) -> Line:
    day = days.get((item["subject"]["id"], DAYS.get(item["type"], "")))
    who = names.get(item["institution_id"] or "", EXCHANGE)
    return Line(item["time"], day, who, item["summary"], item["type"])


def _days(seen: Seen) -> dict[tuple[str, str], str]:
    """Days by resource and member."""
    resources = [seen.project, *seen.children["milestones"]]
    found = {(one["id"], name): one[name] for one in resources for name in DAYS.values() if one.get(name)}
    for agreement in seen.children["agreements"]:
        signed = [party["signed_on"] for party in agreement["parties"] if party["signed_on"]]
        found |= {(agreement["id"], "signed_on"): max(signed)} if signed else {}
    for contribution in seen.children["contributions"]:
        for delivery in contribution["deliveries"]:
            found[contribution["id"], "delivered_on"] = delivery["delivered_on"]
    return found


def merged(lines: Iterable[Line]) -> list[Line]:
    """Neighbours that say the same become one line, so that eight dated roles do not hide the story."""
    made: list[Line] = []
    for line in lines:
        last = made[-1] if made else None
        if last and (last.type, last.who, last.what, last.happened_on) == (
            line.type,
            line.who,
            line.what,
            line.happened_on,
        ):
            made[-1] = Line(last.recorded_at, last.happened_on, last.who, last.what, last.type, last.times + 1)
        else:
            made.append(line)
    return made
