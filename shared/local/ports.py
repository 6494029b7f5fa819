"""Ports on 127.0.0.1 for the embedded parts."""

import random
import socket
from contextlib import closing, suppress
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
    raise LocalPartError(f"no free port found on {LOOPBACK} between {_CHOICES.start} and {_CHOICES.stop}")


def choose_port(wanted: int | None, noted: Path, part: str) -> int:
    """Return the port for a server about to start.

    `wanted` has to be free, else LocalPartError. Without it the port in the file `noted` if it is
    free, so that a restart on the same home keeps its addresses, else a new one, noted there.
    """
    if wanted is None:
        return _remembered_port(noted)
    if not is_free(wanted):
        raise LocalPartError(
            f"{part}: port {wanted} on {LOOPBACK} is taken by another program. Stop that program, or choose "
            f"another port (BANDUNG_KAFKA_PORT for Kafka)."
        )
    return wanted


def _remembered_port(noted: Path) -> int:
    with suppress(OSError, ValueError):
        port = int(noted.read_text())
        if is_free(port):
            return port
    port = free_port()
    noted.write_text(f"{port}\n")
    return port
