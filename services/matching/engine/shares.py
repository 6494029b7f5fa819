"""Groups of countries that equity looks at, and how a total is shared."""

from collections.abc import Sequence

GROUPS = ("ldc", "lldc", "sids")
"""Least developed, landlocked developing, and small island developing countries; a country may be in several."""


def share(part: int, whole: int) -> float:
    """To six decimals; 0 of nothing."""
    return round(part / whole, 6) if whole else 0.0


def concentration(most_first: Sequence[int]) -> tuple[float, float]:
    """The parts of a total that the largest one has, and that the tenth of all with most have together."""
    total, tenth = sum(most_first), most_first[: -(-len(most_first) // 10)]
    return share(max(most_first, default=0), total), share(sum(tenth), total)
