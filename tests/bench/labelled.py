"""The labelled set and the real stories as facts of the engine."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from services.matching.engine.model import CapabilityFacts, InstitutionFacts, NeedFacts, Serves

HERE = Path(__file__).resolve().parent
DATA = HERE / "data" / "matching_dev"
STORIES = HERE.parent.parent / "shared" / "local" / "demo" / "stories"
ON = date(2026, 12, 1)
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the labeller said of one pair; `excluded_by` are reason codes, none when eligible."""

    grade: int
    excluded_by: frozenset[str]
    note: str

    @property
    def gain(self) -> int:
        """2^grade - 1, nothing for what no rule would allow."""
        return 0 if self.excluded_by else 2**self.grade - 1

    @property
    def wanted(self) -> bool:
        """Eligible and of grade 2 or 3."""
        return not self.excluded_by and self.grade >= 2


Judgements = dict[str, dict[str, Judgement]]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Needs, what is offered by whom, and the judgement of every pair by need and capability."""

    needs: list[NeedFacts]
    capabilities: list[CapabilityFacts]
    institutions: list[InstitutionFacts]
    judgements: Judgements = field(default_factory=dict)


def labelled() -> Labelled:
    """The labelled set."""
    return Labelled(
        needs=[_need(row) for row in _lines("needs")],
        capabilities=[_capability(row) for row in _lines("capabilities")],
        institutions=[_institution(row) for row in _lines("institutions")],
        judgements=_judgements(),
    )


def _lines(name: str) -> list[Row]:
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def _judgements() -> Judgements:
    found: Judgements = defaultdict(dict)
    with (DATA / "judgements.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            codes = frozenset(row["excluded_by"].split())
            found[row["need"]][row["capability"]] = Judgement(int(row["grade"]), codes, row["note"])
    return dict(found)


def _institution(row: Row) -> InstitutionFacts:
    status = "suspended" if row["suspended"] else "verified" if row["verified"] else "registered"
    return InstitutionFacts(row["id"], row["country"], row["type"], status, tuple(row["languages"]))


def _capability(row: Row) -> CapabilityFacts:
    serves, capacity = row["serves"], row["capacity"]
    return CapabilityFacts(
        id=row["id"],
        version=1,
        institution_id=row["institution"],
        title=row["title"],
        summary=row["summary"],
        resource_kinds=tuple(row["resource_kinds"]),
        renew_by=date.fromisoformat(row["renewal_on"]),
        serves=Serves(serves["all"], tuple(serves["countries"]), tuple(serves["blocs"])),
        technologies=tuple(row["technologies"]),
        isic=tuple(row["isic"]),
        hs=tuple(row["hs"]),
        sdg_targets=tuple(row["sdg"]),
        languages=tuple(row["languages"]),
        delivery_modes=tuple(row["delivery_modes"]),
        capacity=capacity,
        status=row["state"],
    )


def _need(row: Row) -> NeedFacts:
    return NeedFacts(
        id=row["id"],
        version=1,
        institution_id=row["institution"],
        country=row["country"],
        title=row["title"],
        problem=row["problem"],
        resource_kinds=tuple(row["resource_kinds"]),
        technologies=tuple(row["technologies"]),
        isic=tuple(row["isic"]),
        hs=tuple(row["hs"]),
        sdg_targets=tuple(row["sdg"]),
        languages=tuple(row["languages"]),
        urgency=row["urgency"],
        budget_gap=row["gap_usd"] is not None,
        domestic_welcome=row["domestic_welcome"],
    )


@dataclass(frozen=True, slots=True)
class Story:
    """A real partnership: what was sought, and what its pivotal partner offers."""

    id: str
    need: NeedFacts
    capability: CapabilityFacts
    provider: InstitutionFacts


def stories() -> list[Story]:
    """The demo's real partnerships in which an institution of the South with a country of its own provided."""
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(STORIES.glob("*.json"))]
    return [_story(row) for row in rows if row.get("need") and row.get("capability") and _provider(row)["country"]]


def _provider(row: Row) -> Row:
    name = row["capability"]["institution"]
    return next((i for i in row["institutions"] if i["name"] == name), {"country": None})


def _story(row: Row) -> Story:
    need, offer, provider = row["need"], row["capability"], _provider(row)
    owner = f"{row['id']}-provider"
    sought = NeedFacts(
        id=row["id"],
        version=1,
        institution_id=f"{row['id']}-beneficiary",
        country=need["country"],
        title=need["title"],
        problem=need["problem"],
        resource_kinds=tuple(need["resource_kinds"]),
        isic=tuple(need["isic"]),
        hs=tuple(need["hs"]),
        sdg_targets=tuple(need["sdg"]),
    )
    offered = CapabilityFacts(
        id=f"{row['id']}-offer",
        version=1,
        institution_id=owner,
        title=offer["title"],
        summary=offer["summary"],
        resource_kinds=tuple(offer["resource_kinds"]),
        renew_by=date(2027, 12, 31),
        serves=Serves(all_south=True),
        isic=tuple(offer["isic"]),
        hs=tuple(offer["hs"]),
        sdg_targets=tuple(offer["sdg"]),
    )
    return Story(row["id"], sought, offered, InstitutionFacts(owner, provider["country"], provider["type"], "verified"))
