"""Open needs as rows, for the other direction: which of them may want a capability (see `takers`).

Made for one scorer and one day. Like the rows of capabilities: an update appends a row and kills the old one, the
older rows are settled with postings by term, the ones added since are read one by one.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.matching.engine import criteria
from services.matching.engine.columns import Column, Ids, Numbered, Ragged, Slots
from services.matching.engine.model import hs_chapters
from services.matching.engine.prepared import PreparedNeed
from services.matching.engine.rows import (
    CHAPTER,
    GOAL,
    IMPLIED,
    ISIC,
    KIND,
    LANGUAGE,
    MANY,
    NONE,
    TARGET,
    Facet,
    Words,
    united,
)
from services.matching.engine.score import Scorer
from shared.reference.classifications import sdg_goal_of

FEW_ROWS = 1024
MOST_UNSETTLED = 1 / 16
"""Rows added or dead, as a share of all, after which settling pays."""
COLUMNS = {
    "version": np.int32,
    "cutoff": np.float64,
    "text": np.float32,
    "sector": np.float32,
    "group": np.int32,
    "institution": np.int32,
    "code_a": np.uint16,
    "code_b": np.uint16,
    "implied": np.uint64,
    "sought": np.uint8,
    "targets": np.uint8,
    "chapters": np.uint8,
    "live": np.bool_,
}
"""`text` and `sector` are the weights of these criteria; codes are briefs as in `rows`; `sought`, `targets` and
`chapters` are how many there are."""
Group = tuple[str, bool, tuple[tuple[str, float], ...]]
"""What many needs have alike: country, whether domestic offers are welcome, weights of the criteria."""


class Seekers:
    """Needs with the least score that each of them asks for. Not thread-safe."""

    def __init__(self, scorer: Scorer, on: date) -> None:
        """Start empty."""
        self.scorer, self.on = scorer, on
        self.ids = Ids()
        self.columns = {name: Column(kind) for name, kind in COLUMNS.items()}
        self.facets, self.terms, self.shares = Ragged(np.uint16), Ragged(np.int32), Ragged(np.float32)
        self.words = Words()
        self.groups, self.institutions = Numbered[Group](), Numbered[str]()
        self.settled = self._dead = 0
        self._listed = (np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32), np.zeros(1, dtype=np.int64))

    def __len__(self) -> int:
        """Count the needs."""
        return len(self.ids.column) - self._dead

    def __getitem__(self, name: str) -> NDArray[Any]:
        """All values of a column, dead rows included."""
        return self.columns[name].values

    # Keeping up

    def put(self, prepared: PreparedNeed, cutoff: float) -> None:
        """Insert or replace a need that was prepared by this scorer for this day."""
        row = self._row(prepared.need.id)
        if row is not None and self["version"][row] == prepared.need.version:
            self.columns["cutoff"].set(row, cutoff)
        else:
            self.remove(prepared.need.id)
            self._append(prepared, cutoff)

    def remove(self, need_id: str) -> None:
        """Forget a need; an unknown one is no error."""
        row = self._row(need_id)
        if row is not None:
            self.columns["live"].set(row, value=False)
            self._dead += 1

    def fingerprint(self) -> tuple[int, int, int]:
        """Count, sum of versions, and sum of what is asked for in millionths: for comparing with the rows."""
        live = self["live"]
        asked = np.round(self["cutoff"][live] * 1e6).astype(np.int64)
        return len(self), int(self["version"][live].sum()), int(asked.sum())

    def _row(self, need_id: str) -> int | None:
        row = self.ids.row(need_id)
        return row if row is not None and self["live"][row] else None

    def _append(self, prepared: PreparedNeed, cutoff: float) -> None:
        need, weights, facets = prepared.need, prepared.weights, self.words.facets
        code_a, code_b = _two(facets.numbers((ISIC, code) for code in need.isic))
        values = {
            "version": need.version,
            "cutoff": cutoff,
            "text": weights.get("text", 0.0),
            "sector": weights.get("sector", 0.0),
            "group": self.groups.number((need.country, need.domestic_welcome, tuple(weights.items()))),
            "institution": self.institutions.number(need.institution_id),
            "code_a": code_a,
            "code_b": code_b,
            "sought": len(set(need.resource_kinds)),
            "targets": len(set(need.sdg_targets)),
            "chapters": len(hs_chapters(need.hs)),
            "implied": united(self.words.bit(IMPLIED, code) for code in prepared.implied),
            "live": True,
        }
        self.ids.append(need.id)
        for name, column in self.columns.items():
            column.append(values[name])
        self.facets.append(facets.numbers(_facets(prepared)))
        documents = self.scorer.frame.statistics.documents
        weighed = [(t.term, t.boost * criteria.idf(documents, t.df)) for t in prepared.query]
        best = sum(weight for _, weight in weighed)
        self.terms.append(self.words.terms.numbers(term for term, _ in weighed))
        self.shares.append([weight / best if best else 0.0 for _, weight in weighed])

    # Settling

    @property
    def worn(self) -> bool:
        """Whether `settle` would make searches quicker."""
        return len(self.ids.column) - self.settled + self._dead > max(FEW_ROWS, len(self) * MOST_UNSETTLED)

    def settle(self) -> None:
        """Drop dead rows and make postings of all others; a second for a hundred thousand needs."""
        live = np.flatnonzero(self["live"])
        self.ids = Ids(self.ids.column.values[live])
        self.columns = {name: Column(column.values.dtype, column.values[live]) for name, column in self.columns.items()}
        self.facets, self.terms, self.shares = (r.take(live) for r in (self.facets, self.terms, self.shares))
        self.settled, self._dead = len(live), 0
        terms = self.terms.data.values
        owner = np.repeat(np.arange(len(live), dtype=np.int32), np.diff(self.terms.ends(0, len(live))))
        order = np.argsort(terms, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(terms, minlength=len(self.words.terms)))])
        self._listed = (owner[order], self.shares.data.values[order], starts)

    def saying(self, number: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Settled rows that say a term, and the share that it has of each one's best possible text."""
        rows, shares, starts = self._listed
        if number + 1 >= len(starts):
            return rows[:0], shares[:0]
        where = slice(int(starts[number]), int(starts[number + 1]))
        return rows[where], shares[where]

    @property
    def nbytes(self) -> int:
        """Memory held by the columns."""
        columns = sum(column.nbytes for column in self.columns.values())
        lists = self.facets.nbytes + self.terms.nbytes + self.shares.nbytes
        return self.ids.nbytes + columns + lists + sum(int(array.nbytes) for array in self._listed)

    def recent(self) -> Slots:
        """Rows added since the last settling."""
        return np.arange(self.settled, len(self.ids.column))


def _two(codes: list[int]) -> tuple[int, int]:
    first, *others = codes or [NONE]
    return first, NONE if not others else others[0] if len(others) == 1 else MANY


def _facets(prepared: PreparedNeed) -> Iterator[Facet]:
    """All facets, a goal once for each of its targets; NONE stands in every row, so that no list is empty."""
    need = prepared.need
    yield NONE, ""
    yield from ((ISIC, code) for code in sorted(set(need.isic)))
    yield from ((IMPLIED, code) for code in prepared.implied)
    yield from ((KIND, kind) for kind in sorted(set(need.resource_kinds)))
    yield from ((CHAPTER, chapter) for chapter in sorted(hs_chapters(need.hs)))
    yield from ((LANGUAGE, language) for language in sorted(set(need.languages)))
    for target in sorted(set(need.sdg_targets)):
        yield TARGET, target
        yield GOAL, sdg_goal_of(target)
