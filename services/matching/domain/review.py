"""Whether an open match still stands, and whether a need still seeks, given what the rows say now."""

from __future__ import annotations

from collections.abc import Collection

from shared.reference.vocabulary import MatchWithdrawReason

NEED_GONE = {
    "withdrawn": MatchWithdrawReason.NEED_WITHDRAWN,
    "expired": MatchWithdrawReason.NEED_EXPIRED,
    "fulfilled": MatchWithdrawReason.NEED_ENGAGED,
}
CAPABILITY_GONE = {
    "withdrawn": MatchWithdrawReason.CAPABILITY_WITHDRAWN,
    "expired": MatchWithdrawReason.CAPABILITY_EXPIRED,
}
STAYS_THOUGH = frozenset({"no_free_capacity", "declined_recently"})
"""Reasons not to propose a pair that do not take an open match back: a full provider's stay, formalise decides."""


def need_reason(status: str, *, engaged: bool) -> MatchWithdrawReason | None:
    """Why no open match of this need can stand, None when its state allows them."""
    if status in NEED_GONE:
        return NEED_GONE[status]
    return MatchWithdrawReason.NEED_ENGAGED if engaged else None


def pair_reason(
    capability_status: str | None, standings: Collection[str | None], excluded_by: Collection[str]
) -> MatchWithdrawReason | None:
    """Why this pair cannot stand: state of the capability, of the two institutions, or the engine's hard rules."""
    if capability_status in CAPABILITY_GONE:
        return CAPABILITY_GONE[capability_status]
    if "suspended" in standings:
        return MatchWithdrawReason.INSTITUTION_SUSPENDED
    if "renewal_overdue" in excluded_by:
        return MatchWithdrawReason.CAPABILITY_EXPIRED
    return MatchWithdrawReason.NO_LONGER_ELIGIBLE if set(excluded_by) - STAYS_THOUGH else None
