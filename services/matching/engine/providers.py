"""Institutions as columns: standing, home, languages and record, one row each, changed in place."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.matching.engine.columns import ID_TYPE, Bools, Column, Ids, Numbered, Slots
from services.matching.engine.eligibility import facilitating_only
from services.matching.engine.model import VERIFIED, CompletedProject, InstitutionFacts, unknown_institution

Background = tuple[int, tuple[int, ...]]
"""Numbers of the country of an institution and of those in which it has completed projects."""


class Providers:
    """One row per institution; `revision` rises with every change."""

    __slots__ = (
        "_changed",
        "_completed",
        "_counts",
        "_speaking",
        "background",
        "backgrounds",
        "countries",
        "home",
        "ids",
        "languages",
        "proposable",
        "revision",
        "spoken",
        "standing",
        "standings",
    )

    def __init__(self) -> None:
        """Start empty."""
        self.ids = Ids()
        self.countries, self.standings = Numbered[str | None](), Numbered[tuple[str, str]]()
        self.languages, self.backgrounds = Numbered[tuple[str, ...]](), Numbered[Background]()
        self.home, self.standing, self.spoken = Column(np.int16), Column(np.int16), Column(np.int32)
        self.background, self._changed = Column(np.int32), Column(np.int64)
        self.proposable = Column(np.bool_)
        self._counts = {name: Column(np.int32) for name in ("practices", "replications", "in_time", "answerable")}
        self._completed: dict[int, tuple[CompletedProject, ...]] = {}
        self._speaking: dict[frozenset[str], Bools] = {}
        self.revision = 0

    def __len__(self) -> int:
        """Count the institutions heard of."""
        return len(self.ids.column)

    def row(self, institution_id: str) -> int:
        """Row of an institution, a stand-in when it is not known yet."""
        row = self.ids.row(institution_id)
        return self.put(unknown_institution(institution_id)) if row is None else row

    def put(self, facts: InstitutionFacts) -> int:
        """Insert or replace an institution; gives its row."""
        row = self.ids.row(facts.id)
        if row is None:
            self.extend([facts])
            return len(self) - 1
        self.revision += 1
        for column, value in zip(self._columns(), self._members(facts), strict=True):
            column.set(row, value)
        self._remember(row, facts)
        return row

    def extend(self, some: Sequence[InstitutionFacts]) -> None:
        """Insert many that are not known yet."""
        if not some:
            return
        self.revision += 1
        first = len(self)
        self.ids.extend(np.array([facts.id.encode() for facts in some], dtype=ID_TYPE))
        for column, values in zip(self._columns(), zip(*map(self._members, some), strict=True), strict=True):
            column.extend(values)
        for row, facts in enumerate(some, first):
            self._remember(row, facts)

    def _members(self, facts: InstitutionFacts) -> tuple[int, ...]:
        """A row, in the order of `_columns`."""
        worked = {number for project in facts.completed for number in self.countries.numbers(project.countries)}
        home = self.countries.number(facts.country)
        return (
            home,
            self.standings.number((facts.type, facts.status)),
            self.languages.number(facts.languages),
            self.backgrounds.number((home, tuple(sorted(worked)))),
            facts.status == VERIFIED and not facilitating_only(facts),
            self.revision,
            facts.practices,
            facts.replications,
            facts.answered_in_time,
            facts.answerable,
        )

    def _remember(self, row: int, facts: InstitutionFacts) -> None:
        self._completed.pop(row, None)
        if facts.completed:
            self._completed[row] = facts.completed

    def facts(self, row: int) -> InstitutionFacts:
        """What is known of the institution of a row."""
        kind, status = self.standings.values[self.standing.values[row]]
        practices, replications, in_time, answerable = (int(c.values[row]) for c in self._counts.values())
        return InstitutionFacts(
            id=self.ids.of(row),
            country=self.countries.values[self.home.values[row]],
            type=kind,
            status=status,
            languages=self.languages.values[self.spoken.values[row]],
            completed=self._completed.get(row, ()),
            practices=practices,
            replications=replications,
            answered_in_time=in_time,
            answerable=answerable,
        )

    def count(self, name: str) -> NDArray[np.int32]:
        """A count of every institution: practices, replications, in_time, answerable."""
        return self._counts[name].values

    def completed(self, row: int) -> tuple[CompletedProject, ...]:
        """Completed projects of the institution of a row."""
        return self._completed.get(row, ())

    def changed_since(self, revision: int) -> Slots:
        """Rows that were added or changed after this revision."""
        return np.flatnonzero(self._changed.values > revision)

    def speaking(self, languages: frozenset[str]) -> Bools:
        """Whether institutions have one of the languages, in the order in which `languages` numbers what they speak."""
        held = self._speaking.get(languages)
        if held is None or len(held) != len(self.languages):
            held = np.array([not languages.isdisjoint(some) for some in self.languages.values], dtype=np.bool_)
            self._speaking[languages] = held
        return held

    def settle(self) -> None:
        """Sort the ids of those heard of so far."""
        self.ids = self.ids.settled()

    @property
    def nbytes(self) -> int:
        """Memory held by the columns."""
        return self.ids.nbytes + sum(column.nbytes for column in self._columns())

    def _columns(self) -> tuple[Column, ...]:
        numbers = (self.home, self.standing, self.spoken, self.background)
        return (*numbers, self.proposable, self._changed, *self._counts.values())
