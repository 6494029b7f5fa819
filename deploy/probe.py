"""The health check of one service inside its container: `python probe.py PORT`, exit code 0 when it can serve.

Standard library and raw sockets only, since it runs every few seconds in each container.
A process that says of itself that only a restart helps is ended here, and so is one that listens and three times in a
row gives no answer at all; the restart policy starts it again.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

OK = 200
UNAVAILABLE = 503
SECONDS = 4
MOST_UNANSWERED = 3
UNANSWERED = Path("/tmp/unanswered")  # noqa: S108 (the container's own folder, empty at each start)
"""One byte for each look since the last answer."""


def status(port: int, path: str) -> int:
    """The HTTP status of a GET on this host, 0 when nobody listens or what comes is no HTTP.

    Raises TimeoutError when somebody listens and does not answer.
    """
    try:
        with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
            connection.settimeout(SECONDS)
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n".encode())
            return int(connection.recv(64).split(b" ")[1])
    except TimeoutError:
        raise
    except (OSError, IndexError, ValueError):
        return 0


def main(port: int) -> int:
    """0 when requests are served: `ready` or `degraded`."""
    try:
        alive = status(port, "/livez")
        UNANSWERED.unlink(missing_ok=True)
        if alive == UNAVAILABLE:
            os.kill(1, signal.SIGTERM)
            return 1
        return int(status(port, "/readyz") != OK)
    except TimeoutError:
        return unanswered()


def unanswered() -> int:
    """Counts the looks without an answer, and ends what hangs: it would not hear a SIGTERM."""
    with UNANSWERED.open("ab") as file:
        file.write(b".")
    if UNANSWERED.stat().st_size >= MOST_UNANSWERED:
        UNANSWERED.unlink()
        for pid in children_of_init():
            os.kill(pid, signal.SIGKILL)
    return 1


def children_of_init() -> list[int]:
    """The service's process: process 1 is the container's init, and this look has its parent outside."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = file.read_text().rpartition(")")[2].split()[1]
        except OSError:  # it has ended
            continue
        if parent == "1":
            found.append(int(file.parent.name))
    return found


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
