"""Plain brute force in numpy: every row, every criterion, then the k best. What the index is checked against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from services.matching.engine.probe import Probe
from services.matching.engine.providing import ProvidingValues
from services.matching.engine.score import total
from tests.bench.synthetic import ON

if TYPE_CHECKING:
    from services.matching.engine.index import Index
    from services.matching.engine.model import NeedFacts

ROWS = 250_000


class BruteForce:
    """Scores all rows that the rules allow, with neither postings nor bounds."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._providing = ProvidingValues(index.store.providers, index.scorer.frame)

    def top(self, need: NeedFacts, k: int) -> list[tuple[str, float]]:
        """Ids and scores of the k best at or above the threshold, ties by id."""
        index, store = self._index, self._index.store
        prepared = index.scorer.prepare(need, ON)
        probe = Probe(store, prepared, index.scorer.frame, self._providing.of(prepared))
        found = [self._part(probe, np.arange(first, min(first + ROWS, len(store.rows)))) for first in self._starts()]
        slots, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        near = scores >= np.partition(scores, max(0, len(scores) - k))[max(0, len(scores) - k)] - 1e-5
        ranked = [(store.rows.ids.of(s), total([score])) for s, score in zip(slots[near], scores[near], strict=True)]
        best = sorted(ranked, key=lambda found: (-found[1], found[0]))
        return [one for one in best if one[1] >= index.policy.threshold][:k]

    def _starts(self) -> range:
        return range(0, len(self._index.store.rows), ROWS)

    def _part(self, probe: Probe, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = self._index.store.rows
        owner = rows["provider"][slots]
        allowed = rows.offered(slots, ON) & probe.providing.welcome(owner)
        slots, owner = slots[allowed], owner[allowed]
        scores, allowed = probe.facets(slots, owner)
        slots, scores = slots[allowed], scores[allowed]
        return slots, scores + probe.weight("text") * probe.text(slots)
