"""Who may write to whom about a match and its need, and when."""

from __future__ import annotations

from services.matching.domain.facilitators import JOINED
from services.matching.domain.matches import BENEFICIARY, FACILITATOR, OPEN, PROVIDER
from shared.lifecycle import Lifecycle, Step

TALKING = OPEN | {"formalised"}
"""Statuses of a match in which its parties talk."""
PARTIES = (BENEFICIARY, PROVIDER, FACILITATOR)
WRITERS = frozenset(f"{side}:{role}" for side in PARTIES for role in ("owner", "editor"))
"""Who may write to the others: an owner or editor of either side, or of a facilitating partner."""
ASKERS = frozenset(f"{side}:{role}" for side in (PROVIDER, FACILITATOR) for role in ("owner", "editor"))
"""Who may ask about the need: an owner or editor of any party but the one whose need it is."""
SPEAKING = frozenset({JOINED})
"""Invitations whose institution writes: one that is only invited reads, so that it can make up its mind."""

QUESTION = Lifecycle[None](
    "question",
    (
        Step(
            "answer",
            frozenset({"asked"}),
            "answered",
            frozenset({f"{BENEFICIARY}:owner", f"{BENEFICIARY}:editor"}),
            "MatchQuestionAnswered",
        ),
    ),
)


def question_status(answer: str | None) -> str:
    """`asked` until there is an answer, then `answered`."""
    return "asked" if answer is None else "answered"
