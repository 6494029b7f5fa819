"""A made-up market of any size: institutions, capabilities as columns, and needs of the same kind.

Codes, countries and blocs are the real ones. Words are made up (`x00042x`), with a few that many texts say and many
that few say, and with words and concepts of their own for each ISIC class. The same seed gives the same market.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from services.matching.engine.index import Index
from services.matching.engine.lexicon import Concept, Lexicon
from services.matching.engine.model import CompletedProject, InstitutionFacts, NeedFacts
from services.matching.engine.rows import (
    BLOC,
    CHAPTER,
    COUNT_BITS,
    COUNTRY,
    GOAL,
    HEADER,
    IMPLIED,
    ISIC,
    KIND,
    LANGUAGE,
    NONE,
    TARGET,
    Block,
)
from services.matching.engine.score import Scorer
from services.matching.engine.world import Flows, ReferenceWorld
from shared.reference import blocs, classifications, countries
from shared.reference.vocabulary import ResourceKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from services.matching.engine.policy import Policy
    from services.matching.engine.store import Store

ON = date(2026, 12, 1)
KINDS = tuple(str(kind) for kind in ResourceKind)
LANGUAGES = ("en", "fr", "es", "pt", "ar", "zh", "ru", "sw", "hi", "id")
GENERAL, TOPIC, CONCEPTS, HEAD = 60_000, 150, 4, 8
DRAWS = {"general": 28, "topic": 14, "concept": 3}
CHUNK = 50_000


def word(number: int) -> str:
    """A word that folding leaves as it is."""
    return f"x{number:06d}x"


def label(number: int) -> str:
    """The only label of a concept."""
    return f"g{number:06d}g"


@dataclass(frozen=True, slots=True)
class Codes:
    """The real codes that the market is made of."""

    classes: tuple[str, ...]
    targets: tuple[str, ...]
    chapters: tuple[str, ...]
    south: tuple[str, ...]
    north: tuple[str, ...]
    blocs: tuple[str, ...]

    @classmethod
    def real(cls) -> Codes:
        south = tuple(sorted(c for c in countries.countries() if countries.is_south(c, ON)))
        return cls(
            classes=tuple(sorted(code for code in classifications.isic() if len(code) == 4)),
            targets=tuple(sorted(code for code in classifications.sdg() if "." in code)),
            chapters=tuple(sorted(classifications.hs_chapters())),
            south=south,
            north=tuple(sorted(set(countries.countries()) - set(south)))[:20],
            blocs=tuple(sorted({bloc for country in south for bloc in blocs.blocs_of(country, ON)})),
        )


CODES = Codes.real()


def lexicon() -> Lexicon:
    """Some concepts for each ISIC class."""
    return Lexicon.of(
        [
            Concept(f"c{place * CONCEPTS + n}", {"en": (label(place * CONCEPTS + n),)}, isic=(code,))
            for place, code in enumerate(CODES.classes)
            for n in range(CONCEPTS)
        ]
    )


def world() -> ReferenceWorld:
    """Trade flows for every country of the South, so that the trade criterion counts."""
    draw = np.random.default_rng(7)

    def shares() -> dict[str, float]:
        chapters = draw.choice(CODES.chapters, 12, replace=False)
        weights = draw.random(12)
        return dict(zip(chapters.tolist(), (weights / weights.sum()).tolist(), strict=True))

    return ReferenceWorld(flows=Flows({c: shares() for c in CODES.south}, {c: shares() for c in CODES.south}))


def zipf(size: int, head: int) -> NDArray[np.float64]:
    """Chances that fall with the rank; a larger head makes the first ones less common."""
    weights = 1.0 / (np.arange(size) + head)
    return weights / weights.sum()


# Institutions


def institutions(number: int, seed: int = 1) -> list[InstitutionFacts]:
    """Most verified, of the South, without a finished project."""
    draw = random.Random(seed)  # noqa: S311 (a reproducible market, no secret)
    return [_institution(place, draw) for place in range(number)]


def _institution(place: int, draw: random.Random) -> InstitutionFacts:
    north = draw.random() < 0.05
    done = draw.randint(1, 4) if draw.random() < 0.08 else 0
    return InstitutionFacts(
        id=f"i{place:08d}",
        country=draw.choice(CODES.north if north else CODES.south),
        type=draw.choice(
            ("firm", "research_institute", "agency", "university", "multilateral")[: 4 + (place % 50 == 0)]
        ),
        status=draw.choices(("verified", "registered", "suspended"), (90, 8, 2))[0],
        languages=tuple(sorted(draw.sample(LANGUAGES, draw.randint(1, 3)))),
        completed=tuple(
            CompletedProject(
                ON - timedelta(days=draw.randint(10, 3000)),
                draw.choice((None, 0.6, 0.8, 0.9, 1.0)),
                tuple(draw.sample(CODES.south, draw.randint(1, 2))),
            )
            for _ in range(done)
        ),
        practices=draw.randint(0, 3) if done else 0,
        replications=draw.randint(0, 2) if done else 0,
        answered_in_time=(answered := draw.randint(0, 6)),
        answerable=answered + draw.randint(0, 3),
    )


# Capabilities


class Offers:
    """Makes blocks of capabilities whose numbers are those of one store."""

    def __init__(self, store: Store, seed: int = 2) -> None:
        self._draw = np.random.default_rng(seed)
        self._owners = len(store.providers)
        facets, terms = store.words.facets, store.words.terms
        self._none = facets.number((NONE, ""))
        self._kinds = np.array(facets.numbers((KIND, kind) for kind in KINDS))
        self._classes = np.array(facets.numbers((ISIC, code) for code in CODES.classes))
        self._groups = np.array(facets.numbers((ISIC, code[:3]) for code in CODES.classes))
        self._implied = np.array(facets.numbers((IMPLIED, code) for code in CODES.classes))
        self._targets = np.array(facets.numbers((TARGET, code) for code in CODES.targets))
        self._goals = np.array(facets.numbers((GOAL, code.split(".")[0]) for code in CODES.targets))
        self._chapters = np.array(facets.numbers((CHAPTER, code) for code in CODES.chapters))
        self._languages = np.array(facets.numbers((LANGUAGE, code) for code in LANGUAGES))
        self._countries = np.array(facets.numbers((COUNTRY, code) for code in CODES.south))
        self._blocs = np.array(facets.numbers((BLOC, code) for code in CODES.blocs))
        size = len(CODES.classes)
        self._general = np.array(terms.numbers(word(n) for n in range(GENERAL)))
        self._topic = np.array(terms.numbers(word(GENERAL + n) for n in range(size * TOPIC)))
        self._labels = np.array(terms.numbers(label(n) for n in range(size * CONCEPTS)))
        self._concepts = np.array(terms.numbers(f"~c{n}" for n in range(size * CONCEPTS)))
        self._chance = {"general": zipf(GENERAL, HEAD), "topic": zipf(TOPIC, 3), "class": zipf(size, 30)}

    def block(self, first: int, rows: int) -> Block:
        """Capabilities number `first` and the ones after it."""
        classes = self._draw.choice(len(CODES.classes), rows, p=self._chance["class"])
        header = self._header(first, rows)
        facets, facet_counts = self._facets(classes, header)
        terms, term_counts = self._terms(classes, header)
        return Block(header, facets, facet_counts, terms, term_counts)

    def _header(self, first: int, rows: int) -> NDArray[Any]:
        draw, header = self._draw, np.zeros(rows, dtype=HEADER)
        header["id"] = np.char.mod("c%09d", np.arange(first, first + rows)).astype("S36")
        header["version"] = draw.integers(1, 5, rows)
        header["provider"] = draw.integers(0, self._owners, rows)
        header["renew_by"] = ON.toordinal() + draw.integers(-30, 700, rows)
        header["capacity"] = draw.integers(1, 6, rows)
        header["engaged"] = np.where(draw.random(rows) < 0.05, header["capacity"], 0)
        header["published"] = True
        header["all_south"] = draw.random(rows) < 0.7
        header["own_languages"] = draw.random(rows) < 0.7
        return header

    def _facets(self, classes: NDArray[Any], header: NDArray[Any]) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
        draw, rows = self._draw, len(classes)
        broad, stated = draw.random(rows) < 0.1, draw.random(rows) < 0.97
        targets, chance = draw.integers(0, len(CODES.targets), (rows, 3)), self._chance["class"]
        served = ~header["all_south"]
        chosen = [
            np.full((rows, 1), self._none),
            _some(draw, self._kinds, rows, 4, 0.55),
            np.where(stated, np.where(broad, self._groups[classes], self._classes[classes]), -1)[:, None],
            np.where(
                stated[:, None] & (draw.random((rows, 1)) < 0.25),
                self._classes[draw.integers(0, len(CODES.classes), (rows, 1))],
                -1,
            ),
            np.where(stated & ~broad, -1, self._implied[classes])[:, None],
            np.where(
                draw.random((rows, 3)) < 0.6, self._implied[draw.choice(len(CODES.classes), (rows, 3), p=chance)], -1
            ),
            self._targets[targets],
            self._goals[targets],
            np.where(draw.random((rows, 1)) < 0.5, self._chapters[(classes % len(self._chapters))[:, None]], -1),
            np.where(header["own_languages"][:, None], _some(draw, self._languages, rows, 2, 0.6), -1),
            np.where(served[:, None], _some(draw, self._countries, rows, 4, 0.5), -1),
            np.where(served[:, None], _some(draw, self._blocs, rows, 2, 0.7), -1),
        ]
        keys, _, counts = _distinct(np.concatenate(chosen, axis=1))
        return keys.astype(np.uint16), counts

    def _terms(self, classes: NDArray[Any], header: NDArray[Any]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        draw, rows = self._draw, len(classes)
        general = self._general[draw.choice(GENERAL, (rows, DRAWS["general"]), p=self._chance["general"])]
        topic = draw.choice(TOPIC, (rows, DRAWS["topic"]), p=self._chance["topic"])
        concept = classes[:, None] * CONCEPTS + draw.integers(0, CONCEPTS, (rows, DRAWS["concept"]))
        said = [general, self._topic[classes[:, None] * TOPIC + topic], self._labels[concept], self._concepts[concept]]
        header["length"] = sum(DRAWS.values())
        keys, tf, counts = _distinct(np.concatenate(said, axis=1))
        return (keys.astype(np.uint32) << COUNT_BITS | tf.astype(np.uint32)), counts


def _some(draw: np.random.Generator, pool: NDArray[Any], rows: int, most: int, each: float) -> NDArray[Any]:
    """Up to `most` of the pool a row, at least one; -1 stands for none."""
    chosen = pool[draw.integers(0, len(pool), (rows, most))]
    kept = draw.random((rows, most)) < each
    kept[:, 0] = True
    return np.where(kept, chosen, -1)


def _distinct(values: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Distinct values of each row end to end, how often each is there, and how many a row has; -1 is none."""
    rows, size = len(values), int(values.max()) + 1
    keys = (np.arange(rows)[:, None] * size + values)[values >= 0]
    distinct, times = np.unique(keys, return_counts=True)
    return distinct % size, times, np.bincount(distinct // size, minlength=rows)


def market(capabilities: int, owners: int | None = None, policy: Policy | None = None) -> Index:
    """An index of a market of this size, settled, with term statistics frozen over all of it."""
    words, flows = lexicon(), world()
    index = Index(Scorer(lexicon=words, world=flows))
    for institution in institutions(owners or max(10, capabilities // 8)):
        index.put_institution(institution)
    offers = Offers(index.store)
    for first in range(0, capabilities, CHUNK):
        index.store.extend(offers.block(first, min(CHUNK, capabilities - first)))
    statistics = index.statistics(1)
    index.use(Scorer(policy or index.policy, statistics, world=flows, lexicon=words))
    index.settle()
    return index


# Needs


def needs(number: int, seed: int = 3) -> list[NeedFacts]:
    """Needs of the same words and codes."""
    draw = np.random.default_rng(seed)
    chance = {"general": zipf(GENERAL, HEAD), "topic": zipf(TOPIC, 3), "class": zipf(len(CODES.classes), 30)}

    def words(of_class: int, general: int, topic: int, concepts: int) -> str:
        chosen = [word(n) for n in draw.choice(GENERAL, general, p=chance["general"]).tolist()]
        chosen += [word(GENERAL + of_class * TOPIC + n) for n in draw.choice(TOPIC, topic, p=chance["topic"]).tolist()]
        chosen += [label(of_class * CONCEPTS + n) for n in draw.integers(0, CONCEPTS, concepts).tolist()]
        return " ".join(draw.permutation(chosen).tolist())

    def one(place: int) -> NeedFacts:
        of_class = int(draw.choice(len(CODES.classes), p=chance["class"]))
        kinds = _pick(draw, KINDS, 1, 4)
        isic = (CODES.classes[of_class], *(_pick(draw, CODES.classes, 1, 1) if draw.random() < 0.25 else ()))
        return NeedFacts(
            id=f"n{place:07d}",
            version=1,
            institution_id=f"seeker{place}",
            country=CODES.south[int(draw.integers(0, len(CODES.south)))],
            title=words(of_class, 2, 2, 1),
            problem=words(of_class, 18, 9, 2),
            resource_kinds=kinds,
            technologies=(words(of_class, 0, 1, 1),),
            isic=isic,
            hs=(CODES.chapters[of_class % len(CODES.chapters)],),
            sdg_targets=_pick(draw, CODES.targets, 1, 3),
            languages=_pick(draw, LANGUAGES, 1, 2),
            urgency=_pick(draw, ("low", "medium", "high", "critical"), 1, 1)[0],
            domestic_welcome=bool(draw.random() < 0.2),
        )

    return [one(place) for place in range(number)]


def _pick(draw: np.random.Generator, pool: Sequence[str], least: int, most: int) -> tuple[str, ...]:
    size = int(draw.integers(least, most + 1))
    return tuple(sorted(draw.choice(pool, size, replace=False).tolist()))
