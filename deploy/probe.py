"""The health check of one service inside its container: `python probe.py PORT`, exit code 0 when it can serve.

Standard library and raw sockets only, since it runs every few seconds in each container.
A process that says of itself that only a restart helps is ended here; the restart policy starts it again.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

OK = 200
UNAVAILABLE = 503
SECONDS = 4


def status(port: int, path: str) -> int:
    """The HTTP status of a GET on this host, 0 when nobody answers."""
    try:
        with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
            connection.settimeout(SECONDS)
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n".encode())
            return int(connection.recv(64).split(b" ")[1])
    except (OSError, IndexError, ValueError):
        return 0


def main(port: int) -> int:
    """0 when requests are served: `ready` or `degraded`."""
    if status(port, "/livez") == UNAVAILABLE:
        os.kill(1, signal.SIGTERM)
        return 1
    return int(status(port, "/readyz") != OK)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
