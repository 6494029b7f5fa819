"""Ports on 127.0.0.1 for the embedded parts."""

import random
import socket
from contextlib import closing
from pathlib import Path

from shared.local.errors import LocalPartError

LOOPBACK = "127.0.0.1"

# Below the range from which Linux and macOS draw the ports of outgoing connections: a client that
# polls a port inside that range can be given the very port as its own, connect to itself, and so
# keep the server from ever binding it again.
_CHOICES = range(20_000, 32_000)


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` now."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        # Servers set this too; without it the closed connections of a server just stopped count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port(*, besides: int | None = None) -> int:
    """Return a port on which nothing listens now, other than `besides`."""
    for port in random.SystemRandom().sample(_CHOICES, 200):
        if port != besides and is_free(port):
            return port
    message = f"no free port found on {LOOPBACK} between {_CHOICES.start} and {_CHOICES.stop}"
    raise LocalPartError(message)


def required_port(port: int, part: str, setting: str) -> int:
    """Return `port`, or raise LocalPartError when something else listens on it."""
    if not is_free(port):
        message = (
            f"{part}: port {port} on {LOOPBACK} is taken by another program. "
            f"Stop that program, or choose another port with {setting}."
        )
        raise LocalPartError(message)
    return port


def remembered_port(file: Path) -> int:
    """Return the port noted in `file` when it is free, else a new one, noted there.

    A restart on the same home keeps its addresses, so clients that hold one find it again.
    """
    try:
        port = int(file.read_text())
    except (OSError, ValueError):
        port = 0
    if not port or not is_free(port):
        port = free_port()
    file.write_text(f"{port}\n")
    return port
