"""One need against many rows at once: the same values as `criteria`, a hair less exact.

A probe turns the need into a table per facet and per term; the values of rows are sums, maxima and
unions over their lists. It is used to choose which rows get an exact, explained score.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from services.matching.engine import criteria
from services.matching.engine.columns import Bools, Floats, Slots
from services.matching.engine.model import hs_chapters
from services.matching.engine.postings import Weighing
from services.matching.engine.prepared import MOST_COUNTED, Frame, PreparedNeed
from services.matching.engine.providing import Providing
from services.matching.engine.rows import (
    BLOC,
    CHAPTER,
    COUNT_BITS,
    COUNTRY,
    GOAL,
    IMPLIED,
    KIND,
    LANGUAGE,
    MANY,
    TARGET,
    Facet,
    united,
)
from services.matching.engine.store import Store
from shared.reference.classifications import sdg_goal_of
from shared.reference.vocabulary import ResourceKind

SERVED, GOODS, USEFUL, TRADES, SPEAKS = 1, 2, 4, 8, 16


class Probe:
    """A need with everything that is looked up per facet, term and provider."""

    def __init__(self, store: Store, prepared: PreparedNeed, frame: Frame, providing: Providing) -> None:
        """Make the tables; cheap enough for every ranking."""
        self.prepared, self.providing = prepared, providing
        self._store, self._frame, self._weights = store, frame, prepared.weights
        self._marks, self._sums = self._tables()
        self._sectors()
        self._briefs()
        self.everywhere = frame.world.is_south(prepared.need.country, prepared.on)
        self._speaking = store.providers.speaking(frozenset(prepared.need.languages))
        self._terms()

    # Tables

    def _sectors(self) -> None:
        """What each code is worth, stated or implied, and the depth of which no code is worth less."""
        words, stated, factor = self._store.words, self.prepared.need.isic, self._frame.policy.implied_factor
        wanted, by_depth = stated + self.prepared.implied, np.array(criteria.DEPTH_VALUES)
        implied = by_depth[np.maximum(words.depths(wanted), words.depths(wanted, IMPLIED))] * factor
        values = np.maximum(by_depth[words.depths(stated)], implied)
        self.depths = np.searchsorted(by_depth, values)
        self._worth = self.weight("sector") * values
        self._most_worth = self._worth.copy()
        self._most_worth[MANY] = self.weight("sector")
        self._divisions = np.uint64(united(words.bit(IMPLIED, code) for code in wanted))
        self._most_implied = self.weight("sector") * factor * by_depth

    def _briefs(self) -> None:
        """The need's kinds, languages, goals and goods as bits; a goal with its share of the targets."""
        need, bit = self.prepared.need, self._store.words.bit
        self._kinds = np.uint16(united(bit(KIND, kind) for kind in need.resource_kinds))
        self._languages = np.uint16(united(bit(LANGUAGE, language) for language in need.languages))
        targets = set(need.sdg_targets)
        goals = Counter(sdg_goal_of(target) for target in targets)
        self._goals = [
            (np.uint32(bit(GOAL, goal)), self.weight("sdg") * times / len(targets)) for goal, times in goals.items()
        ]
        self._chapters = np.uint32(united(bit(CHAPTER, chapter) for chapter in hs_chapters(need.hs)))

    def _tables(self) -> tuple[NDArray[np.uint8], Floats]:
        """Per facet its marks, and what it adds to the weighted values of resources, SDG and goods."""
        known = self._store.words.facets
        marks, sums = np.zeros(len(known), dtype=np.uint8), np.zeros(len(known))
        for facet, mark in self._marked():
            number = known.known(facet)
            if number is not None:
                marks[number] |= mark
        for facet, share in self._shares():
            number = known.known(facet)
            if number is not None:
                sums[number] += share
        return marks, sums

    def _marked(self) -> Iterator[tuple[Facet, int]]:
        need, world = self.prepared.need, self._frame.world
        yield (COUNTRY, need.country), SERVED
        yield from (((BLOC, bloc), SERVED) for bloc in world.blocs(need.country, self.prepared.on))
        yield from (((CHAPTER, chapter), GOODS) for chapter in hs_chapters(need.hs))
        yield from (((LANGUAGE, language), SPEAKS) for language in need.languages)
        for kind in need.resource_kinds:
            yield (KIND, kind), TRADES if kind == ResourceKind.TRADE else USEFUL

    def _shares(self) -> Iterator[tuple[Facet, float]]:
        """Trade counts as a resource with goods in common only, so it is added later."""
        need = self.prepared.need
        kinds, targets = set(need.resource_kinds), set(need.sdg_targets)
        for kind in kinds - {ResourceKind.TRADE}:
            yield (KIND, kind), self.weight("resources") / len(kinds)
        for target in targets:
            # who shares a target has its goal in common too: the halves add up to one
            half = 0.5 * self.weight("sdg") / len(targets)
            yield (TARGET, target), half
            yield (GOAL, sdg_goal_of(target)), half
        chapters = hs_chapters(need.hs)
        yield from (((CHAPTER, chapter), self.weight("goods") / len(chapters)) for chapter in chapters)

    def _terms(self) -> None:
        """Weights of the need's terms, so that text value = sum of weight x impact, at most 1."""
        statistics, known = self._frame.statistics, self._store.words.terms
        weighed = [(t.term, t.boost * criteria.idf(statistics.documents, t.df)) for t in self.prepared.query]
        best = sum(weight for _, weight in weighed)
        self.terms = [
            (number, weight / best) for term, weight in weighed if best and (number := known.known(term)) is not None
        ]
        policy = self._frame.policy
        self._weighing = Weighing(policy.bm25_k1, policy.bm25_b, statistics.average_length)
        self._place = np.zeros(len(known), dtype=np.uint8)
        numbers = [number for number, _ in self.terms]
        self._place[numbers] = np.arange(1, len(numbers) + 1)
        self._term_weights = np.array([0.0, *(weight for _, weight in self.terms)])

    # Values of rows

    def weight(self, name: str) -> float:
        """Weight of a criterion, 0 when it does not apply."""
        return self._weights.get(name, 0.0)

    def sector_value(self, depth: int) -> float:
        """Weighted value of a depth, at most."""
        return self.weight("sector") * criteria.DEPTH_VALUES[depth]

    def most_of_offer(self) -> float:
        """More than any row can have of resources, SDG and goods."""
        return self.weight("resources") + self.weight("sdg") + self.weight("goods")

    def most_of_provider(self) -> float:
        """More than any row can have of language, evidence, and its provider's own part."""
        points = self.providing.records.most[2] + self._store.rows.most_evidence
        evidence = self.weight("evidence") * points / (points + self._frame.policy.evidence_half_at)
        return self.weight("language") + evidence + self.providing.most

    def most_of_sector(self, slots: Slots) -> Floats:
        """More than the rows can have for their sector, from their briefs alone."""
        rows = self._store.rows
        stated = np.maximum(self._most_worth[rows["code_a"][slots]], self._most_worth[rows["code_b"][slots]])
        near = (rows["implied"][slots] & self._divisions) != 0
        found: Floats = np.maximum(stated, np.where(near, self._most_implied[-1], self._most_implied[1]))
        return found

    def most_of_offers(self, slots: Slots) -> Floats:
        """More than the rows can have of resources, SDG and goods, from their briefs."""
        rows = self._store.rows
        # kinds that share a bit, trade without goods in common, and goals without the target are counted too
        covered = np.bitwise_count(rows["kinds"][slots] & self._kinds)
        share = self.weight("resources") / max(1, len(set(self.prepared.need.resource_kinds)))
        found: Floats = np.minimum(self.weight("resources"), share * covered)
        goals = rows["goals"][slots]
        for bit, share in self._goals:
            found += share * ((goals & bit) != 0)
        found += self.weight("goods") * ((rows["chapters"][slots] & self._chapters) != 0)
        return found

    def most_of_providers(self, slots: Slots, owner: Slots) -> Floats:
        """More than the rows can have of language, evidence, and their providers' own part."""
        return self._provided(slots, owner, (self._store.rows["languages"][slots] & self._languages) != 0)

    def facets(self, slots: Slots, owner: Slots) -> tuple[Floats, Bools]:
        """Scores of the rows without text, and whether the rules that look at what is offered allow them."""
        rows = self._store.rows
        if not len(slots):
            return np.zeros(0), np.zeros(0, dtype=np.bool_)
        held, begins = rows.facets.gather(slots)
        marks = np.bitwise_or.reduceat(self._marks[held], begins)
        total: Floats = np.asarray(np.add.reduceat(self._sums[held], begins), dtype=np.float64)
        total += np.maximum.reduceat(self._worth[held], begins)
        goods = (marks & (TRADES | GOODS)) == TRADES | GOODS
        if self.prepared.need.resource_kinds:
            total += goods * (self.weight("resources") / len(set(self.prepared.need.resource_kinds)))
        total += self._provided(slots, owner, (marks & SPEAKS) != 0)
        served = (marks & SERVED) != 0
        if self.everywhere:
            served |= rows["all_south"][slots]
        return total, served & (goods | ((marks & USEFUL) != 0))

    def _provided(self, slots: Slots, owner: Slots, speaks: Bools) -> Floats:
        """Language, evidence, and the provider's own part; `speaks` says whose offer is in one of the languages."""
        rows, spoken = self._store.rows, self._store.providers.spoken.values
        speaks |= self._speaking[spoken[owner]] & ~rows["own_languages"][slots]
        points = self.providing.records.points[owner] + rows["evidence"][slots]
        evidence = points / (points + self._frame.policy.evidence_half_at)
        found: Floats = self.weight("language") * speaks + self.weight("evidence") * evidence
        found += self.providing.own(owner)
        return found

    def text(self, slots: Slots) -> Floats:
        """Text values of rows."""
        rows = self._store.rows
        if not len(slots) or not self.terms:
            return np.zeros(len(slots))
        held, begins = rows.terms.gather(slots)
        places = self._place[held >> COUNT_BITS]
        hits = np.flatnonzero(places)
        owner = np.searchsorted(begins, hits, side="right") - 1
        tf = (held[hits] & MOST_COUNTED).astype(np.float64)
        impact = self._impact(tf, rows["length"][slots[owner]].astype(np.float64))
        gained = np.bincount(owner, weights=self._term_weights[places[hits]] * impact, minlength=len(slots))
        found: Floats = np.minimum(1.0, gained)
        return found

    def _impact(self, tf: Floats, length: Floats) -> Floats:
        weighing = self._weighing
        ratio = length / weighing.average_length if weighing.average_length else np.ones_like(length)
        found: Floats = tf * (weighing.k1 + 1.0) / (tf + weighing.k1 * (1.0 - weighing.b + weighing.b * ratio))
        return found

    def text_bound(self) -> tuple[NDArray[np.float32], float]:
        """For every settled row at least its text value from listed terms, and what the others can add at most."""
        postings = self._store.postings
        if postings.weighing != self._weighing:
            return np.zeros(postings.rows, dtype=np.float32), 1.0  # bounds of other constants bound nothing
        bound = np.zeros(postings.rows, dtype=np.float32)
        unlisted = 0.0
        for number, weight in self.terms:
            if number >= len(postings.listed):
                continue  # first said by a row that is not settled yet
            if postings.listed[number]:
                rows, impacts = postings.term(number)
                # each row stands once in a list; `add.at` is twice as quick as `bound[rows] += ...` nevertheless
                np.add.at(bound, rows, impacts * np.float32(weight * postings.weighing.step))
            else:
                unlisted += weight * float(postings.most[number]) * postings.weighing.step
        return bound, unlisted
