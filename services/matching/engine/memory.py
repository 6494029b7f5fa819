"""Memory that bulk work used and freed."""

import ctypes


def give_back() -> None:
    """Return it to the system; glibc keeps most of it otherwise, a third of what a large index takes."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
