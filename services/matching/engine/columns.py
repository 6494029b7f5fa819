"""Growing numpy columns: the parts of the index. Nothing here is a Python object per row.

Rows are only appended; whoever changes a row marks the old one dead and appends a new one.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Slots = NDArray[np.int64]
Value = TypeVar("Value", bound=Hashable)

FIRST_ROWS = 64


class Column:
    """One value a row, of a fixed numpy type; grows by a half."""

    __slots__ = ("_data", "_rows")

    def __init__(self, dtype: DTypeLike, values: NDArray[Any] | None = None) -> None:
        """Start empty, or with these values (not copied)."""
        self._data: NDArray[Any] = np.zeros(FIRST_ROWS, dtype=dtype) if values is None else values
        self._rows = 0 if values is None else len(values)

    def append(self, value: Any) -> None:  # noqa: ANN401 (whatever fits the type)
        """Add a row."""
        self._make_room(1)
        self._data[self._rows] = value
        self._rows += 1

    def extend(self, values: NDArray[Any] | Sequence[Any]) -> None:
        """Add rows."""
        self._make_room(len(values))
        self._data[self._rows : self._rows + len(values)] = values
        self._rows += len(values)

    def _make_room(self, more: int) -> None:
        if self._rows + more > len(self._data):
            grown = np.zeros(max(self._rows + more, self._rows * 3 // 2, FIRST_ROWS), dtype=self._data.dtype)
            grown[: self._rows] = self._data[: self._rows]
            self._data = grown

    def trim(self) -> None:
        """Give back the room kept for more rows."""
        if len(self._data) > max(self._rows, FIRST_ROWS):
            self._data = self._data[: self._rows].copy()

    def set(self, row: int, value: Any) -> None:  # noqa: ANN401
        """Change one row in place."""
        self._data[row] = value

    def __len__(self) -> int:
        """Count the rows."""
        return self._rows

    @property
    def values(self) -> NDArray[Any]:
        """All rows; a view, valid until the next append."""
        return self._data[: self._rows]

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return int(self._data.nbytes)


class Ragged:
    """A list of numbers a row, all lists end to end in one column."""

    __slots__ = ("_starts", "data")

    def __init__(self, dtype: DTypeLike, data: NDArray[Any] | None = None, counts: NDArray[Any] | None = None) -> None:
        """Start empty, or with lists of these lengths end to end."""
        self.data = Column(dtype, data)
        self._starts = Column(np.uint32)  # four billion are enough, and take half the memory
        self._starts.append(0)
        if counts is not None:
            self._starts.extend(np.cumsum(counts, dtype=np.int64))

    def append(self, values: Sequence[float]) -> None:
        """Add a row."""
        self.data.extend(values)
        self._starts.append(len(self.data))

    def extend(self, values: NDArray[Any], counts: NDArray[Any]) -> None:
        """Add rows of these lengths, end to end."""
        ends = np.cumsum(counts, dtype=np.int64) + len(self.data)
        self.data.extend(values)
        self._starts.extend(ends)

    def of(self, row: int) -> NDArray[Any]:
        """The list of one row."""
        starts = self._starts.values
        return self.data.values[int(starts[row]) : int(starts[row + 1])]

    def ends(self, first: int, until: int) -> Slots:
        """Where the list of row `first` begins, and where those up to before row `until` end."""
        return self._starts.values[first : until + 1].astype(np.int64)

    def counts(self, rows: Slots) -> Slots:
        """Lengths of the lists of some rows."""
        starts = self._starts.values
        found: Slots = (starts[rows + 1] - starts[rows]).astype(np.int64)
        return found

    def gather(self, rows: Slots) -> tuple[NDArray[Any], Slots]:
        """The lists of some rows end to end, and where each begins there."""
        counts = self.counts(rows)
        begins = np.cumsum(counts) - counts
        places = np.repeat(self._starts.values[rows].astype(np.int64) - begins, counts) + np.arange(int(counts.sum()))
        return self.data.values[places], begins

    def trim(self) -> None:
        """Give back the room kept for more rows."""
        self.data.trim()
        self._starts.trim()

    def take(self, rows: Slots) -> "Ragged":
        """A copy with some rows only."""
        data, _ = self.gather(rows)
        return Ragged(data.dtype, data, self.counts(rows))

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return self.data.nbytes + self._starts.nbytes


class Numbered(Generic[Value]):
    """Values by small numbers in the order of their first appearance: one object, however many rows name it."""

    __slots__ = ("_numbers", "values")

    def __init__(self) -> None:
        """Start empty."""
        self._numbers: dict[Value, int] = {}
        self.values: list[Value] = []

    def number(self, value: Value) -> int:
        """Number of a value, a new one when it has none."""
        number = self._numbers.setdefault(value, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number

    def numbers(self, values: Iterable[Value]) -> list[int]:
        """Numbers of some values."""
        return [self.number(value) for value in values]

    def known(self, value: Value) -> int | None:
        """Number of a value that has one."""
        return self._numbers.get(value)

    def __len__(self) -> int:
        """Count the values."""
        return len(self.values)


ID_TYPE = np.dtype("S36")
"""Ids are ASCII of at most 36 characters, so that their order as bytes is their order as text."""
MANY_ROWS = 4096
"""So many ids at once are sorted in rather than kept in a dictionary."""


class Ids:
    """Ids of rows, and the row of an id: sorted once for the old rows, a dictionary for those added since."""

    __slots__ = ("_order", "_recent", "_sorted", "column")

    def __init__(self, ids: NDArray[np.bytes_] | None = None) -> None:
        """Start empty, or with these."""
        self.column = Column(ID_TYPE, ids)
        self._sort()

    def _sort(self) -> None:
        held = self.column.values
        self._recent: dict[str, int] = {}
        ordered = bool(np.all(held[:-1] <= held[1:])) if len(held) else True
        self._order: Slots | None = None if ordered else np.argsort(held, kind="stable").astype(np.int64)
        self._sorted = len(held)

    def _last(self, wanted: Any) -> Any:  # noqa: ANN401 (one id, or an array of them)
        """Places, in the order of the ids, where the last row with each id stands if there is one."""
        held = self.column.values[: self._sorted]
        return np.maximum(np.searchsorted(held, wanted, side="right", sorter=self._order) - 1, 0)

    def append(self, key: str) -> int:
        """Add a row; gives it. The id stands for this row from now on."""
        row = len(self.column)
        self.column.append(key.encode())
        self._recent[key] = row
        return row

    def extend(self, keys: NDArray[np.bytes_]) -> None:
        """Add rows; from now on their ids stand for them."""
        first = len(self.column)
        self.column.extend(keys)
        if len(keys) < MANY_ROWS:
            self._recent |= {key.decode(): first + place for place, key in enumerate(keys)}
        else:
            self._sort()

    def row(self, key: str) -> int | None:
        """The last row with this id, None when there is none."""
        if key in self._recent:
            return self._recent[key]
        if not self._sorted:
            return None
        wanted = np.bytes_(key.encode())
        place = int(self._last(wanted))
        row = place if self._order is None else int(self._order[place])
        return row if self.column.values[row] == wanted else None

    def rows(self, keys: NDArray[np.bytes_]) -> Slots:
        """Rows of many ids, -1 for unknown ones."""
        held = self.column.values[: self._sorted]
        found = np.full(len(keys), -1, dtype=np.int64)
        if self._sorted:
            places = self._last(keys)
            at = places if self._order is None else self._order[places]
            found = np.where(held[at] == keys, at, -1)
        if self._recent:
            found = np.array([self._recent.get(k.decode(), r) for k, r in zip(keys, found.tolist(), strict=True)])
        return found.astype(np.int64)

    def settled(self) -> "Ids":
        """The same, sorted once and for all."""
        self.column.trim()
        return Ids(self.column.values)

    def of(self, row: int) -> str:
        """Id of a row."""
        return str(self.column.values[row].decode())

    @property
    def nbytes(self) -> int:
        """Memory held by the columns."""
        return self.column.nbytes + (0 if self._order is None else int(self._order.nbytes))
