"""Near duplicates: names are folded to plain ASCII letters, then compared."""

from __future__ import annotations

import re
from collections.abc import Iterable

from anyascii import anyascii
from rapidfuzz import fuzz

NEAR = 0.90
_NOT_WORDS = re.compile(r"[^a-z0-9]+")


def fold(name: str) -> str:
    """`Éc. Polytechnique, Fédérale` -> `ec polytechnique federale`; a name without any letter stays as it is."""
    return _NOT_WORDS.sub(" ", anyascii(name).casefold()).strip() or name


def similarity(ours: Iterable[str], theirs: Iterable[str]) -> float:
    """The best of all pairs of folded names, 0 to 1; the order of the words does not count."""
    others = list(theirs)
    return max((_ratio(a, b) for a in ours for b in others), default=0.0)


def _ratio(a: str, b: str) -> float:
    cutoff = NEAR * 100
    best = max(fuzz.ratio(a, b, score_cutoff=cutoff), fuzz.token_sort_ratio(a, b, score_cutoff=cutoff))
    return round(best / 100, 4)
