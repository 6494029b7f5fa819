"""Growing numpy columns, bitsets over open vocabularies, and postings: the parts of the index.

Rows are only appended; whoever changes a row marks the old one dead and appends a new one.
"""

from array import array
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Slots = NDArray[np.int64]

FIRST_ROWS = 64
WORD_BITS = 64


class Column:
    """One value a row, of a fixed numpy type; grows by doubling."""

    __slots__ = ("_data", "_rows")

    def __init__(self, dtype: type[np.generic]) -> None:
        """Start empty."""
        self._data: NDArray[Any] = np.zeros(FIRST_ROWS, dtype=dtype)
        self._rows = 0

    def append(self, value: float) -> None:
        """Add a row."""
        if self._rows == len(self._data):
            self._data = np.concatenate([self._data, np.zeros_like(self._data)])
        self._data[self._rows] = value
        self._rows += 1

    def set(self, row: int, value: float) -> None:
        """Change one row in place."""
        self._data[row] = value

    @property
    def values(self) -> NDArray[Any]:
        """All rows; a view, valid until the next append."""
        return self._data[: self._rows]


class Bitset:
    """A set of words a row, one bit a word; the vocabulary grows as words appear."""

    __slots__ = ("_bits", "_data", "_rows")

    def __init__(self) -> None:
        """Start empty."""
        self._bits: dict[str, int] = {}
        self._data = np.zeros((FIRST_ROWS, 1), dtype=np.uint64)
        self._rows = 0

    def append(self, words: Iterable[str]) -> None:
        """Add a row that holds the words."""
        bits = [self._bits.setdefault(word, len(self._bits)) for word in words]
        self._make_room()
        for bit in bits:
            self._data[self._rows, bit // WORD_BITS] |= np.uint64(1 << bit % WORD_BITS)
        self._rows += 1

    def _make_room(self) -> None:
        rows, width = self._data.shape
        needed = -(-len(self._bits) // WORD_BITS)
        if needed > width or self._rows == rows:
            grown = np.zeros((rows * 2 if self._rows == rows else rows, max(width, needed)), dtype=np.uint64)
            grown[:rows, :width] = self._data
            self._data = grown

    def any_of(self, words: Iterable[str], slots: Slots | slice = slice(None)) -> Bools:
        """Per row whether it holds at least one of the words."""
        rows = self._data[: self._rows][slots]
        found: Bools = np.zeros(len(rows), dtype=np.bool_)
        for position, mask in self._masks(words).items():
            found |= (rows[:, position] & mask) != 0
        return found

    def count_of(self, words: Iterable[str], slots: Slots | slice = slice(None)) -> NDArray[np.int64]:
        """Per row how many of the words it holds."""
        rows = self._data[: self._rows][slots]
        count = np.zeros(len(rows), dtype=np.int64)
        for position, mask in self._masks(words).items():
            count += np.bitwise_count(rows[:, position] & mask)
        return count

    def _masks(self, words: Iterable[str]) -> dict[int, np.uint64]:
        masks: dict[int, int] = {}
        for bit in {self._bits[word] for word in words if word in self._bits}:
            masks[bit // WORD_BITS] = masks.get(bit // WORD_BITS, 0) | 1 << bit % WORD_BITS
        return {position: np.uint64(mask) for position, mask in masks.items()}


class Postings:
    """Per term the rows that say it and how often, in row order."""

    __slots__ = ("_terms",)

    def __init__(self) -> None:
        """Start empty."""
        self._terms: dict[str, tuple[array[int], array[int]]] = {}

    def add(self, row: int, frequencies: Mapping[str, int]) -> None:
        """Add a row; rows must come in rising order."""
        for term, tf in frequencies.items():
            slots, counts = self._terms.setdefault(term, (array("q"), array("q")))
            slots.append(row)
            counts.append(tf)

    def of(self, term: str) -> tuple[Slots, Slots]:
        """Rows and counts of a term, dead rows included."""
        slots, counts = self._terms.get(term, (array("q"), array("q")))
        return np.array(slots, dtype=np.int64), np.array(counts, dtype=np.int64)
