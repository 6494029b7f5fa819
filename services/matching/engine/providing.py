"""What depends on the provider and the need's country alone: worked out per country and record, not per row."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from services.matching.engine import criteria, inputs
from services.matching.engine.columns import Bools, Floats, Slots
from services.matching.engine.model import CapabilityFacts, CompletedProject, InstitutionFacts
from services.matching.engine.policy import Policy
from services.matching.engine.prepared import Content, Frame, Offer, PreparedNeed
from services.matching.engine.providers import Providers
from services.matching.engine.text import Document

BY_COUNTRY = ("region", "context", "trade")
"""Criteria of need and provider that look at the provider's country; `context` also at where it has worked."""
KEPT_COUNTRIES = 1024
_NOTHING = Content(Document(0, {}), (), ())


def provider_offer(facts: InstitutionFacts, on: date) -> Offer:
    """Give an institution without any offer, for criteria that look at the institution alone."""
    return Offer(CapabilityFacts("", 0, facts.id, "", "", (), on), facts, _NOTHING)


def provider_value(name: str, prepared: PreparedNeed, facts: InstitutionFacts, frame: Frame) -> float:
    """Value of a criterion that looks at the institution alone."""
    return criteria.VALUES[name](**inputs.INPUTS[name](prepared, provider_offer(facts, prepared.on), frame))


@dataclass(slots=True)
class Records:
    """Of every institution what its record alone decides, on one day; and the most that anybody has of each."""

    revision: int
    track: Floats
    responsiveness: Floats
    points: Floats
    """Points of evidence, before what the single capability adds."""
    most: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def grow(self, number: int) -> None:
        """Make room for this many institutions."""
        more = np.zeros(number - len(self.track))
        self.track, self.points = np.append(self.track, more), np.append(self.points, more)
        self.responsiveness = np.append(self.responsiveness, more)

    def bound(self) -> None:
        """Find the most anew."""
        of = (self.track, self.responsiveness, self.points)
        self.most = (float(of[0].max(initial=0.0)), float(of[1].max(initial=0.0)), float(of[2].max(initial=0.0)))


class Providing:
    """Institutions for one need: whether the rules allow them, and their part of the score."""

    __slots__ = ("_by_background", "_providers", "_responsiveness", "_track", "_welcome", "most", "records")

    def __init__(
        self, providers: Providers, records: Records, weights: dict[str, float], welcome: Bools, by_background: Floats
    ) -> None:
        """Take what is known by country and by background."""
        self._providers, self.records = providers, records
        self._welcome, self._by_background = welcome, by_background
        self._track, self._responsiveness = weights.get("track_record", 0.0), weights.get("responsiveness", 0.0)
        self.most = float(by_background.max(initial=0.0))
        self.most += self._track * records.most[0] + self._responsiveness * records.most[1]

    def welcome(self, owner: Slots) -> Bools:
        """Whether standing and country allow these institutions."""
        found: Bools = self._providers.proposable.values[owner] & self._welcome[self._providers.home.values[owner]]
        return found

    def own(self, owner: Slots) -> Floats:
        """Their weighted sum of region, context, trade, track record and responsiveness."""
        found: Floats = self._by_background[self._providers.background.values[owner]]
        found += self._track * self.records.track[owner]
        found += self._responsiveness * self.records.responsiveness[owner]
        return found


class ProvidingValues:
    """Keeps what was worked out lately. One for each scorer and set of providers."""

    def __init__(self, providers: Providers, frame: Frame) -> None:
        """Bind providers and frame."""
        self._providers, self._frame = providers, frame
        self._countries: OrderedDict[tuple[str, str, date, int], list[float]] = OrderedDict()
        self._records: tuple[date, Records] | None = None
        self._homes: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._known: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._begins: NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def of(self, prepared: PreparedNeed) -> Providing:
        """All institutions for this need."""
        values = self.country_values(prepared)
        welcome = np.array(values.pop("welcome"), dtype=np.bool_)
        return Providing(
            self._providers, self.records(prepared.on), prepared.weights, welcome, self._by_background(prepared, values)
        )

    def _by_background(self, prepared: PreparedNeed, values: dict[str, list[float]]) -> Floats:
        """What home and countries of completed projects are worth, per background."""
        self._read_backgrounds()
        found: Floats = np.zeros(len(self._homes))
        for name, value in values.items():
            of_country = prepared.weights[name] * np.array(value)
            if name == "context" and len(self._known):
                # the best of where a provider is from and where it has worked
                found += np.maximum.reduceat(of_country[self._known], self._begins)
            elif name != "context":
                found += of_country[self._homes]
        return found

    def _read_backgrounds(self) -> None:
        """Take in the backgrounds that came since the last time."""
        held = self._providers.backgrounds.values
        new = held[len(self._homes) :]
        if new:
            counts = np.array([1 + len(worked) for _, worked in new])
            self._begins = np.append(self._begins, len(self._known) + np.cumsum(counts) - counts)
            self._known = np.append(self._known, [number for home, worked in new for number in (home, *worked)])
            self._homes = np.append(self._homes, [home for home, _ in new])

    def country_values(self, prepared: PreparedNeed) -> dict[str, list[float]]:
        """By criterion that applies a value of each country, in the order in which providers number them."""
        need, codes = prepared.need, self._providers.countries.values
        names = [name for name in BY_COUNTRY if name in prepared.weights]
        found = {name: self._valued(name, prepared) for name in names}
        south = self._valued("south", prepared)
        welcome = [s * (need.domestic_welcome or code != need.country) for s, code in zip(south, codes, strict=True)]
        return found | {"welcome": welcome}

    def _valued(self, name: str, prepared: PreparedNeed) -> list[float]:
        """Values are the same for all needs of one country on one day."""
        key = (name, prepared.need.country, prepared.on, len(self._providers.countries))
        if key not in self._countries:
            self._countries[key] = [self._value(name, prepared, code) for code in self._providers.countries.values]
            if len(self._countries) > KEPT_COUNTRIES:
                self._countries.popitem(last=False)
        return self._countries[key]

    def _value(self, name: str, prepared: PreparedNeed, country: str | None) -> float:
        if name == "south":
            return float(country is not None and self._frame.world.is_south(country, prepared.on))
        return provider_value(name, prepared, InstitutionFacts("", country), self._frame)

    def records(self, on: date) -> Records:
        """Track record, responsiveness and points of evidence of every institution."""
        if self._records is None or self._records[0] != on:
            nothing = np.zeros(0)
            self._records = (on, Records(-1, nothing, nothing, nothing))
        records = self._records[1]
        if records.revision != self._providers.revision:
            self._catch_up(records, on)
        return records

    def _catch_up(self, records: Records, on: date) -> None:
        """Work out again those who changed."""
        providers, policy = self._providers, self._frame.policy
        rows = providers.changed_since(records.revision)
        records.grow(len(providers))
        records.track[rows] = [_track_record(policy, providers.completed(row), on) for row in rows.tolist()]
        gained = policy.prior_weight * policy.prior + providers.count("in_time")[rows]
        answerable = providers.count("answerable")[rows]
        records.responsiveness[rows] = np.clip(gained / (policy.prior_weight + answerable), 0.0, 1.0)
        records.points[rows] = providers.count("practices")[rows] + 2 * providers.count("replications")[rows]
        records.bound()
        records.revision = providers.revision


@lru_cache(maxsize=65_536)
def _track_record(policy: Policy, projects: tuple[CompletedProject, ...], on: date) -> float:
    return criteria.track_record(**inputs.record(policy, projects, on))
