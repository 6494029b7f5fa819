"""API keys: who may make which, and when one is good."""

from __future__ import annotations

from datetime import date

from services.registry.domain.common import OWNER_OR_OPERATOR
from shared.lifecycle import Invalid, Lifecycle, Refused, Step

LIFECYCLE = Lifecycle[None](
    "key",
    (Step("revoke", frozenset({"active"}), "revoked", OWNER_OR_OPERATOR, "KeyRevoked"),),
)


def check_expiry(expires_on: date | None, today: date) -> None:
    """A key that is born dead is a mistake. The day itself still counts."""
    if expires_on is not None and expires_on < today:
        raise Invalid("/expires_on", f"Must not be before today, {today}")


def is_good(status: str, expires_on: date | None, today: date) -> bool:
    """Whether it gets a token today."""
    return status == "active" and (expires_on is None or today <= expires_on)


def may_sign(wanted: bool | None, *, default: bool, maker_may: bool) -> bool:  # noqa: FBT001 (a tristate of the request)
    """`can_sign` of a new key: nobody gives a right that he does not have."""
    if wanted and not maker_may:
        raise Refused("forbidden", "Your own key may not sign (can_sign), so it cannot make one that may.")
    return maker_may and default if wanted is None else wanted
