"""Institutions as columns: standing, home, languages and record, one row each, changed in place."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from services.matching.engine.columns import Bools, Column, Floats, Ids, Numbered, Slots
from services.matching.engine.eligibility import facilitating_only
from services.matching.engine.model import VERIFIED, CompletedProject, InstitutionFacts, unknown_institution


class Providers:
    """One row per institution; `revision` rises with every change."""

    __slots__ = (
        "_completed",
        "_counts",
        "_worked",
        "countries",
        "country",
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
        self.languages = Numbered[tuple[str, ...]]()
        self.home, self.standing, self.spoken = Column(np.int16), Column(np.int16), Column(np.int32)
        self.proposable = Column(np.bool_)
        self._counts = {name: Column(np.int32) for name in ("practices", "replications", "in_time", "answerable")}
        self._completed: dict[int, tuple[CompletedProject, ...]] = {}
        self._worked: tuple[int, Slots, Slots] | None = None
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
        self.revision += 1
        row = self.ids.row(facts.id)
        if row is None:
            row = self.ids.append(facts.id)
            for column in (self.home, self.standing, self.spoken, self.proposable, *self._counts.values()):
                column.append(0)
        self._fill(row, facts)
        return row

    def _fill(self, row: int, facts: InstitutionFacts) -> None:
        self.home.set(row, self.countries.number(facts.country))
        self.standing.set(row, self.standings.number((facts.type, facts.status)))
        self.spoken.set(row, self.languages.number(facts.languages))
        self.proposable.set(row, facts.status == VERIFIED and not facilitating_only(facts))
        counts = (facts.practices, facts.replications, facts.answered_in_time, facts.answerable)
        for column, count in zip(self._counts.values(), counts, strict=True):
            column.set(row, count)
        self._completed.pop(row, None)
        if facts.completed:
            self._completed[row] = facts.completed
            for project in facts.completed:
                self.countries.numbers(project.countries)

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

    def with_projects(self) -> Iterator[tuple[int, tuple[CompletedProject, ...]]]:
        """Rows of institutions with completed projects, and these."""
        yield from self._completed.items()

    def worked_in(self) -> tuple[Slots, Slots]:
        """Rows of institutions, and numbers of countries in which they have worked, in pairs."""
        if self._worked is None or self._worked[0] != self.revision:
            pairs = [
                (row, number)
                for row, projects in self._completed.items()
                for project in projects
                for number in self.countries.numbers(project.countries)
            ]
            rows, numbers = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
            self._worked = (self.revision, rows, numbers)
        return self._worked[1:]

    def speak(self, languages: frozenset[str]) -> Bools:
        """Whether each institution has one of the languages."""
        shared = [not languages.isdisjoint(some) for some in self.languages.values]
        found: Bools = np.array([*shared, False], dtype=np.bool_)[self.spoken.values]
        return found

    def by_country(self, values: list[float]) -> Floats:
        """A value of each institution, from one of each country in the order of `countries`."""
        found: Floats = np.array([*values, 0.0], dtype=np.float64)[self.home.values]
        return found

    def settle(self) -> None:
        """Sort the ids of those heard of so far."""
        self.ids = self.ids.settled()

    @property
    def nbytes(self) -> int:
        """Memory held by the columns."""
        columns = (self.home, self.standing, self.spoken, self.proposable, *self._counts.values())
        return self.ids.nbytes + sum(column.nbytes for column in columns)
