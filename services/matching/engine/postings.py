"""Postings of the settled rows: per ISIC code its rows, per rarer term its rows with an upper bound of its impact.

Impacts are rounded up to a byte. They bound how much of the text criterion a row can have; the exact
value comes from the row's own terms. Terms that very many rows say are not listed: each has one bound for all.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.matching.engine.columns import Slots
from services.matching.engine.prepared import MOST_COUNTED
from services.matching.engine.rows import COUNT_BITS, IMPLIED, ISIC, Rows, Words

LISTED_SHARE = 1 / 16
"""Terms said by more than this share of the rows are not listed."""
STEPS = 255


@dataclass(frozen=True, slots=True)
class Weighing:
    """The constants of BM25 under which impacts were worked out."""

    k1: float
    b: float
    average_length: float

    def impact(self, tf: NDArray[np.float32], length: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give tf (k1 + 1) / (tf + norm), which is below k1 + 1."""
        ratio = length / self.average_length if self.average_length else np.ones_like(length)
        norm = self.k1 * (1.0 - self.b + self.b * ratio)
        found: NDArray[np.float32] = (tf * (self.k1 + 1.0) / (tf + norm)).astype(np.float32)
        return found

    def up(self, impact: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Rounded up to one of 255 steps."""
        steps = np.ceil(impact * (STEPS / (self.k1 + 1.0)) + 1e-4)
        found: NDArray[np.uint8] = np.minimum(steps, STEPS).astype(np.uint8)
        return found

    @property
    def step(self) -> float:
        """What one step is worth."""
        return (self.k1 + 1.0) / STEPS


@dataclass(frozen=True, slots=True)
class Lists:
    """Rows by number, end to end."""

    rows: NDArray[np.int32]
    starts: NDArray[np.int64]

    def of(self, number: int) -> NDArray[np.int32]:
        """Rows in rising order; none for a number that came later."""
        if number + 1 >= len(self.starts):
            return self.rows[:0]
        return self.rows[self.starts[number] : self.starts[number + 1]]


@dataclass(frozen=True, slots=True)
class Postings:
    """Postings of the first `rows` rows."""

    rows: int
    weighing: Weighing
    by_isic: Lists
    by_term: Lists
    impacts: NDArray[np.uint8]
    most: NDArray[np.uint8]
    """Largest impact of each term, listed or not."""
    listed: NDArray[np.bool_]

    @classmethod
    def none(cls) -> "Postings":
        """No rows."""
        empty = Lists(np.zeros(0, dtype=np.int32), np.zeros(1, dtype=np.int64))
        nothing = np.zeros(0, dtype=np.uint8)
        return cls(0, Weighing(0.0, 0.0, 0.0), empty, empty, nothing, nothing, np.zeros(0, dtype=np.bool_))

    @classmethod
    def of(cls, rows: Rows, words: Words, weighing: Weighing) -> "Postings":
        """Postings of all rows."""
        by_term, impacts, most, listed = _terms(rows, len(words.terms), weighing)
        return cls(len(rows), weighing, _isic(rows, words), by_term, impacts, most, listed)

    def term(self, number: int) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """Rows that say a listed term, and the bounds of its impact there."""
        if number + 1 >= len(self.by_term.starts):
            return self.by_term.rows[:0], self.impacts[:0]
        where = slice(int(self.by_term.starts[number]), int(self.by_term.starts[number + 1]))
        return self.by_term.rows[where], self.impacts[where]

    @property
    def nbytes(self) -> int:
        """Memory held."""
        lists = (self.by_isic.rows, self.by_isic.starts, self.by_term.rows, self.by_term.starts)
        return sum(int(array.nbytes) for array in (*lists, self.impacts, self.most, self.listed))


def _isic(rows: Rows, words: Words) -> Lists:
    is_code = np.array([kind in {ISIC, IMPLIED} for kind, _ in words.facets.values], dtype=np.bool_)
    facets = rows.facets.data.values
    chosen = is_code[facets]
    owner = np.repeat(np.arange(len(rows), dtype=np.int32), np.diff(rows.facets.ends(0, len(rows))))[chosen]
    starts = np.concatenate([[0], np.cumsum(np.bincount(facets[chosen], minlength=len(is_code)))])
    return Lists(owner[np.argsort(facets[chosen], kind="stable")], starts)


def _terms(
    rows: Rows, size: int, weighing: Weighing
) -> tuple[Lists, NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]:
    """Turn terms by row into rows by term."""
    packed = rows.terms.data.values
    frequency = _counted(packed, size)
    listed = frequency <= max(1, int(len(rows) * LISTED_SHARE))
    most = np.zeros(size, dtype=np.uint8)
    kept_terms, kept_impacts, kept_counts = [], [], []
    for first in range(0, len(rows), CHUNK_ROWS):
        until = min(first + CHUNK_ROWS, len(rows))
        ends = rows.terms.ends(first, until)
        part, counts = packed[ends[0] : ends[-1]], np.diff(ends)
        terms = (part >> COUNT_BITS).astype(np.int32)
        lengths = np.repeat(rows["length"][first:until].astype(np.float32), counts)
        impacts = weighing.up(weighing.impact((part & MOST_COUNTED).astype(np.float32), lengths))
        np.maximum.at(most, terms, impacts)
        keep = listed[terms]
        kept_terms.append(terms[keep])
        kept_impacts.append(impacts[keep])
        kept_counts.append(_sums(keep, counts))
    lists, impacts = _turned(kept_terms, kept_impacts, kept_counts, size)
    return lists, impacts, most, listed


CHUNK_ROWS = 65_536


def _counted(packed: NDArray[np.uint32], size: int) -> Slots:
    """How many rows say each term, a part of the terms at a time."""
    found = np.zeros(size, dtype=np.int64)
    for first in range(0, len(packed), 1 << 22):
        found += np.bincount(packed[first : first + (1 << 22)] >> COUNT_BITS, minlength=size)
    return found


def _sums(keep: NDArray[np.bool_], counts: Slots) -> Slots:
    ends = np.concatenate([[0], np.cumsum(keep)])[np.cumsum(counts)] if len(counts) else np.zeros(0, dtype=np.int64)
    found: Slots = np.diff(ends, prepend=0)
    return found


def _turned(
    terms: list[NDArray[np.int32]], impacts: list[NDArray[np.uint8]], counts: list[Slots], size: int
) -> tuple[Lists, NDArray[np.uint8]]:
    """Terms of rows, part by part, as rows of terms: each entry goes behind those of its term in the parts before."""
    frequency = sum((np.bincount(part, minlength=size) for part in terms), np.zeros(size, dtype=np.int64))
    starts = np.concatenate([[0], np.cumsum(frequency)])
    rows, bounds = np.empty(int(starts[-1]), dtype=np.int32), np.empty(int(starts[-1]), dtype=np.uint8)
    free, first = starts[:-1].copy(), 0
    for part, impact, lengths in zip(terms, impacts, counts, strict=True):
        order = _in_order(part)
        said = part[order]
        begins = np.flatnonzero(np.concatenate([said[:1] >= 0, said[1:] != said[:-1]]))
        often = np.diff(np.append(begins, len(said)))
        places = np.arange(len(said)) + np.repeat(free[said[begins]] - begins, often)
        rows[places] = np.repeat(np.arange(first, first + len(lengths), dtype=np.int32), lengths)[order]
        bounds[places] = impact[order]
        free[said[begins]] += often
        first += len(lengths)
    return Lists(rows, starts), bounds


def _in_order(terms: NDArray[np.int32]) -> Slots:
    """Places of the terms in rising order, equal ones as they stand: numpy sorts 16 bits at once in linear time."""
    low = np.argsort((terms & 0xFFFF).astype(np.uint16), kind="stable")
    high = (terms >> 16).astype(np.uint16)[low]
    found: Slots = low[np.argsort(high, kind="stable")] if high.any() else low
    return found
