"""The one error of the embedded parts."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager


class LocalPartError(Exception):
    """An embedded part cannot run; the message says why and what to do, in words for a person."""


@contextmanager
def plain_errors(part: str) -> Iterator[None]:
    """Turn what the file system refuses into a LocalPartError."""
    try:
        yield
    except OSError as error:
        way_out = {
            errno.ENOSPC: "The disk is full: make room, then start again.",
            errno.EDQUOT: "The disk quota is used up: make room, then start again.",
            errno.EACCES: "Start it as the user who owns that path.",
            errno.EPERM: "Start it as the user who owns that path.",
            errno.EROFS: "Choose a writable place with BANDUNG_HOME or BANDUNG_CACHE.",
        }.get(error.errno or 0, "")
        path = error.filename2 or error.filename
        message = f"{part}: {error.strerror}: {path}. {way_out}".strip()
        raise LocalPartError(message) from error
