"""Wakes the engine's workers in this process after a commit that left them work."""

from shared.ops.waiting import Bell

BELL = Bell()
