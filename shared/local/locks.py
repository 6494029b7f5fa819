"""Locks between processes that end with their holder, even by kill -9."""

import asyncio
import fcntl
import os
from pathlib import Path
from typing import IO


def try_lock(file: Path) -> IO[str] | None:
    """Take the lock `file` and note our pid in it; None when another process holds it.

    The lock ends when the returned file is closed or the process dies: the kernel holds it on the
    open file, which children do not inherit (Python opens files close-on-exec).
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = file.open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    handle.truncate(0)
    handle.write(f"{os.getpid()}\n")
    handle.flush()
    return handle


async def wait_for_lock(file: Path) -> IO[str]:
    """Take the lock `file` as soon as its holder lets go."""
    while (lock := try_lock(file)) is None:  # noqa: ASYNC110 - the kernel tells of it only by trying
        await asyncio.sleep(0.1)
    return lock
