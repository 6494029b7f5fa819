"""What depends on the provider and the need's country alone: worked out per country and per provider, not per row."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np

from services.matching.engine import criteria, inputs
from services.matching.engine.columns import Bools, Floats
from services.matching.engine.model import CapabilityFacts, CompletedProject, InstitutionFacts
from services.matching.engine.policy import Policy
from services.matching.engine.prepared import Content, Frame, Offer, PreparedNeed
from services.matching.engine.providers import Providers
from services.matching.engine.text import Document

BY_COUNTRY = ("region", "context", "trade")
"""Criteria of need and provider that look at the provider's country; `context` also at where it has worked."""
KEPT_COUNTRIES = 1024
KEPT_PROVIDERS = 16
_NOTHING = Content(Document(0, {}), (), implied=False)


def provider_offer(facts: InstitutionFacts, on: date) -> Offer:
    """Give an institution without any offer, for criteria that look at the institution alone."""
    return Offer(CapabilityFacts("", 0, facts.id, "", "", (), on), facts, _NOTHING)


def provider_value(name: str, prepared: PreparedNeed, facts: InstitutionFacts, frame: Frame) -> float:
    """Value of a criterion that looks at the institution alone."""
    return criteria.VALUES[name](**inputs.INPUTS[name](prepared, provider_offer(facts, prepared.on), frame))


@dataclass(frozen=True, slots=True)
class Providing:
    """Of every institution for one need: whether the rules allow it, and its part of the score.

    `own` is the weighted sum of region, context, trade, track record and responsiveness; `points` are
    those of evidence, before what the single capability adds.
    """

    welcome: Bools
    own: Floats
    points: Floats
    most: float
    """Largest `own` of all."""


class ProvidingValues:
    """Keeps what was worked out lately. One for each scorer and set of providers."""

    def __init__(self, providers: Providers, frame: Frame) -> None:
        """Bind providers and frame."""
        self._providers, self._frame = providers, frame
        self._countries: OrderedDict[tuple[str, str, date, int], list[float]] = OrderedDict()
        self._found: OrderedDict[tuple[object, ...], Providing] = OrderedDict()
        self._record: tuple[tuple[date, int], tuple[Floats, Floats, Floats]] | None = None

    def of(self, prepared: PreparedNeed) -> Providing:
        """All institutions for this need."""
        need, providers = prepared.need, self._providers
        weights = tuple(prepared.weights.items())
        key = (need.country, need.domestic_welcome, prepared.on, weights, providers.revision)
        if key not in self._found:
            self._found[key] = self._work_out(prepared)
            if len(self._found) > KEPT_PROVIDERS:
                self._found.popitem(last=False)
        self._found.move_to_end(key)
        return self._found[key]

    def _work_out(self, prepared: PreparedNeed) -> Providing:
        providers, weights = self._providers, prepared.weights
        track_record, responsiveness, points = self.records(prepared.on)
        own = weights.get("track_record", 0.0) * track_record + weights.get("responsiveness", 0.0) * responsiveness
        values = self.country_values(prepared)
        for name in BY_COUNTRY:
            if name in weights:
                found = providers.by_country(values[name])
                own += weights[name] * (self._with_work_done(found, values[name]) if name == "context" else found)
        welcome = providers.proposable.values & (providers.by_country(values["welcome"]) > 0)
        return Providing(welcome, own, points, float(own.max(initial=0.0)))

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

    def _with_work_done(self, found: Floats, values: list[float]) -> Floats:
        """The best of where a provider is from and where it has worked."""
        rows, worked_in = self._providers.worked_in()
        np.maximum.at(found, rows, np.array(values)[worked_in])
        return found

    def records(self, on: date) -> tuple[Floats, Floats, Floats]:
        """Track record, responsiveness and points of evidence of every institution."""
        key = (on, self._providers.revision)
        if self._record is None or self._record[0] != key:
            self._record = (key, (self._track_record(on), self._responsiveness(), self._points()))
        return self._record[1]

    def _track_record(self, on: date) -> Floats:
        found = np.full(len(self._providers), _track_record(self._frame.policy, (), on))
        for row, projects in self._providers.with_projects():
            found[row] = _track_record(self._frame.policy, projects, on)
        return found

    def _responsiveness(self) -> Floats:
        policy, count = self._frame.policy, self._providers.count
        gained = policy.prior_weight * policy.prior + count("in_time")
        found: Floats = np.clip(gained / (policy.prior_weight + count("answerable")), 0.0, 1.0)
        return found

    def _points(self) -> Floats:
        count = self._providers.count
        return np.asarray(count("practices") + 2 * count("replications"), dtype=np.float64)


@lru_cache(maxsize=65_536)
def _track_record(policy: Policy, projects: tuple[CompletedProject, ...], on: date) -> float:
    return criteria.track_record(**inputs.record(policy, projects, on))
