"""The best rows for a probe, looking at as few as can be.

Rows are taken from the most promising on: those of the need's own ISIC class, then wider categories.
Before each step the score that the rows still unseen can reach at most is compared with that of the
k-th best found; what cannot reach it is never looked at. The result equals looking at every row.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.matching.engine.columns import Bools, Floats, Slots
from services.matching.engine.probe import Probe
from services.matching.engine.store import Store

SAFETY = 2e-6
"""More than rounding to 6 decimals and the error of near scores can move two scores apart."""
SLACK = 1e-5
"""More than the rounding of sums of bounds."""
SEEN = np.float32(-1.0)
"""Stands for the bound of a row that was looked at; no bound is negative."""
FIRST_ROWS = 256
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
        self._bound, self._unlisted = probe.text_bound()
        self._most_of_provider = probe.most_of_provider()
        self._rest = probe.most_of_offer() + self._most_of_provider
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
        """Settled rows to look at next, some more than once, until no other can be among the best."""
        for depth in DEPTHS:
            listed = self._of_depth(depth)
            if depth == DEPTHS[0] and len(listed) < self._wanted.k:
                yield self._most_text()
            least = self._least_text(depth)
            near = listed[self._bound[listed] >= max(least, 0.0)] if depth else np.flatnonzero(self._bound > SEEN)
            if least > 0:
                # rows of this depth and of all wider ones need that much text
                reach = np.flatnonzero(self._bound >= least)
                if len(reach) <= len(near) + STEP_ROWS or depth == 0:
                    yield reach
                    return
            yield near

    def _least_text(self, depth: int) -> float:
        """The least bound on the listed part of the text value with which a row of this depth can still win."""
        if self._floor - SLACK > self._probe.sector_value(depth) + self._rest + self._probe.weight("text"):
            return np.inf
        if not self._probe.weight("text"):
            return -np.inf
        missing = self._floor - self._probe.sector_value(depth) - self._rest
        return missing / self._probe.weight("text") - self._unlisted - SLACK

    def _most_text(self) -> Slots:
        """Some rows with most text in common: where the need's own class says little."""
        listed = np.flatnonzero(self._bound > 0)
        return listed[_largest(self._bound[listed], FIRST_ROWS)]

    def _of_depth(self, depth: int) -> Slots:
        """Settled rows with a code of this depth, some of them more than once."""
        codes = np.flatnonzero(self._probe.depths == depth) if depth else ()
        lists = [self._store.postings.by_isic.of(int(code)) for code in codes]
        found: Slots = np.concatenate([np.zeros(0, dtype=np.int64), *lists]).astype(np.int64)
        return found

    def _look_at(self, slots: Slots) -> None:
        """Score the rows that the rules allow and that can still be among the best."""
        for first in range(0, len(slots), MOST_ROWS):
            part = slots[first : first + MOST_ROWS]
            bound = self._text_bound(part)
            text = self._probe.weight("text") * bound
            most = text + self._probe.most_of_sector(part)
            near = np.flatnonzero((most >= self._floor - SAFETY - self._rest) & (bound > SEEN))
            self._narrow(part[near], most[near], text[near])

    def _text_bound(self, slots: Slots) -> NDArray[np.float32]:
        """What each row can have of text at most; rows that are settled count as seen from now on."""
        if slots[0] >= self._store.settled:
            return np.ones(len(slots), dtype=np.float32)
        listed = self._bound[slots]
        self._bound[slots] = SEEN
        most = np.minimum(listed + np.float32(self._unlisted + SLACK), 1.0)
        found: NDArray[np.float32] = np.where(listed > SEEN, most, SEEN)
        return found

    def _narrow(self, slots: Slots, most: Floats, text: NDArray[np.float32]) -> None:
        """Score rows with the most that sector and text can give, as far as what is offered leaves them over."""
        most = most + self._probe.most_of_offers(slots) + self._most_of_provider
        near = np.flatnonzero(most >= self._floor - SAFETY)
        _, places = np.unique(slots[near], return_index=True)
        for some in self._best_first(near[places], most):
            owner = self._store.rows["provider"][slots[some]]
            bound = most[some] - self._most_of_provider + self._probe.most_of_providers(slots[some], owner)
            left = np.flatnonzero(bound >= self._floor - SAFETY)
            self._score(slots[some[left]], owner[left], text[some[left]])

    def _best_first(self, near: Slots, most: Floats) -> Iterator[Slots]:
        """Those of the places that can still win; the most promising ones first, so that others need not be read."""
        first = _largest(most[near], FIRST_ROWS)
        yield near[first]
        rest = np.delete(near, first)
        while len(rest := rest[most[rest] >= self._floor - SAFETY]):
            yield rest[:STEP_ROWS]
            rest = rest[STEP_ROWS:]

    def _score(self, slots: Slots, owner: Slots, text: NDArray[np.float32]) -> None:
        if not len(slots):
            return
        allowed = self._allowed(slots, owner)
        found, useful = self._probe.facets(slots, owner)
        allowed &= useful
        if self._wanted.excluded:
            allowed = self._store.rows.live.values[slots] & ~allowed
        chosen = np.flatnonzero(allowed & (found + text >= self._floor - SAFETY))
        self._take(slots[chosen], found[chosen] + self._probe.weight("text") * self._probe.text(slots[chosen]))

    def _allowed(self, slots: Slots, owner: Slots) -> Bools:
        """Whether the rules that look at standing and places allow the rows."""
        allowed = self._store.rows.offered(slots, self._probe.prepared.on) & self._probe.providing.welcome(owner)
        allowed &= owner != self._own_row
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


def _largest(values: NDArray[Any], number: int) -> Slots:
    """Places of the largest ones."""
    found: Slots = np.arange(len(values))
    return found if len(values) <= number else np.argpartition(values, len(values) - number)[len(values) - number :]
