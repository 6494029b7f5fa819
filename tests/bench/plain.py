"""What the engine is compared with: words only, codes only, half of each, chance; over eligible pairs only."""

from __future__ import annotations

import math
import random
import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

from services.matching.engine.criteria import DEPTH_VALUES
from services.matching.engine.inputs import common_depth
from services.matching.engine.stopwords import STOP_WORDS
from tests.bench.measures import FIRST, Run

if TYPE_CHECKING:
    from services.matching.engine.model import CapabilityFacts, NeedFacts
    from tests.bench.labelled import Labelled

K1, B = 1.2, 0.75
Scores = dict[str, dict[str, float]]
"""By need and capability."""


def runs(of: Labelled) -> dict[str, Run]:
    """The first ten of each plain system by name."""
    text, facets = _text(of), _facets(of)
    both = {need: _half_each(text[need], facets[need]) for need in text}
    chance = random.Random(1955)  # noqa: S311 (a fixed shuffle, no secret)
    shuffled = {
        need: dict.fromkeys(scores, 0.0) | {c: chance.random() for c in scores} for need, scores in text.items()
    }
    systems = {"random": shuffled, "text only": text, "facets only": facets, "text + facets": both}
    return {name: _first_ten(of, scores) for name, scores in systems.items()}


def _first_ten(of: Labelled, scores: Scores) -> Run:
    def eligible(need: str) -> list[str]:
        return [c for c in scores[need] if not of.judgements[need][c].excluded_by]

    return {need: sorted(eligible(need), key=lambda c: (-by[c], c))[:FIRST] for need, by in scores.items()}


def _half_each(text: dict[str, float], facets: dict[str, float]) -> dict[str, float]:
    top = max(text.values()) or 1.0
    return {c: 0.5 * text[c] / top + 0.5 * facets[c] for c in text}


def _words(*texts: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", " ".join(texts).casefold())
    bare = "".join(c for c in plain if not unicodedata.combining(c))
    return [word for word in re.findall(r"[a-z0-9]{2,}", bare) if word not in STOP_WORDS]


def _text(of: Labelled) -> Scores:
    """BM25 over folded words, without stems, concepts or weights of fields."""
    documents = {c.id: Counter(_words(c.title, c.summary, *c.technologies)) for c in of.capabilities}
    frequency = Counter(word for document in documents.values() for word in document)
    average = sum(document.total() for document in documents.values()) / len(documents)
    rarity = {w: math.log(1 + (len(documents) - df + 0.5) / (df + 0.5)) for w, df in frequency.items()}

    def score(query: set[str], document: Counter[str]) -> float:
        norm = K1 * (1 - B + B * document.total() / average)
        return sum(rarity[w] * document[w] * (K1 + 1) / (document[w] + norm) for w in sorted(query & document.keys()))

    queries = {need.id: set(_words(need.title, need.problem, *need.technologies)) for need in of.needs}
    return {need: {c: score(query, document) for c, document in documents.items()} for need, query in queries.items()}


def _facets(of: Labelled) -> Scores:
    return {need.id: {c.id: _facet(need, c) for c in of.capabilities} for need in of.needs}


def _facet(need: NeedFacts, offer: CapabilityFacts) -> float:
    """.4 sector, .2 kinds, .25 goals and targets, .15 language."""
    sector = max((DEPTH_VALUES[common_depth(a, b)] for a in need.isic for b in offer.isic), default=0.0)
    kinds = len(set(need.resource_kinds) & set(offer.resource_kinds)) / len(need.resource_kinds)
    goals = {target.split(".")[0] for target in offer.sdg_targets}
    covered = sum(
        1.0 if target in offer.sdg_targets else 0.5 * (target.split(".")[0] in goals) for target in need.sdg_targets
    )
    language = bool(set(need.languages) & set(offer.languages))
    return 0.4 * sector + 0.2 * kinds + 0.25 * covered / len(need.sdg_targets) + 0.15 * language
