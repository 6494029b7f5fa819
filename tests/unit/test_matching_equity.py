"""Who gets and who gives, by hand-checkable figures."""

from __future__ import annotations

from services.matching.domain.equity import OfCountry, by_group, spread

ROWS = [
    OfCountry("ETH", needs=4, served=2, proposed=6, formalised=1),
    OfCountry("KEN", needs=2, served=2, proposed=3, formalised=0),
    OfCountry("TUV", needs=1, served=1, proposed=1, formalised=1),
]
GROUPS = {"ETH": {"ldc", "lldc"}, "KEN": set(), "TUV": {"ldc", "sids"}}


def test_a_country_counts_in_each_of_its_groups() -> None:
    found = {group.group: group for group in by_group(ROWS, GROUPS.__getitem__)}
    assert list(found) == ["all", "ldc", "lldc", "sids"]
    assert (found["all"].needs, found["all"].served, found["all"].proposed, found["all"].formalised) == (7, 5, 10, 2)
    assert (found["ldc"].countries, found["ldc"].needs, found["ldc"].proposed_share) == (2, 5, 0.7)
    assert found["ldc"].formalised_share == 1.0
    assert (found["lldc"].proposed_share, found["sids"].proposed_share) == (0.6, 0.1)


def test_nothing_has_no_shares() -> None:
    (everybody, *others) = by_group([], GROUPS.__getitem__)
    assert (everybody.proposed_share, everybody.formalised_share) == (0.0, 0.0)
    assert all(group.countries == 0 for group in others)
    assert (spread([], 0).largest_share, spread([], 0).tenth_share) == (0.0, 0.0)


def test_the_tenth_with_most_is_at_least_one() -> None:
    assert spread([5, 3, 2], 2).tenth_share == 0.5
    eleven = spread([10, 5, *[1] * 9], 4)
    assert (eleven.providers, eleven.countries) == (11, 4)
    assert (eleven.largest_share, eleven.tenth_share) == (0.416667, 0.625)
