"""What an index holds against what it should hold: nothing per row but a flag."""

from collections.abc import Iterator

import numpy as np

from services.matching.engine.columns import Slots
from services.matching.engine.rows import Rows


class Comparison:
    """The rows as they were when the comparison began; later changes of the index do not matter to it."""

    def __init__(self, rows: Rows, live: Slots) -> None:
        """Begin with every live row unaccounted for."""
        self._ids, self._versions, self._engaged = rows.ids, rows["version"], rows["engaged"].copy()
        self._missing = np.zeros(len(rows), dtype=np.bool_)
        self._missing[live] = True

    def differs(self, capability_id: str, version: int, engaged: int) -> bool:
        """Whether the capability was not held, or with another version or number of places taken."""
        row = self._ids.row(capability_id)
        if row is None or row >= len(self._missing) or not self._missing[row]:
            return True
        self._missing[row] = False
        return bool(self._versions[row] != version or self._engaged[row] != engaged)

    def gone(self) -> Iterator[str]:
        """Ids of the rows that were not asked about."""
        yield from (self._ids.of(int(row)) for row in np.flatnonzero(self._missing))
