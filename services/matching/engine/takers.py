"""Which open needs may take a capability: those whose score with it can reach what they ask for.

In stages of upper bounds: first sector and words over all needs, then what is sought over those left. No need is
missed; whether one that is found is indeed served well enough is for an exact score to say.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from services.matching.engine import criteria, eligibility, inputs
from services.matching.engine.columns import Bools, Floats, Slots
from services.matching.engine.eligibility import Pair
from services.matching.engine.inputs import working_languages
from services.matching.engine.model import InstitutionFacts, NeedFacts, Serves, hs_chapters
from services.matching.engine.policy import CRITERIA
from services.matching.engine.prepared import Offer, PreparedNeed
from services.matching.engine.providing import BY_COUNTRY, provider_value
from services.matching.engine.rows import CHAPTER, GOAL, IMPLIED, KIND, LANGUAGE, MANY, TARGET, Facet, united
from services.matching.engine.score import Scorer
from services.matching.engine.seekers import Seekers
from shared.reference.classifications import sdg_goal_of
from shared.reference.vocabulary import ResourceKind

SLACK = 1e-5
"""More than rounding to 6 decimals and sums of single precision can move two scores apart."""
OFFER_RULES = (
    eligibility.not_published,
    eligibility.renewal_overdue,
    eligibility.provider_not_verified,
    eligibility.provider_suspended,
    eligibility.multilateral_only_facilitating,
    eligibility.provider_not_in_south,
    eligibility.no_free_capacity,
)
"""Those that do not look at the need."""
OF_RECORD = ("track_record", "evidence", "responsiveness")
OF_OFFER = ("resources", "sdg", "goods", "language")
MOST_KEPT = 4096
USEFUL, TRADES, GOODS, SPEAKS = 1, 2, 4, 8
Values = NDArray[np.float64]
"""One for each country in which there are needs, or for each group of needs."""


class Takers:
    """Looks capabilities up among seekers; keeps what depends on countries alone."""

    def __init__(self, seekers: Seekers) -> None:
        """Bind the needs; they may change later."""
        self.seekers, self._scorer = seekers, seekers.scorer
        self._weights: dict[str, Values] = {name: np.zeros(0) for name in CRITERIA}
        self._country: Slots = np.zeros(0, dtype=np.int64)
        self._domestic: Bools = np.zeros(0, dtype=np.bool_)
        self._samples: dict[str, PreparedNeed] = {}
        self._likeness: dict[str | None, dict[str, Values]] = {}
        self._serving: dict[Serves, Bools] = {}

    def hold(self, scorer: Scorer, on: date) -> bool:
        """Whether the needs were prepared by this scorer for this day."""
        return self.seekers.scorer is scorer and self.seekers.on == on

    def of(self, offer: Offer) -> list[str]:
        """Ids of all needs that may take the capability, some that do not among them."""
        self._read_groups()
        if not len(self.seekers) or self._excluded(offer):
            return []
        sector = Sector.of(offer, self.seekers, self._scorer.frame.policy.implied_factor)
        near, bound = self._near(offer, self._most(offer), sector)
        near = near[self._with_what_is_sought(offer, near, bound, sector)]
        return [self.seekers.ids.of(row) for row in near.tolist()]

    # Groups and countries of needs

    def _read_groups(self) -> None:
        """Take in the groups that came since the last time."""
        new = self.seekers.groups.values[len(self._country) :]
        for country, _, _ in new:
            if country not in self._samples:
                self._samples[country] = self._sample(country)
                self._likeness.clear()
                self._serving.clear()
        if new:
            places = {country: place for place, country in enumerate(self._samples)}
            weights = [dict(weighted) for _, _, weighted in new]
            for name, held in self._weights.items():
                self._weights[name] = np.append(held, [weighted.get(name, 0.0) for weighted in weights])
            self._country = np.append(self._country, [places[country] for country, _, _ in new])
            self._domestic = np.append(self._domestic, [domestic for _, domestic, _ in new])

    def _sample(self, country: str) -> PreparedNeed:
        """A need of a country that says nothing else."""
        return self._scorer.prepare(NeedFacts("", 0, "", country, "", "", ()), self.seekers.on)

    def _excluded(self, offer: Offer) -> bool:
        pair = self._pair(next(iter(self._samples.values())), offer)
        return any(excludes(pair) for excludes in OFFER_RULES)

    def _pair(self, prepared: PreparedNeed, offer: Offer) -> Pair:
        return Pair(prepared.need, offer.capability, offer.provider, self.seekers.on, self._scorer.frame.world)

    def _by_country(self, offer: Offer) -> dict[str, Values]:
        """Region, context and trade with the needs of each country."""
        provider = offer.provider
        found = dict(self._like(provider.country))
        for country in {country for project in provider.completed for country in project.countries}:
            found["context"] = np.maximum(found["context"], self._like(country)["context"])
        return found

    def _like(self, country: str | None) -> dict[str, Values]:
        """The same for a provider of this country; worked out once."""
        if country not in self._likeness:
            of, frame = InstitutionFacts("", country), self._scorer.frame
            self._likeness[country] = {
                name: np.array([provider_value(name, sample, of, frame) for sample in self._samples.values()])
                for name in BY_COUNTRY
            }
        return self._likeness[country]

    def _served(self, offer: Offer) -> Bools:
        serves = offer.capability.serves
        if serves not in self._serving:
            pairs = (self._pair(sample, offer) for sample in self._samples.values())
            if len(self._serving) == MOST_KEPT:
                self._serving.clear()
            self._serving[serves] = np.array([not eligibility.country_not_served(pair) for pair in pairs])
        return self._serving[serves]

    # Bounds

    def _most(self, offer: Offer) -> Values:
        """For each group the most that a need can get without sector and text, -inf where the rules exclude it."""
        frame, sample = self._scorer.frame, next(iter(self._samples.values()))
        found = sum((self._weights[name] for name in OF_OFFER), np.zeros(len(self._country)))
        for name in OF_RECORD:
            found += self._weights[name] * criteria.VALUES[name](**inputs.INPUTS[name](sample, offer, frame))
        for name, values in self._by_country(offer).items():
            found += self._weights[name] * values[self._country]
        at_home = np.array([country == offer.provider.country for country in self._samples])[self._country]
        allowed = self._served(offer)[self._country] & (self._domestic | ~at_home)
        return np.where(allowed, found, -np.inf)

    def _near(self, offer: Offer, most: Values, sector: "Sector") -> tuple[Slots, Floats]:
        """Needs that sector and text leave over, and how much each can get at most without its sector."""
        rows = self.seekers
        bound = most[rows["group"]]
        bound += rows["text"] * np.minimum(self._text(offer), 1.0)
        own = rows.institutions.known(offer.capability.institution_id)
        near = (bound + rows["sector"] * sector.most(rows) >= rows["cutoff"] - SLACK) & rows["live"]
        if own is not None:
            near &= rows["institution"] != own
        found = np.flatnonzero(near)
        return found, bound[found]

    def _text(self, offer: Offer) -> NDArray[np.float32]:
        """Text values."""
        rows, recent = self.seekers, self.seekers.recent()
        found, impacts = np.zeros(len(rows["live"]), dtype=np.float32), np.zeros(len(rows.words.terms))
        for number, impact in self._impacts(offer):
            impacts[number] = impact
            needs, shares = rows.saying(number)
            np.add.at(found, needs, shares * np.float32(impact))
        held, _ = rows.terms.gather(recent)
        shares, _ = rows.shares.gather(recent)
        owner = np.repeat(recent, rows.terms.counts(recent))
        np.add.at(found, owner, (shares * impacts[held]).astype(np.float32))
        return found

    def _impacts(self, offer: Offer) -> Iterator[tuple[int, float]]:
        """What each term of the capability that needs say counts, before their weights."""
        policy, average = self._scorer.frame.policy, self._scorer.frame.statistics.average_length
        document, k1, b = offer.content.document, policy.bm25_k1, policy.bm25_b
        norm = k1 * (1.0 - b + b * (document.length / average if average else 1.0))
        for term, tf in document.frequencies.items():
            number = self.seekers.words.terms.known(term)
            if number is not None:
                yield number, tf * (k1 + 1.0) / (tf + norm)

    def _with_what_is_sought(self, offer: Offer, near: Slots, bound: Floats, sector: "Sector") -> Slots:
        """Places of the needs that all they seek leaves over."""
        rows = self.seekers
        if not len(near):
            return near
        marks, halves = self._facets(offer)
        held, begins = rows.facets.gather(near)
        found = np.bitwise_or.reduceat(marks[held], begins)
        goods = (found & (TRADES | GOODS)) == TRADES | GOODS
        covered = np.add.reduceat(marks[held] == USEFUL, begins, dtype=np.int64) + goods
        parts = {
            "resources": covered / np.maximum(rows["sought"][near], 1),
            "sdg": np.add.reduceat(halves[held], begins) / np.maximum(rows["targets"][near], 1),
            "goods": np.add.reduceat(marks[held] == GOODS, begins, dtype=np.int64)
            / np.maximum(rows["chapters"][near], 1),
            "language": (found & SPEAKS) != 0,
        }
        group = rows["group"][near]
        bound = bound + rows["sector"][near] * np.maximum.reduceat(sector.worth[held], begins)
        for name, values in parts.items():
            bound = bound - self._weights[name][group] * (1.0 - values)
        return np.flatnonzero((covered > 0) & (bound >= rows["cutoff"][near] - SLACK))

    def _facets(self, offer: Offer) -> tuple[NDArray[np.uint8], Floats]:
        """Per facet of needs its mark, and the share of a target that it covers."""
        known = self.seekers.words.facets
        marks, halves = np.zeros(len(known), dtype=np.uint8), np.zeros(len(known))
        for facet, mark in _marked(offer):
            if (number := known.known(facet)) is not None:
                marks[number] = mark
        targets = offer.capability.sdg_targets
        for facet in {(TARGET, t) for t in targets} | {(GOAL, sdg_goal_of(t)) for t in targets}:
            if (number := known.known(facet)) is not None:
                halves[number] = 0.5
        return marks, halves


@dataclass(frozen=True, slots=True)
class Sector:
    """What the ISIC codes of needs are worth with those of a capability."""

    worth: Floats
    """Per facet of the needs the value of the criterion with it."""
    divisions: np.uint64
    factor: float

    @classmethod
    def of(cls, offer: Offer, seekers: Seekers, factor: float) -> "Sector":
        """Codes that one side only implies count the factor."""
        words, by_depth, content = seekers.words, np.array(criteria.DEPTH_VALUES), offer.content
        offered = content.isic + content.implied
        implied = by_depth[np.maximum(words.depths(offered), words.depths(offered, IMPLIED))] * factor
        worth = np.maximum(by_depth[words.depths(content.isic)], implied)
        return cls(worth, np.uint64(united(words.bit(IMPLIED, code) for code in offered)), factor)

    def most(self, seekers: Seekers) -> Floats:
        """At least the value of each need, from its briefs."""
        worth = self.worth.copy()
        worth[MANY] = 1.0
        stated = np.maximum(worth[seekers["code_a"]], worth[seekers["code_b"]])
        near = (seekers["implied"] & self.divisions) != 0
        # codes of different divisions can still share a section
        implied = np.where(near, self.factor, self.factor * criteria.DEPTH_VALUES[1] * (seekers["implied"] != 0))
        found: Floats = np.maximum(stated, implied)
        return found


def _marked(offer: Offer) -> Iterator[tuple[Facet, int]]:
    for kind in offer.capability.resource_kinds:
        yield (KIND, kind), TRADES if kind == ResourceKind.TRADE else USEFUL
    yield from (((CHAPTER, chapter), GOODS) for chapter in hs_chapters(offer.capability.hs))
    yield from (((LANGUAGE, language), SPEAKS) for language in working_languages(offer))
