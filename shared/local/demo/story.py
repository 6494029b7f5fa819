"""The shipped stories: facts with their sources, and beside them what the demo adds to play them.

Days known by month or year only become the first day of a start and the last day of an end. The folder's README
says which members are facts and which are ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from shared.local.demo.members import (
    Agreement,
    Capability,
    Check,
    Indicator,
    InKind,
    Institution,
    Milestone,
    Need,
    Part,
    Practice,
    Project,
    Replication,
)
from shared.reference.vocabulary import Modality

FOLDER = Path(__file__).parent / "stories"


class Story(Part):
    """One real partnership."""

    id: str
    ref: str
    title: str
    case: Modality
    institutions: list[Institution]
    need: Need
    capability: Capability
    projects: list[Project]
    agreements: list[Agreement]
    in_kind: list[InKind]
    milestones: list[Milestone]
    indicators: list[Indicator]
    practice: Practice | None
    replication_of: str | None
    replication: Replication | None
    checks: list[Check]
    conflicts: list[str]
    assumed: list[str]
    notes: list[str]
    sources: list[str]

    @property
    def played(self) -> list[Project]:
        """Its projects that are played; the one of the match, if there is one, first."""
        return [project for project in self.projects if project.opening]

    @property
    def matched(self) -> bool:
        """Whether it goes the whole way from need to project; else its projects are opened directly."""
        return self.played[0].opening == "match"

    @property
    def cast(self) -> list[Institution]:
        """The institutions that play."""
        names = {name for project in self.played for name in project.names()}
        return [institution for institution in self.institutions if institution.name in names]

    @property
    def countries(self) -> list[str]:
        """Countries of the cast, each once."""
        return list(dict.fromkeys(one.country for one in self.cast if one.country))

    def institution(self, name: str) -> Institution:
        """By name; StopIteration is a mistake in the file."""
        return next(institution for institution in self.institutions if institution.name == name)


OPERATIONS: dict[str, Any] = {
    "sum": sum,
    "difference": lambda values: values[0] - sum(values[1:]),
    "ratio": lambda values: values[0] / values[1],
    "percent": lambda values: 100 * values[0] / values[1],
    "percent_of": lambda values: values[0] * values[1] / 100,
    "count": len,
}


def work_out(check: Check, values: Sequence[Any]) -> Decimal:
    """The figure that a check's operation makes of these values, rounded as the check says."""
    exact = values if check.op == "count" else [Decimal(str(value)) for value in values]
    return round(Decimal(OPERATIONS[check.op](exact)), check.decimals)


@cache
def load_all() -> dict[str, Story]:
    """All stories by id; those that others replicate come first."""
    texts = (file.read_text(encoding="utf-8") for file in sorted(FOLDER.glob("*.json")))
    stories = [Story.model_validate(json.loads(text, parse_float=Decimal)) for text in texts]
    return {story.id: story for story in sorted(stories, key=lambda story: (bool(story.replication_of), number(story)))}


def number(story: Story) -> int:
    """The place in the list of partnerships: 14 for T14."""
    return int(story.ref.removeprefix("T"))


def choose(wanted: Iterable[str] | None) -> list[Story]:
    """The stories of these ids and those they replicate; all for None. KeyError names an unknown one."""
    stories = load_all()
    names = set(wanted or stories)
    unknown = names - stories.keys()
    if unknown:
        raise KeyError(", ".join(sorted(unknown)))
    names |= {source for name in names if (source := stories[name].replication_of)}
    return [story for name, story in stories.items() if name in names]
