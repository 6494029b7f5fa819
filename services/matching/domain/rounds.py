"""The life of a round: worked out, looked at, approved or discarded, turned into matches."""

from __future__ import annotations

from shared.lifecycle import SYSTEM, Lifecycle, Step

COMPUTING, PROPOSED, APPROVED, COMPLETED, DISCARDED = "computing", "proposed", "approved", "completed", "discarded"
MATCHED, KEPT, NOT_ELIGIBLE = "matched", "kept", "not_eligible"
"""What became of a pair: a new match, one that was open already, or nothing, since something changed meanwhile."""

_OPERATOR, _SYSTEM = frozenset({"operator"}), frozenset({SYSTEM})
LIFECYCLE = Lifecycle[None](
    "round",
    (
        Step("propose", frozenset({COMPUTING}), PROPOSED, _SYSTEM, ""),
        Step("approve", frozenset({PROPOSED}), APPROVED, _OPERATOR, ""),
        Step("discard", frozenset({COMPUTING, PROPOSED}), DISCARDED, _OPERATOR, ""),
        Step("complete", frozenset({APPROVED}), COMPLETED, _SYSTEM, "RoundCompleted"),
    ),
)
