"""The life of a policy: drafted, put in force, followed by another, put in force again."""

from __future__ import annotations

from shared.lifecycle import Lifecycle, Step

LIFECYCLE = Lifecycle[None](
    "policy",
    (Step("activate", frozenset({"draft", "retired"}), "active", frozenset({"operator"}), "PolicyActivated"),),
)
