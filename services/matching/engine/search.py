"""The best rows for a probe, looking at as few as can be.

Rows are taken from the most promising on: those of the need's own ISIC class, then wider categories.
Before each step the score that the rows still unseen can reach at most is compared with that of the
k-th best found; what cannot reach it is never looked at. The result equals looking at every row.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.matching.engine.columns import Bools, Floats, Slots
from services.matching.engine.probe import Probe
from services.matching.engine.store import Store

SAFETY = 2e-6
"""More than rounding to 6 decimals and the error of near scores can move two scores apart."""
SLACK = 1e-5
"""More than the rounding of sums of bounds."""
SEEN = np.float32(-np.inf)
SEEDS = 256
STEP_ROWS = 2048
MOST_ROWS = 65_536
DEPTHS = (4, 3, 2, 1, 0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many rows, from which score on, without which slots, and whether those that the rules allow or exclude."""

    k: int
    threshold: float
    without: Slots
    excluded: bool = False


class Search:
    """One search for the best rows."""

    def __init__(self, store: Store, probe: Probe, wanted: Wanted) -> None:
        """Bind what is searched for."""
        self._store, self._probe, self._wanted = store, probe, wanted
        self._offered = store.offered(probe.prepared.on)
        self._bound, self._unlisted = probe.text_bound()
        self._rest = probe.most_but_sector_and_text()
        self._slots: Slots = np.zeros(0, dtype=np.int64)
        self._near: Floats = np.zeros(0)
        self._floor = wanted.threshold
        own = store.providers.ids.row(probe.prepared.need.institution_id)
        self._own_row = -1 if own is None else own

    def best(self) -> tuple[Slots, Floats]:
        """Slots and near scores of all rows that can be among the first k; sometimes a few more than k."""
        if self._wanted.k <= 0:
            return self._slots, self._near
        self._look_at(np.arange(self._store.settled, len(self._store.rows)))
        if self._store.settled:
            for rows in self._steps():
                self._look_at(rows)
        keep = self._near >= self._floor - SAFETY
        return self._slots[keep], self._near[keep]

    def _steps(self) -> Iterator[Slots]:
        """Settled rows to look at next, each once, until no other can be among the best."""
        yield _distinct(self._seeds())
        for depth in DEPTHS:
            listed, least = self._of_depth(depth), self._least_text(depth)
            if least > 0:
                # rows of this depth and of all wider ones need that much text
                reach = np.flatnonzero(self._bound >= least)
                if len(reach) <= 4 * len(listed) + STEP_ROWS or depth == 0:
                    yield reach
                    return
            yield self._unseen(listed, max(least, 0.0)) if depth else np.flatnonzero(self._bound > SEEN)

    def _unseen(self, listed: Slots, least: float) -> Slots:
        """Those not looked at yet that have enough text, each once."""
        return _distinct(listed[self._bound[listed] >= least])

    def _least_text(self, depth: int) -> float:
        """The least bound on the listed part of the text value with which a row of this depth can still win."""
        if self._floor - SLACK > self._probe.sector_value(depth) + self._rest + self._probe.weight("text"):
            return np.inf
        if not self._probe.weight("text"):
            return -np.inf
        missing = self._floor - self._probe.sector_value(depth) - self._rest
        return missing / self._probe.weight("text") - self._unlisted - SLACK

    def _seeds(self) -> Slots:
        """Some rows that promise much: of the deepest category, with most text in common."""
        listed = self._of_depth(4)
        if len(listed) < self._wanted.k:
            listed = np.flatnonzero(self._bound > 0)
        if len(listed) <= SEEDS:
            return listed
        bound = self._bound[listed]
        return listed[np.argpartition(bound, len(bound) - SEEDS)[len(bound) - SEEDS :]]

    def _of_depth(self, depth: int) -> Slots:
        """Settled rows with a code of this depth, some of them more than once."""
        codes = np.flatnonzero(self._probe.depths == depth) if depth else ()
        lists = [self._store.postings.by_isic.of(int(code)) for code in codes]
        found: Slots = np.concatenate([np.zeros(0, dtype=np.int64), *lists]).astype(np.int64)
        return found

    def _look_at(self, slots: Slots) -> None:
        """Score the rows that the rules allow and that can still be among the best."""
        bound = self._text_bound(slots)
        for first in range(0, len(slots), MOST_ROWS):
            part = slice(first, first + MOST_ROWS)
            self._score(slots[part], bound[part])

    def _text_bound(self, slots: Slots) -> NDArray[np.float32]:
        """What each row can have of text at most; rows that are settled count as seen from now on."""
        if not len(slots) or slots[0] >= self._store.settled:
            return np.ones(len(slots), dtype=np.float32)
        bound: NDArray[np.float32] = np.minimum(self._bound[slots] + np.float32(self._unlisted + SLACK), 1.0)
        self._bound[slots] = SEEN
        return bound

    def _score(self, slots: Slots, text_bound: NDArray[np.float32]) -> None:
        weight, excluded = self._probe.weight("text"), self._wanted.excluded
        owner = self._store.rows["provider"][slots]
        keep = self._store.rows.live.values[slots] if excluded else self._allowed(slots, owner)
        keep &= self._probe.most_without_text(slots, owner) + weight * text_bound >= self._floor - SAFETY
        slots, owner, text_bound = slots[keep], owner[keep], text_bound[keep]
        found, allowed = self._probe.facets(slots, owner)
        if excluded:
            allowed = ~(allowed & self._allowed(slots, owner))
        most = found + weight * text_bound
        chosen = np.flatnonzero(allowed & (most >= self._floor - SAFETY))
        for some in self._best_first(chosen, most):
            part = some[most[some] >= self._floor - SAFETY]
            self._take(slots[part], found[part] + weight * self._probe.text(slots[part]))

    def _best_first(self, chosen: Slots, most: Floats) -> Iterator[Slots]:
        """The most promising ones first, so that the others need not be read."""
        if len(chosen) > SEEDS:
            chosen = chosen[np.argsort(-most[chosen])]
        size = SEEDS
        while len(chosen):
            yield chosen[:size]
            chosen, size = chosen[size:], STEP_ROWS

    def _allowed(self, slots: Slots, owner: Slots) -> Bools:
        """Whether the rules that look at standing and places allow the rows."""
        allowed: Bools = self._offered[slots] & self._probe.providing.welcome[owner] & (owner != self._own_row)
        if len(self._wanted.without):
            allowed &= ~np.isin(slots, self._wanted.without)
        return allowed

    def _take(self, slots: Slots, near: Floats) -> None:
        """Keep those that can still be among the first k."""
        slots, near = np.concatenate([self._slots, slots]), np.concatenate([self._near, near])
        k = self._wanted.k
        if len(near) > k:
            kth = float(np.partition(near, len(near) - k)[len(near) - k])
            self._floor = max(self._floor, kth)
        keep = near >= self._floor - SAFETY
        self._slots, self._near = slots[keep], near[keep]


def _distinct(slots: Slots) -> Slots:
    """Each slot once, in rising order."""
    ordered = np.sort(slots)
    first = np.ones(len(ordered), dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]
