"""The life of a webhook, and its secrets."""

from __future__ import annotations

import base64
import secrets
from datetime import timedelta
from urllib.parse import urlsplit

from shared.lifecycle import Lifecycle, Step

ENABLED, DISABLED = "enabled", "disabled"
PENDING, FAILED, SUCCEEDED, EXHAUSTED = "pending", "failed", "succeeded", "exhausted"
OPEN_DELIVERIES = (PENDING, FAILED)
DELIVERY_STATUSES = (PENDING, SUCCEEDED, FAILED, EXHAUSTED)
GONE, FAILING, SWITCHED_OFF = "endpoint_gone", "endpoint_failing", "switched_off"
"""Reason codes of `WebhookDisabled`."""
OLD_SECRET_KEPT = timedelta(hours=24)
DISABLE_AFTER = timedelta(days=5)
SECRET_PREFIX = "whsec_"  # noqa: S105 (the prefix that Standard Webhooks gives to secrets)

_OWNER = frozenset({"owner:owner"})
_BOTH = frozenset({ENABLED, DISABLED})

LIFECYCLE = Lifecycle[None](
    "webhook",
    (
        Step("test", _BOTH, None, _OWNER, "WebhookTest"),
        Step("rotate-secret", _BOTH, None, _OWNER, ""),
        Step("disable", frozenset({ENABLED}), DISABLED, _OWNER | {"operator"}, "WebhookDisabled"),
        Step("enable", frozenset({DISABLED}), ENABLED, _OWNER, ""),
    ),
)
EDIT = "edit"
EDITING = Lifecycle[None]("webhook", (Step(EDIT, _BOTH, None, _OWNER, ""),))
"""PATCH and replay are no state changes, so `actions` does not list them."""


def new_secret() -> str:
    """A fresh signing secret in the form of Standard Webhooks: 24 random bytes."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()


def place_of(url: str) -> str:
    """Scheme and host, as others than the owner may see them: path and query may carry a token."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    host = parts.hostname or ""
    return f"{parts.scheme}://[{host}]" if ":" in host else f"{parts.scheme}://{host}"


def secret_bytes(secret: str) -> bytes:
    """The key of the HMAC."""
    return base64.b64decode(secret.removeprefix(SECRET_PREFIX))
