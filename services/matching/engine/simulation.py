"""What another policy would change: the first k of each need under both, and who gets and gives."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date

from services.matching.engine.index import Index
from services.matching.engine.model import NeedFacts
from services.matching.engine.shares import GROUPS, concentration, share
from services.matching.engine.world import World

Top = list[tuple[str, float]]
"""Ids of capabilities with their scores, best first."""


@dataclass(frozen=True, slots=True)
class Change:
    """A need whose proposals would differ: capabilities that would come in and go out, and the top score of both."""

    need: NeedFacts
    entering: tuple[str, ...]
    leaving: tuple[str, ...]
    best_before: float | None
    best_after: float | None


@dataclass(frozen=True, slots=True)
class Equity:
    """Who gets and who gives: needs with at least one proposal, by group of the need's country; how providers share.

    `group_shares` are shares of all proposals that go to needs of LDCs, LLDCs, SIDS; `largest_share` is the part
    of the provider with most proposals, `tenth_share` that of the tenth of providers with most.
    """

    needs: int
    needs_served: int
    proposals: int
    group_shares: dict[str, float]
    group_needs_served: dict[str, int]
    providers: int
    provider_countries: int
    largest_share: float
    tenth_share: float


@dataclass(frozen=True, slots=True)
class Proposed:
    """A need with the providers that are proposed to it, as id and country."""

    need: NeedFacts
    providers: tuple[tuple[str, str | None], ...]


class Simulation:
    """Needs ranked under two policies, an index each."""

    def __init__(self, before: Index, after: Index, on: date) -> None:
        """Bind both; the capabilities are the same."""
        self._indexes, self._on = (before, after), on
        self._proposed: tuple[list[Proposed], list[Proposed]] = ([], [])
        self.changes: list[Change] = []

    def add(self, needs: Iterable[NeedFacts], quiet: Mapping[str, AbstractSet[str]]) -> None:
        """Rank some more needs; `quiet` holds capabilities not to be proposed, by need."""
        for need in needs:
            silent = quiet.get(need.id, frozenset())
            old, new = (index.top(need, self._on, quiet=silent) for index in self._indexes)
            for proposed, top in zip(self._proposed, (old, new), strict=True):
                proposed.append(Proposed(need, tuple(self._provider(c) for c, _ in top)))
            change = _change(need, old, new)
            if change.entering or change.leaving:
                self.changes.append(change)

    def _provider(self, capability_id: str) -> tuple[str, str | None]:
        index = self._indexes[0]
        capability = index.capability(capability_id)
        owner = "" if capability is None else capability.institution_id
        return owner, index.institution(owner).country

    def equity(self, which: int) -> Equity:
        """Figures of the first (0) or the second policy (1)."""
        return equity(self._proposed[which], self._indexes[0].scorer.frame.world, self._on)


def _change(need: NeedFacts, old: Top, new: Top) -> Change:
    was, will = {c for c, _ in old}, {c for c, _ in new}
    return Change(
        need,
        entering=tuple(c for c, _ in new if c not in was),
        leaving=tuple(c for c, _ in old if c not in will),
        best_before=old[0][1] if old else None,
        best_after=new[0][1] if new else None,
    )


def equity(given: Sequence[Proposed], world: World, on: date) -> Equity:
    """Who gets and who gives."""
    by_provider = Counter(provider for one in given for provider, _ in one.providers)
    total = by_provider.total()
    largest, tenth = concentration(sorted(by_provider.values(), reverse=True))
    of_group = {g: [one for one in given if g in world.groups(one.need.country, on)] for g in GROUPS}
    return Equity(
        needs=len(given),
        needs_served=sum(bool(one.providers) for one in given),
        proposals=total,
        group_shares={g: share(sum(len(one.providers) for one in some), total) for g, some in of_group.items()},
        group_needs_served={g: sum(bool(one.providers) for one in some) for g, some in of_group.items()},
        providers=len(by_provider),
        provider_countries=len({country for one in given for _, country in one.providers}),
        largest_share=largest,
        tenth_share=tenth,
    )
