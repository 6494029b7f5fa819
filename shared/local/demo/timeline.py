"""The thread as a person reads it: when it was recorded, on which day it happened, who, what."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

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


ALIKE = frozenset({"PartnerRoleChanged", "MatchWithdrawn"})
"""Events that come in numbers and say nearly the same: neighbours become one line."""


@dataclass(frozen=True)
class Line:
    """One step, or `times` steps of one kind in a row. `brief` leaves out what the thread's title says already."""

    recorded_at: str
    happened_on: str | None
    who: str
    what: str
    brief: str
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
    said = [*titles.values(), *([observed.need["title"]] if observed.need else [])]
    made = []
    for thread_id, items in observed.threads.items():
        lines = [_line(item, names, days, said) for item in items]
        made.append(Timeline(thread_id, titles[thread_id], merged(lines)))
    return made


def _line(item: Json, names: dict[str, str], days: dict[tuple[str, str], str], said: list[str]) -> Line:
    day = days.get((item["subject"]["id"], DAYS.get(item["type"], "")))
    who = names.get(item["institution_id"] or "", EXCHANGE)
    brief = item["summary"] if item["type"] == "NeedPosted" else without_titles(item["summary"], said)
    brief = without_actor(brief, who)
    for name in names.values():
        brief = brief.replace(name, short(name))
    return Line(item["time"], day, who, item["summary"], brief, item["type"])


def short(name: str) -> str:
    """The acronym of a long name that ends with it in brackets."""
    found = re.search(r"\(([A-Z][A-Za-z]*[A-Z])\)$", name)
    return found[1] if found else name


def without_titles(summary: str, titles: Iterable[str]) -> str:
    """Turn “INEFOP accepted the match for “Trained workers”.” into “INEFOP accepted the match.”."""
    for title in titles:
        for phrase in (f" for the project “{title}”", f" of the project “{title}”", f" on the project “{title}”"):
            summary = summary.replace(phrase, "")
        summary = summary.replace(f" Project: “{title}”.", "").replace(f" project “{title}”", " project")
        summary = summary.replace(f" for “{title}”", "").replace(f" need “{title}”", " need")
    return summary


def without_actor(summary: str, who: str) -> str:
    """Leaves out the actor at the beginning, whose name stands beside it; not where two act together."""
    rest = re.sub(rf"^{re.escape(who)}( \([A-Z]{{3}}\))? (?!and |\()", "", summary)
    return rest or summary


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
    """Neighbours that say nearly the same become one line, so that eight dated roles do not hide the story."""
    made: list[Line] = []
    for line in lines:
        if made and line.type in ALIKE and (made[-1].type, made[-1].who) == (line.type, line.who):
            made[-1] = replace(made[-1], times=made[-1].times + 1)
        else:
            made.append(line)
    return made
